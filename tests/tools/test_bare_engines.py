"""The bare engines of a benchmark do the work of the conversation again: sound, prompts, tokens and clauses."""

from collections.abc import Generator, Sequence
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models.engine import LlamaEngine
from models.messages import Message, Prompt
from models.prompt import PromptBuilder
from tools import bare_engines
from tools.bare_engines import BareEngines, BareTurn, SaidTurn
from voice.messages import NEUTRAL, Pcm, Prosody, SpeechChunk, Transcript

IDLE, ASKING = 1_000, 2_000
"""Prompts of these tests are one of these and the number of messages before; tokens of a reply are its letters."""


class Work:
    """Everything that the engines were asked for, in order, on a clock that runs only while they work."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.now_s = 100.0

    def do(self, *what: Any, takes_s: float) -> None:
        self.done.append(what)
        self.now_s += takes_s

    def of(self, kind: str) -> list[tuple[Any, ...]]:
        return [what[1:] for what in self.done if what[0] == kind]


class Ear:
    name = "ear"

    def __init__(self, work: Work) -> None:
        self._work = work

    def begin(self) -> None:
        self._work.do("begin", takes_s=0.0)

    def feed(self, samples: Pcm) -> None:
        self._work.do("feed", samples.tolist(), takes_s=0.0)

    def partial(self) -> str:
        return ""

    def result(self) -> Transcript:
        self._work.do("result", takes_s=0.25)
        return Transcript(text="misheard", audio_s=0.0)


class Voice:
    name = "voice"
    sample_rate_hz = 16_000

    def __init__(self, work: Work) -> None:
        self._work = work

    def synthesize(self, speech: str, prosody: Prosody = NEUTRAL) -> Generator[SpeechChunk, None, None]:
        self._work.do("synthesize", speech, takes_s=0.5)
        yield SpeechChunk(samples=np.zeros(16, np.int16))
        self._work.do("second chunk", takes_s=99.0)


class Engine:
    vocabulary = SimpleNamespace(tokenize=lambda text, parse_special: tuple(map(ord, text)))

    def __init__(self, work: Work) -> None:
        self._work = work

    def prefill(self, tokens: Sequence[int]) -> None:
        self._work.do("prefill", *tokens, takes_s=2.0 if tokens[0] < ASKING else 1.0 if len(tokens) == 1 else 0.125)


class Prompts:
    def __init__(self) -> None:
        self.histories: list[list[str]] = []

    def build_idle(self, history: Sequence[Message]) -> Prompt:
        return Prompt(tokens=(IDLE + len(history),))

    def build(self, history: Sequence[Message], text: str) -> Prompt:
        self.histories.append([*(message.text for message in history), text])
        return Prompt(tokens=(ASKING + len(history),))


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """The engines' work, and its clock in place of the machine's."""
    work = Work()
    monkeypatch.setattr(bare_engines, "time", SimpleNamespace(monotonic=lambda: work.now_s))
    return work


def replayed(work: Work, *turns: SaidTurn, prompts: Prompts | None = None) -> list[BareTurn]:
    return BareEngines(
        transcriber=Ear(work),
        engine=cast("LlamaEngine", Engine(work)),
        prompts=cast("PromptBuilder", prompts or Prompts()),
        synthesizer=Voice(work),
    ).replay(turns)


def turn(text: str = "Hello.", reply: str = "Hi! I am Pip.", n_first_clause: int = 3, sound: int = 7) -> SaidTurn:
    return SaidTurn(sound=np.full(4, sound, np.int16), text=text, reply=reply, n_first_clause=n_first_clause)


def test_each_engine_is_timed_by_itself(work: Work) -> None:
    [figures] = replayed(work, turn())
    assert figures == BareTurn(asr_s=0.25, prefill_s=1.0, first_clause_s=2 * 0.125, synthesis_s=0.5)
    assert figures.total_s == 2.0


def test_what_the_conversation_had_prepared_before_the_question_is_not_timed(work: Work) -> None:
    replayed(work, turn())
    assert work.done[0] == ("prefill", IDLE)
    assert work.done[1] == ("begin",)


def test_the_ear_hears_the_sound_of_each_turn_from_the_beginning(work: Work) -> None:
    replayed(work, turn(sound=7), turn(sound=9))
    heard = [what for what in work.done if what[0] in ("begin", "feed", "result")]
    assert heard == [("begin",), ("feed", [7] * 4), ("result",), ("begin",), ("feed", [9] * 4), ("result",)]


def test_prompts_follow_what_was_said_then_whatever_is_heard_now(work: Work) -> None:
    prompts = Prompts()
    replayed(work, turn("Hello.", "Hi!"), turn("Why?", "So."), prompts=prompts)
    assert prompts.histories == [["Hello."], ["Hello.", "Hi!", "Why?"]]
    assert [prompt for [prompt, *reply] in work.of("prefill") if not reply] == [IDLE, ASKING, IDLE + 2, ASKING + 2]


def test_the_tokens_of_the_first_clause_are_decoded_one_by_one_but_the_first_is_there(work: Work) -> None:
    replayed(work, turn(reply="Hi! I am Pip.", n_first_clause=4))
    decoded = ["".join(map(chr, reply)) for [_, *reply] in work.of("prefill") if reply]
    assert decoded == ["H", "Hi", "Hi!"]


def test_only_the_beginning_of_the_first_clause_is_spoken(work: Work) -> None:
    replayed(work, turn(reply="I live in the big garden. Where do you live?"))
    assert work.of("synthesize") == [("I live in the big garden.",)]
    assert work.of("second chunk") == []


def test_a_reply_that_nobody_could_speak_is_not_spoken(work: Work) -> None:
    [figures] = replayed(work, turn(reply="", n_first_clause=1))
    assert figures.synthesis_s == 0.0
    assert figures.first_clause_s == 0.0


def test_nothing_said_takes_nothing(work: Work) -> None:
    assert replayed(work) == []
