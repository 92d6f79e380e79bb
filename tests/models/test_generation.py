"""The loop of a reply on real llama.cpp: where it stops, and thoughts that are never said."""

from collections.abc import Iterator

import pytest

from models.engine import EngineSettings, LlamaEngine
from models.interrupt import StopSignal
from models.messages import Finished, Piece
from models.sampling import Sampling
from models.stops import ReplyLimits
from tests.models.tiny_gguf import CONTROL, USER_DEFINED, write_scripted_model

GREEDY = Sampling(temperature=0, repeat_penalty=1)
ASSISTANT = "<|im_start|>assistant\n"

THOUGHT = ["<think>", "hm", " so", "</think>", "Ok", " then", "<|im_end|>"]
"""What the thinking model writes once it has begun to think. Behind a line break it says "Hi there" at once."""


@pytest.fixture(scope="module", params=[CONTROL, USER_DEFINED], ids=["control", "user-defined"])
def thinking(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    """A model whose tags are tokens of this kind."""
    path = tmp_path_factory.mktemp("thinking") / "thinking.gguf"
    tags = {"<think>": request.param, "</think>": request.param}
    write_scripted_model(
        path,
        ("Hi", " there"),
        asides=[THOUGHT, ("we", "<think>"), ("gi", "[T", "HI", "NK", "]", "no", "<|im_end|>")],
        added=tags,
    )
    with LlamaEngine(path, EngineSettings(n_ctx=256, threads=1)) as engine:
        yield engine


def reply(engine: LlamaEngine, prompt: str, limits: ReplyLimits, signal: StopSignal | None = None) -> str:
    """The reply, and in brackets why it ended."""
    engine.prefill(engine.vocabulary.tokenize(prompt, parse_special=True))
    said = ""
    for event in engine.generate(GREEDY, limits, stop_signal=signal):
        match event:
            case Piece():
                assert engine.vocabulary.detokenize(event.tokens) == event.text
                said += event.text
            case Finished():
                said += f"[{event.reason}]"
    return said


def limits(*, max_tokens: int = 20, thinking_tokens: int = 20) -> ReplyLimits:
    return ReplyLimits(max_tokens=max_tokens, thinking_tokens=thinking_tokens)


def test_a_thought_is_not_said_and_its_tags_do_not_end_the_turn(thinking: LlamaEngine) -> None:
    assert reply(thinking, ASSISTANT + "we", limits()) == "Ok then[end_of_turn]"
    assert "hm so" in thinking.vocabulary.written(thinking.draft)


def test_a_thought_that_the_template_opened_is_not_said(thinking: LlamaEngine) -> None:
    assert reply(thinking, ASSISTANT + "<think>", limits()) == "Ok then[end_of_turn]"


def test_an_empty_thought_of_the_template_means_none(thinking: LlamaEngine) -> None:
    assert reply(thinking, ASSISTANT + "<think>\n\n</think>\n\n", limits()) == "Hi there[end_of_turn]"


@pytest.mark.parametrize(("thinking_tokens", "thought"), [(0, ""), (1, "hm"), (2, "hm so")])
@pytest.mark.parametrize("prompt", [ASSISTANT + "we", ASSISTANT + "<think>"])
def test_a_thought_that_took_too_long_is_closed_and_the_reply_follows(
    thinking: LlamaEngine, prompt: str, thinking_tokens: int, thought: str
) -> None:
    assert reply(thinking, prompt, limits(thinking_tokens=thinking_tokens)) == "Hi there[end_of_turn]"
    written = thinking.vocabulary.written(thinking.draft)
    assert written.partition("<think>")[2].replace(" \n", "\n") == f"{thought}\n</think>\n\nHi there"


def test_thoughts_do_not_count_against_the_tokens_of_the_reply(thinking: LlamaEngine) -> None:
    assert reply(thinking, ASSISTANT + "<think>", limits(max_tokens=2)) == "Ok then[max_tokens]"


def test_a_turn_that_ends_inside_a_thought_is_answered_all_the_same(thinking: LlamaEngine) -> None:
    """It writes [THINK] in four tokens, "no", and ends its turn."""
    assert reply(thinking, ASSISTANT + "gi", limits()) == "Hi there[end_of_turn]"
    assert "[THINK]no\n[/THINK]" in thinking.vocabulary.written(thinking.draft).replace(" ", "")


def test_a_context_that_is_full_inside_a_thought_ends_the_reply(thinking: LlamaEngine) -> None:
    n_others = len(thinking.vocabulary.tokenize(ASSISTANT + "<think>", parse_special=True))
    filler = "\n" * (thinking.n_ctx - 1 - n_others)
    assert reply(thinking, ASSISTANT + filler + "<think>", limits(thinking_tokens=1)) == "[context_full]"
    assert reply(thinking, ASSISTANT + filler + "<think>", limits(thinking_tokens=9)) == "[context_full]"


def test_a_signal_inside_a_thought_ends_the_reply(thinking: LlamaEngine) -> None:
    class LateSignal(StopSignal):
        """Set at the second look: the prompt was prefilled by then."""

        looks = 0

        def is_set(self) -> bool:
            self.looks += 1
            return self.looks > 1

    for thinking_tokens in (0, 20):
        assert (
            reply(thinking, ASSISTANT + "<think>", limits(thinking_tokens=thinking_tokens), LateSignal()) == "[aborted]"
        )


def test_a_reply_has_no_more_events_than_its_limits_say(thinking: LlamaEngine) -> None:
    for few in (limits(max_tokens=0), limits(max_tokens=1, thinking_tokens=1), limits()):
        thinking.prefill(thinking.vocabulary.tokenize(ASSISTANT, parse_special=True))
        assert len(list(thinking.generate(GREEDY, few))) <= few.max_events - 1, "one more is how it was prefilled"


def test_words_end_a_reply_with_a_clause(real_engine: LlamaEngine) -> None:
    prompt = "<|im_start|>user\nTell me a long story.<|im_end|>\n<|im_start|>assistant\n"
    said = reply(real_engine, prompt, ReplyLimits(max_tokens=80, max_words=8))
    assert said.endswith("[max_words]")
    words = said.removesuffix("[max_words]")
    assert 8 <= len(words.split()) <= 16
    assert words[-1] in ",.;:!?" or len(words.split()) == 16


def test_tags_are_found_in_the_vocabulary_where_it_has_them(thinking: LlamaEngine, real_engine: LlamaEngine) -> None:
    vocabulary = thinking.vocabulary
    opening, closing = (vocabulary.tokenize(tag, parse_special=True)[-1] for tag in ("<think>", "</think>"))
    assert vocabulary.reply_bytes(opening) == b"<think>"
    assert not vocabulary.ends_turn(closing)
    assert {opening, closing} <= set(vocabulary.never_written())
    end = vocabulary.tokenize("<|im_end|>", parse_special=True)[-1]
    assert vocabulary.ends_turn(end)
    assert end not in vocabulary.never_written(), "a grammar ends with it"
    assert len(real_engine.vocabulary.tokenize("<think>", parse_special=True)) > 1, "and where not, it is text"


def test_all_tokens_of_a_text_are_found(thinking: LlamaEngine) -> None:
    found = thinking.vocabulary.tokens_for([b"hm", b" so", b"A", b"nothing"])
    assert [len(found[text]) for text in (b"hm", b" so", b"A", b"nothing")] == [1, 1, 1, 0]
