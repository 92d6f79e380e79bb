"""A conversation with the engine, turn by turn and blocking: what the companion does with it, without everything else.

Words go in, a reply comes out and is heard to its end; then the cache is brought up to it, as it is while the reply is
being spoken. Recall, sound and asyncio are left out, so that the benchmarks of the engine measure the engine. The parts
of `familiar bench llm` talk through this.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from models.character import Character
from models.engine import EngineSettings, LlamaEngine
from models.interrupt import StopSignal
from models.messages import Finished, Message, Piece, Prompt
from models.prompt import PromptBuilder, cut_reply
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.threads import default_threads

REPLY_TOKENS = 32
"""The most that a reply may have: two short sentences. Enough of them to fill a context of 2,048 in 40 turns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchModel:
    """What every part of the benchmark is run with. `template` takes the place of the model's own chat template."""

    path: Path
    character: Character
    settings: EngineSettings
    sampling: Sampling
    template: str | None = None

    @property
    def threads(self) -> int:
        """Threads that the settings come to, for a library that is told a number."""
        return self.settings.threads or default_threads()

    def builder(self, engine: LlamaEngine) -> PromptBuilder:
        """A builder of this character's prompts for an engine of this model."""
        template = engine.chat_template(self.template)
        return PromptBuilder(
            engine.vocabulary, template, self.character, n_ctx=engine.n_ctx, reply_reserve=REPLY_TOKENS
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a prompt: its pieces, the seconds from the prompt to the first of them (to the end where there was
    none), and why it ended."""

    pieces: tuple[Piece, ...]
    first_token_s: float
    reason: str

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


class LlmSession:
    """One conversation. `history` is everything that still stands in the prompt."""

    def __init__(self, engine: LlamaEngine, prompts: PromptBuilder, sampling: Sampling) -> None:
        self.engine = engine
        self.history: list[Message] = []
        self._prompts = prompts
        self._sampling = sampling

    def prompt(self, words: str, volatile: str = "") -> Prompt:
        """The prompt for a reply to `words`; turns that had to leave for it are forgotten."""
        prompt = self._prompts.build(self.history, words, volatile)
        del self.history[: prompt.n_messages_dropped]
        return prompt

    def reply(
        self, tokens: Sequence[int], *, n_most: int = REPLY_TOKENS, stop_signal: StopSignal | None = None
    ) -> Reply:
        """Prefill what is missing of a prompt and let the model answer, without any effect on the conversation."""
        begun_s = time.perf_counter()
        first_token_s = None
        pieces: list[Piece] = []
        reason = "aborted"
        if self.engine.prefill(tokens, stop_signal) is not None:
            for event in self.engine.generate(self._sampling, ReplyLimits(max_tokens=n_most), stop_signal=stop_signal):
                if first_token_s is None:
                    first_token_s = time.perf_counter() - begun_s
                if isinstance(event, Finished):
                    reason = event.reason
                else:
                    pieces.append(event)
        ended_s = time.perf_counter() - begun_s
        return Reply(pieces=tuple(pieces), first_token_s=first_token_s or ended_s, reason=reason)

    def say(self, words: str, reply: Reply) -> None:
        """Make words and reply history."""
        heard = cut_reply(self.engine.vocabulary, reply.pieces, len(reply.text))
        self.history += [Message(role="user", text=words), *([heard] if heard else [])]

    def settle(self) -> int:
        """Bring the cache up to the history. Returns how many messages had to leave it."""
        prompt = self._prompts.build_idle(self.history)
        del self.history[: prompt.n_messages_dropped]
        self.engine.settle(prompt.tokens)
        return prompt.n_messages_dropped


def generated(engine: LlamaEngine, sampling: Sampling, n_most: int) -> list[int]:
    """The tokens of a reply to what was prefilled: also those of a character that was never completed, which random
    weights like to begin."""
    n_prompt = len(engine.draft)
    for _ in engine.generate(sampling, ReplyLimits(max_tokens=n_most)):
        pass
    return list(engine.draft[n_prompt:])
