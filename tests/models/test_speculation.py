"""Replies begun on words that changed leave no trace: everything afterwards is as if they had never been begun."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.character import Character
from models.engine import EngineSettings, LlamaEngine
from models.errors import PromptTooLongError
from models.messages import Message, Piece
from models.prompt import PromptBuilder, cut_reply
from models.sampling import Sampling
from models.stops import ReplyLimits

GREEDY = Sampling(temperature=0, repeat_penalty=1)
PIP = Character(name="Pip", persona="You are Pip.")

WORDS = st.sampled_from(["hello", "how are you", "tell me a story", "what is that", "no", "the quick brown fox"])
VOLATILE = st.sampled_from(["", "It is noon.", "Earlier I told you of my dog."])


@dataclass(frozen=True)
class Dropped:
    """A reply to words that are not the final ones. `n_tokens` of it are made; -1: the words are still being said."""

    words: str
    volatile: str
    n_tokens: int


@dataclass(frozen=True)
class Turn:
    words: str
    volatile: str
    n_tokens: int
    dropped: tuple[Dropped, ...] = ()


DROPPED = st.builds(Dropped, WORDS, VOLATILE, st.integers(-1, 8))
TURNS = st.lists(
    st.builds(Turn, WORDS, VOLATILE, st.integers(1, 10), st.lists(DROPPED, max_size=3).map(tuple)),
    min_size=1,
    max_size=6,
)


@dataclass
class Talk:
    """A conversation with an engine, which begins anew."""

    engine: LlamaEngine
    history: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        template = self.engine.chat_template()
        self.chat = PromptBuilder(
            self.engine.vocabulary, template, PIP, n_ctx=self.engine.n_ctx, reply_reserve=20, instructions=""
        )
        self.engine.settle((self.engine.vocabulary.leading_token or 0,))
        self.settle()

    def settle(self) -> None:
        idle = self.chat.build_idle(self.history)
        del self.history[: idle.n_messages_dropped]
        assert self.engine.settle(idle.tokens) is not None

    def drop(self, dropped: Dropped) -> None:
        build = self.chat.build_open if dropped.n_tokens < 0 else self.chat.build
        prompt = build(self.history, dropped.words, dropped.volatile)
        if prompt.n_messages_dropped:
            return
        self.engine.prefill(prompt.tokens)
        if dropped.n_tokens > 0:
            list(self.engine.generate(GREEDY, ReplyLimits(max_tokens=dropped.n_tokens)))

    def take(self, turn: Turn) -> str:
        """The reply."""
        prompt = self.chat.build(self.history, turn.words, turn.volatile)
        del self.history[: prompt.n_messages_dropped]
        self.engine.prefill(prompt.tokens)
        events = self.engine.generate(GREEDY, ReplyLimits(max_tokens=turn.n_tokens))
        pieces = [event for event in events if isinstance(event, Piece)]
        reply = cut_reply(self.engine.vocabulary, pieces, 1000)
        self.history += [Message(role="user", text=turn.words), *([reply] if reply else [])]
        self.settle()
        return "".join(piece.text for piece in pieces)


@pytest.fixture(scope="module")
def engines(wandering_model: Path) -> Iterator[tuple[LlamaEngine, LlamaEngine]]:
    settings = EngineSettings(n_ctx=512, n_batch=16, threads=1)
    with LlamaEngine(wandering_model, settings) as one, LlamaEngine(wandering_model, settings) as other:
        yield one, other


@given(turns=TURNS)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_dropped_replies_leave_no_trace_in_words_or_conversation(
    engines: tuple[LlamaEngine, LlamaEngine], turns: list[Turn]
) -> None:
    """Not compared are the digits in the cache: those of a model in F32 depend a little on how its prompts were cut
    into batches. `familiar bench llm` compares them, with the starter model, whose do not."""
    speculating, reference = Talk(engines[0]), Talk(engines[1])
    for turn in turns:
        for dropped in turn.dropped:
            speculating.drop(dropped)
        assert speculating.take(turn) == reference.take(turn)
        assert speculating.engine.conversation == reference.engine.conversation


def test_a_dropped_reply_leaves_every_digit_of_the_conversation_as_it_was(wandering_model: Path) -> None:
    with LlamaEngine(wandering_model, EngineSettings(n_ctx=256, n_batch=8, threads=1)) as engine:
        talk = Talk(engine)
        before = engine.snapshot()
        talk.drop(Dropped("tell me a story", "It is noon.", 8))
        talk.settle()
        assert engine.snapshot() == before


def test_something_else_can_be_asked_without_touching_the_conversation(wandering_model: Path) -> None:
    """Even where it repeats much of what was said, which a reply would be moved together from."""
    with LlamaEngine(wandering_model, EngineSettings(n_ctx=512, n_batch=8, threads=1)) as engine:
        talk = Talk(engine)
        for words in ("the quick brown fox", "tell me a story", "how are you"):
            talk.take(Turn(words, "", 6))
        before, conversation = engine.snapshot(), engine.conversation
        assert engine.prefill(conversation[40:], aside=16) is not None
        assert any(isinstance(event, Piece) for event in engine.generate(GREEDY, ReplyLimits(max_tokens=16)))
        assert engine.conversation == conversation
        assert engine.snapshot() == before


def test_what_does_not_fit_beside_the_conversation_is_not_begun(wandering_model: Path) -> None:
    with LlamaEngine(wandering_model, EngineSettings(n_ctx=256, n_batch=8, threads=1)) as engine:
        talk = Talk(engine)
        conversation = engine.conversation
        room = engine.n_ctx - len(conversation)
        with pytest.raises(PromptTooLongError, match="beside the conversation"):
            engine.prefill(tuple(range(1, room - 14)), aside=16)
        assert talk.engine.conversation == conversation
