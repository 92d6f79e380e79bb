"""How soon a request to stop is heeded, and whether hundreds of turns leave anything behind in memory.

The stop comes from another thread at a random moment of a prefill or of a reply, as an interruption does. The turns
have replies that were begun on words that then changed, replies that were broken off, and a context so small that older
turns leave every few turns. Figures and verdicts are left to `tools.llm_report`.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from models.engine import LlamaEngine
from models.interrupt import StopSignal
from tools.decode_meter import DecodeMeter
from tools.llm_script import line, memories
from tools.llm_session import REPLY_TOKENS, BenchModel, LlmSession
from tools.llm_speed import prose
from tools.process_memory import resident_without_models_mb

PREFILL_TOKENS = 256
SMALL_CONTEXT_TOKENS = 512
_SHORT_REPLY_TOKENS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One request to stop: what was still given to llama.cpp after it, in tokens, and when all was quiet."""

    n_tokens_after: int
    quiet_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortRun:
    """The stops that came in time, and resident memory without the mapped model (in 10^6 bytes) after an early turn and
    after the last."""

    prefill: tuple[Stop, ...]
    reply: tuple[Stop, ...]
    early_turn: int
    last_turn: int
    early_mb: float
    last_mb: float


def run_abort(model: BenchModel, *, stops: int, turns: int, say: Callable[[str], None]) -> AbortRun:
    """Stop `stops` prefills and as many replies; then have `turns` turns, a tenth of which is the early part."""
    say(f"abort: {stops} prefills and {stops} replies are stopped ...")
    chance = random.Random(1)  # noqa: S311  repeatable, not secret
    with DecodeMeter() as meter, LlamaEngine(model.path, model.settings) as engine:
        stopping = _Stopping(LlmSession(engine, model.builder(engine), model.sampling), meter, chance)
        prefill = tuple(stop for _ in range(stops) if (stop := stopping.stop_prefill()))
        reply = tuple(stop for _ in range(stops) if (stop := stopping.stop_reply()))
    say(f"abort: {turns} turns with changed words, interruptions and a full context ...")
    with LlamaEngine(model.path, replace(model.settings, n_ctx=SMALL_CONTEXT_TOKENS)) as engine:
        session = LlmSession(engine, model.builder(engine), model.sampling)
        early_turn = max(1, turns // 10)
        for turn in range(early_turn):
            rough_turn(session, turn, chance)
        early_mb = resident_without_models_mb()
        for turn in range(early_turn, turns):
            rough_turn(session, turn, chance)
        last_mb = resident_without_models_mb()
    return AbortRun(
        prefill=prefill, reply=reply, early_turn=early_turn, last_turn=turns, early_mb=early_mb, last_mb=last_mb
    )


def rough_turn(session: LlmSession, turn: int, chance: random.Random) -> None:
    """A turn as it may go: the words change once or twice after a reply to them was begun, and some replies are broken
    off by an interruption."""
    volatile = memories(turn)
    for _ in range(chance.randrange(3)):
        supposed = session.prompt(line(chance.randrange(60)), volatile)
        session.reply(supposed.tokens, n_most=chance.randrange(1, 4))
    words = line(turn)
    stop = StopSignal()
    asked = session.prompt(words, volatile).tokens
    if chance.random() < 0.2:
        timer = threading.Timer(chance.uniform(0.0, 0.2), stop.set)
        timer.start()
        reply = session.reply(asked, n_most=_SHORT_REPLY_TOKENS, stop_signal=stop)
        timer.cancel()
        timer.join()
    else:
        reply = session.reply(asked, n_most=_SHORT_REPLY_TOKENS)
    session.say(words, reply)
    session.settle()


class _Stopping:
    """Stops one engine's work again and again."""

    def __init__(self, session: LlmSession, meter: DecodeMeter, chance: random.Random) -> None:
        self._session = session
        self._meter = meter
        self._chance = chance
        engine = session.engine
        self._long = prose(engine, min(PREFILL_TOKENS, engine.n_ctx - REPLY_TOKENS))
        begun_s = time.perf_counter()
        engine.prefill(self._long)
        self._prefill_s = time.perf_counter() - begun_s
        begun_s = time.perf_counter()
        session.reply(self._long)
        self._reply_s = time.perf_counter() - begun_s

    def stop_prefill(self) -> Stop | None:
        """Stop a prefill somewhere in its first four fifths. None if it was faster."""
        engine = self._session.engine
        engine.settle(self._long[:1])
        return self._stopped(lambda stop: engine.prefill(self._long, stop), 0.8 * self._prefill_s)

    def stop_reply(self) -> Stop | None:
        """Stop a reply somewhere in its first half. None if it was faster."""
        engine, session = self._session.engine, self._session
        engine.prefill(self._long)
        return self._stopped(lambda stop: session.reply(self._long, stop_signal=stop), 0.5 * self._reply_s)

    def _stopped(self, work: Callable[[StopSignal], object], within_s: float) -> Stop | None:
        stop = StopSignal()
        requested: list[tuple[int, float]] = []

        def request() -> None:
            requested.append((self._meter.n_tokens, time.perf_counter()))
            stop.set()

        timer = threading.Timer(self._chance.uniform(0.0, within_s), request)
        timer.start()
        work(stop)
        quiet_s = time.perf_counter()
        timer.join()
        ((n_tokens, requested_s),) = requested
        if requested_s > quiet_s:
            return None
        return Stop(n_tokens_after=self._meter.n_tokens - n_tokens, quiet_after_s=quiet_s - requested_s)
