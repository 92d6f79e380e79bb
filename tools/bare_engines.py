"""The bare engines: recognition, prefill, first clause and synthesis one after another, with nothing around them.

What a spoken turn would cost if orchestration were free and nothing overlapped. Each engine gets the work it had in the
conversation: the same audio, the same prompt after the same history, and it has the machine to itself.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from models.engine import LlamaEngine
from models.messages import Message
from models.prompt import PromptBuilder
from voice.clauses import ClauseSplitter
from voice.messages import Clause, Pcm
from voice.seams import Synthesizer, Transcriber


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidTurn:
    """A turn of the conversation: the person's sound, what was recognised, what was answered, and how many
    tokens that took until its first clause was there."""

    sound: Pcm
    text: str
    reply: str
    n_first_clause: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BareTurn:
    """Seconds that each engine took for one turn."""

    asr_s: float
    prefill_s: float
    first_clause_s: float
    synthesis_s: float

    @property
    def total_s(self) -> float:
        """The engines in sequence."""
        return self.asr_s + self.prefill_s + self.first_clause_s + self.synthesis_s


class BareEngines:
    """The three engines, opened and warm."""

    def __init__(
        self,
        *,
        transcriber: Transcriber,
        engine: LlamaEngine,
        prompts: PromptBuilder,
        synthesizer: Synthesizer,
    ) -> None:
        self._transcriber = transcriber
        self._engine = engine
        self._prompts = prompts
        self._synthesizer = synthesizer

    def replay(self, turns: Sequence[SaidTurn]) -> list[BareTurn]:
        """Do the work of each turn again, in order."""
        history: list[Message] = []
        figures = []
        for turn in turns:
            self._engine.prefill(self._prompts.build_idle(history).tokens)
            figures.append(self._turn(turn, history))
            history += [Message(role="user", text=turn.text), Message(role="assistant", text=turn.reply)]
        return figures

    def _turn(self, turn: SaidTurn, history: Sequence[Message]) -> BareTurn:
        begun_s = time.monotonic()
        self._transcriber.begin()
        self._transcriber.feed(turn.sound)
        self._transcriber.result()
        recognised_s = time.monotonic()
        prompt = self._prompts.build(history, turn.text).tokens
        self._engine.prefill(prompt)
        prefilled_s = time.monotonic()
        self._decode(prompt, turn)
        thought_s = time.monotonic()
        clause = _first_clause(turn.reply)
        if clause is not None:
            next(self._synthesizer.synthesize(clause.speech), None)
        return BareTurn(
            asr_s=recognised_s - begun_s,
            prefill_s=prefilled_s - recognised_s,
            first_clause_s=thought_s - prefilled_s,
            synthesis_s=time.monotonic() - thought_s,
        )

    def _decode(self, prompt: tuple[int, ...], turn: SaidTurn) -> None:
        """Decode the very tokens that the first clause took, one by one. The first needs none: its logits are there.

        Sampling is left out, so that both runs have the same tokens; it takes a tenth of a millisecond each.
        """
        reply = self._engine.vocabulary.tokenize(turn.reply, parse_special=False)[: turn.n_first_clause - 1]
        for end in range(1, len(reply) + 1):
            self._engine.prefill(prompt + reply[:end])


def _first_clause(reply: str) -> Clause | None:
    splitter = ClauseSplitter()
    parts = [*splitter.push(reply), *splitter.finish()]
    return next((part for part in parts if isinstance(part, Clause)), None)
