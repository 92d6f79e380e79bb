"""The chat API: what a server is told, and what is taken from what it says."""

import json
from collections.abc import Iterable

import pytest

from models.character import Character, Exchange
from models.chat_api import (
    Chunk,
    Dialect,
    RemoteReply,
    ReplyEvent,
    least_body,
    read_chunk,
    read_models,
    refusal,
    request_body,
)
from models.errors import RemoteError
from models.grammar import Grammar
from models.messages import Finished, Message, Piece, Prefilled, Prompt
from models.prompt import STANDING_INSTRUCTIONS, PromptBuilder, cut_reply
from models.sampling import Sampling
from models.sse import ServerSentEvent
from models.stops import ReplyLimits
from models.template import ChatTemplate
from tests.models.test_prompt import CharacterTokens
from tests.models.test_template import GEMMA_LIKE
from tests.models.tiny_gguf import CHATML

PIP = Character(name="Pip", persona="You are Pip.", examples=(Exchange(user="Who?", reply="Pip!"),))
PROMPT = Prompt(tokens=(1,), messages=(Message(role="user", text="Hi"),))
LIMITS = ReplyLimits(max_tokens=80, stop=("\n",))


def prompt_of(
    history: Iterable[Message], words: str, volatile: str = "", template: str = CHATML
) -> list[tuple[str, str]]:
    prompts = PromptBuilder(CharacterTokens(), ChatTemplate(template), PIP, n_ctx=4000, reply_reserve=20)
    built = prompts.build(tuple(history), words, volatile)
    return [(message.role, message.text) for message in built.messages]


HEAD = [("system", f"You are Pip.\n{STANDING_INSTRUCTIONS}"), ("user", "Who?"), ("assistant", "Pip!")]


@pytest.mark.parametrize("template", [CHATML, GEMMA_LIKE])
def test_the_messages_of_a_prompt_say_what_its_tokens_say(template: str) -> None:
    history = (
        Message(role="user", text="Hi"),
        Message(role="user", text="Are you there?"),
        Message(role="assistant", text=" Yes.", tokens=(32, 89, 101, 115, 46)),
    )
    assert prompt_of(history, " How are you? ", "It is noon.", template) == [
        *HEAD,
        ("user", "Hi\n\nAre you there?"),
        ("assistant", "Yes."),
        ("user", "It is noon.\n\nHow are you?"),
    ]


def test_a_greeting_follows_an_opening_word_in_messages_too() -> None:
    roles = [role for role, _ in prompt_of([Message(role="assistant", text="Hi, I am Pip!")], "Hello")]
    assert roles == ["system", "user", "assistant", "user", "assistant", "user"]


def test_turns_that_left_the_prompt_are_in_no_message() -> None:
    prompts = PromptBuilder(CharacterTokens(), ChatTemplate(CHATML), PIP, n_ctx=400, reply_reserve=20)
    history = [Message(role=role, text=f"{role} {n} " + "x" * 40) for n in range(4) for role in ("user", "assistant")]
    built = prompts.build(history, "now")
    assert 0 < built.n_messages_dropped < len(history)
    assert built.messages[3].text == history[built.n_messages_dropped].text


def test_a_reply_without_tokens_is_cut_and_tokenized_later() -> None:
    pieces = [Piece(text="I live", tokens=()), Piece(text=" in the garden.", tokens=())]
    for end, heard in ((100, "I live in the garden."), (10, "I live in"), (6, "I live"), (0, None)):
        message = cut_reply(CharacterTokens(), pieces, end)
        assert (message and (message.text, message.tokens)) == (heard and (heard, ()))


@pytest.mark.parametrize(
    ("dialect", "more"),
    [
        ("other", {}),
        ("vllm", {"top_k": 40, "min_p": 0.05, "chat_template_kwargs": {"enable_thinking": False}}),
        (
            "llama-server",
            {
                "top_k": 40,
                "min_p": 0.05,
                "chat_template_kwargs": {"enable_thinking": False},
                "cache_prompt": True,
                "timings_per_token": True,
                "typical_p": 1.0,
                "top_n_sigma": 0.0,
                "xtc_probability": 0.0,
                "xtc_threshold": 0.1,
            },
        ),
    ],
)
def test_a_server_is_told_what_it_understands_and_no_more(dialect: Dialect, more: dict[str, object]) -> None:
    sampling = Sampling(temperature=0.5, seed=7)
    assert request_body(PROMPT, sampling, LIMITS, model="m", dialect=dialect) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 80,
        "temperature": 0.5,
        "top_p": 1.0,
        "seed": 7,
        **more,
    }


def test_a_server_may_think_as_long_as_the_limits_allow() -> None:
    limits = ReplyLimits(max_tokens=80, thinking_tokens=200)
    body = request_body(PROMPT, Sampling(), limits, model="m", dialect="vllm")
    assert body["max_tokens"] == 280
    assert body["chat_template_kwargs"] == {"enable_thinking": True}


def test_a_prompt_without_messages_is_refused_before_anything_is_sent() -> None:
    with pytest.raises(ValueError, match="messages"):
        least_body(Prompt(tokens=(1,)), model="m")


def test_a_grammar_is_refused_before_anything_is_sent() -> None:
    sampling = Sampling(grammar=Grammar(text='root ::= "a"'))
    with pytest.raises(ValueError, match="grammar"):
        request_body(PROMPT, sampling, LIMITS, model="m", dialect="llama-server")


def test_a_server_is_known_by_its_list_of_models() -> None:
    listed = {
        "data": [{"id": "a", "aliases": ["b"], "owned_by": "llamacpp"}, {"id": "c"}, {"id": 3}, "d", {"id": "\x1b[2J"}]
    }
    models = read_models(json.dumps(listed).encode())
    assert (models.dialect, models.names) == ("llama-server", ("a", "b", "c"))
    assert read_models(b'{"data": [{"id": "a", "owned_by": "vllm"}]}').dialect == "vllm"
    assert read_models(b'{"data": [{"id": "a", "owned_by": ["?"]}]}').dialect == "other"
    assert read_models(b'{"data": []}').names == ()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"data": 3}', b"\xff", b"[" * 100_000, b'{"data"'])
def test_what_is_no_list_of_models_is_refused(body: bytes) -> None:
    with pytest.raises(RemoteError, match="something else than a list of models"):
        read_models(body)


def chunk(record: object, event: str = "message") -> Chunk | None:
    return read_chunk(ServerSentEvent(event=event, data=record if isinstance(record, str) else json.dumps(record)))


@pytest.mark.parametrize(
    "record",
    ["", " ", {"choices": []}, {"choices": [3]}, {"choices": None, "usage": {}}, {"object": "x"}, {"error": None}],
)
def test_events_without_a_word_say_nothing(record: object) -> None:
    assert chunk(record) is None


@pytest.mark.parametrize(
    "said", [{"reasoning_content": "Hm."}, {"role": "assistant"}, {"content": None}, {"content": [3]}, 5]
)
def test_only_content_is_spoken(said: object) -> None:
    assert chunk({"choices": [{"delta": said}]}) == Chunk()


def test_the_end_of_a_reply_has_a_reason() -> None:
    assert chunk("[DONE]") == Chunk(finish="end_of_turn")
    assert chunk({"choices": [{"delta": {}, "finish_reason": "stop"}]}) == Chunk(finish="end_of_turn")
    assert chunk({"choices": [{"delta": {"content": "a"}, "finish_reason": "length"}]}) == Chunk(
        text="a", finish="max_tokens"
    )


@pytest.mark.parametrize(
    ("timings", "prefilled"),
    [
        ({"cache_n": 90, "prompt_n": 12}, Prefilled(n_reused=90, n_shifted=0, n_prefilled=12)),
        ({"prompt_n": 12}, None),
        ({"cache_n": None, "prompt_n": "12"}, None),
        (None, None),
        (7, None),
    ],
)
def test_what_was_prefilled_is_known_only_where_the_server_tells(timings: object, prefilled: Prefilled | None) -> None:
    said = chunk({"choices": [{"delta": {"content": "a"}}], "timings": timings})
    assert said == Chunk(text="a", prefilled=prefilled)


SECRET = "the words of a person"


@pytest.mark.parametrize(
    ("record", "event", "expected"),
    [
        ({"error": {"message": SECRET, "type": "server_error"}}, "message", "gave the reply up (server_error)"),
        ({"error": SECRET}, "message", "gave the reply up;"),
        ({"message": SECRET, "type": SECRET, "code": 400}, "error", "gave the reply up;"),
        (f"{{{SECRET}", "message", "something else than a chunk"),
        ("[" * 100_000, "message", "something else than a chunk"),
        ([SECRET], "message", "something else than a chunk"),
    ],
)
def test_errors_within_a_stream_are_told_without_a_word_of_it(record: object, event: str, expected: str) -> None:
    with pytest.raises(RemoteError) as caught:
        chunk(record, event)
    assert expected in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (302, "another address"),
        (401, "the key"),
        (403, "the key"),
        (404, "the model"),
        (429, "too much"),
        (503, "not ready"),
    ],
)
def test_a_status_is_told_in_words(status: int, expected: str) -> None:
    assert expected in refusal(status, b"<html>")


def test_a_refusal_names_the_kind_of_error_and_quotes_nobody() -> None:
    body = json.dumps({"error": {"type": "exceed_context_size_error", "message": SECRET}}).encode()
    assert refusal(400, body) == "refuses with status 400 (exceed_context_size_error); its log says why"
    assert refusal(500, SECRET.encode()) == "refuses with status 500; its log says why"


def replied(limits: ReplyLimits, *chunks: Chunk) -> list[ReplyEvent]:
    reply = RemoteReply(limits)
    return [event for one in chunks for event in reply.take(one)]


def words(*texts: str) -> list[Chunk]:
    return [Chunk(text=text) for text in texts]


def text_of(events: list[ReplyEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, Piece))


END = Chunk(finish="end_of_turn")


def test_pieces_come_as_they_are_and_have_no_tokens() -> None:
    events = replied(LIMITS, *words("Hi", " there", "."), END)
    assert [event.text for event in events if isinstance(event, Piece)] == ["Hi", " there", "."]
    assert all(event.tokens == () for event in events if isinstance(event, Piece))
    assert events[-1] == Finished(reason="end_of_turn")


def test_what_was_prefilled_comes_right_before_the_first_piece() -> None:
    prefilled = Prefilled(n_reused=1, n_shifted=0, n_prefilled=2)
    events = replied(LIMITS, Chunk(prefilled=prefilled), Chunk(text="Hi", prefilled=prefilled), END)
    assert events == [prefilled, Piece(text="Hi", tokens=()), Finished(reason="end_of_turn")]


@pytest.mark.parametrize(
    ("texts", "limits", "said", "reason"),
    [
        (["\n\n", "Hi.", "\nMore"], LIMITS, "Hi.", "stop_string"),
        (["Hi. U", "ser: no"], ReplyLimits(max_tokens=80, stop=("User:",)), "Hi. ", "stop_string"),
        (["\n", "<", " 3"], LIMITS, "< 3", "end_of_turn"),
        (["Hi. U"], ReplyLimits(max_tokens=80, stop=("User:",)), "Hi. U", "end_of_turn"),
        (["a ", "b ", "c ", "d"], ReplyLimits(max_tokens=3), "a b c ", "max_tokens"),
        (["One two. ", "Three"], ReplyLimits(max_tokens=80, max_words=2), "One two.", "max_words"),
        (["<think>", "Hm.\n", "</think>", "\n\nHi."], ReplyLimits(max_tokens=80, stop=("\n",)), "Hi.", "end_of_turn"),
    ],
)
def test_the_limits_of_a_reply_hold_for_a_server_too(
    texts: list[str], limits: ReplyLimits, said: str, reason: str
) -> None:
    events = replied(limits, *words(*texts), END)
    assert text_of(events) == said
    assert events[-1] == Finished(reason=reason)  # type: ignore[arg-type]
    assert sum(isinstance(event, Finished) for event in events) == 1


def test_nothing_follows_the_end() -> None:
    reply = RemoteReply(LIMITS)
    list(reply.take(Chunk(text="Hi.\n")))
    assert reply.over
    assert not list(reply.take(Chunk(text="More", finish="end_of_turn")))


@pytest.mark.parametrize("chunks", [[END], [Chunk(text="\n "), END], words("<think>", "Hm.")])
def test_a_reply_without_a_word_is_an_error(chunks: list[Chunk]) -> None:
    with pytest.raises(RemoteError, match="without a word"):
        replied(ReplyLimits(max_tokens=2), *chunks)
