"""The bare engines: recognition, prefill, first clause and synthesis one after another, with nothing around them.

What a spoken turn would cost if orchestration were free and nothing overlapped. Each engine gets the work it had in the
conversation: the same audio, the same prompt after the same history, and it has the machine to itself.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from device.dialogue import END_OF_SPEECH
from models.engine import LlamaEngine
from models.messages import Finished, Message
from models.prompt import PromptBuilder
from models.sampling import Sampling
from voice.clauses import ClauseSplitter
from voice.messages import Clause, Pcm, SpeechPart
from voice.seams import Synthesizer, Transcriber


@dataclass(frozen=True, slots=True, kw_only=True)
class SaidTurn:
    """A turn of the conversation: the person's sound, what was recognised, and what was answered."""

    sound: Pcm
    text: str
    reply: str


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
        sampling: Sampling,
        max_tokens: int,
        synthesizer: Synthesizer,
    ) -> None:
        self._transcriber = transcriber
        self._engine = engine
        self._prompts = prompts
        self._sampling = sampling
        self._max_tokens = max_tokens
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
        self._engine.prefill(self._prompts.build(history, turn.text).tokens)
        prefilled_s = time.monotonic()
        clause = self._first_clause()
        thought_s = time.monotonic()
        if clause is not None:
            next(self._synthesizer.synthesize(clause.speech), None)
        return BareTurn(
            asr_s=recognised_s - begun_s,
            prefill_s=prefilled_s - recognised_s,
            first_clause_s=thought_s - prefilled_s,
            synthesis_s=time.monotonic() - thought_s,
        )

    def _first_clause(self) -> Clause | None:
        splitter = ClauseSplitter()
        for piece in self._engine.generate(self._sampling, max_tokens=self._max_tokens, stop=END_OF_SPEECH):
            parts: Sequence[SpeechPart] = (
                splitter.finish() if isinstance(piece, Finished) else splitter.push(piece.text)
            )
            clause = next((part for part in parts if isinstance(part, Clause)), None)
            if clause is not None:
                return clause
        return None
