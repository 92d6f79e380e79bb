"""How fast the engine prefills and decodes beside the raw loop: the same prompt, the same tokens, taking turns.

Both hold the model at the same time and are measured one right after the other, beginning in turn, so that whatever
else the machine does hits both alike. Figures and verdicts are left to `tools.llm_report`.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from models.engine import LlamaEngine
from models.errors import ModelError
from models.sampling import Sampling
from tools.llm_script import LINES
from tools.llm_session import BenchModel, generated
from tools.raw_loop import RawLoop

PROMPT_TOKENS = 193
DECODED_TOKENS = 48
_PAIRS_PER_LOAD = 3
"""Then both are loaded anew, the other one first: where in memory weights and cache come to lie makes one side up to 3%
faster for as long as they lie there."""


_SAMPLING = Sampling(temperature=0.8, top_k=40, top_p=1.0, min_p=0.05, repeat_penalty=1.0, seed=1)
"""The chain that `RawLoop` builds by hand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedPair:
    """Tokens per second of both sides, measured one right after the other."""

    ours_tok_s: float
    raw_tok_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedRun:
    """All repeats, in order."""

    prefill: tuple[SpeedPair, ...]
    decode: tuple[SpeedPair, ...]
    n_prompt: int


def run_speed(model: BenchModel, *, repeats: int, say: Callable[[str], None]) -> SpeedRun:
    """Measure both sides at least `repeats` times.

    Raises ModelError when they do not draw the same tokens: then they have not done the same work.
    """
    say(f"speed: the engine and the raw loop, {repeats} times in turn ...")
    pairs: list[tuple[SpeedPair, SpeedPair]] = []
    n_prompt = 0
    while len(pairs) < repeats:
        with ExitStack() as stack:
            engine, raw = _open_both(model, stack, ours_first=len(pairs) % 2 == 0)
            prompt = prose(engine, min(PROMPT_TOKENS, engine.n_ctx // 2))
            n_prompt = len(prompt)
            sides = _Sides(engine, raw, prompt)
            sides.measure_pair(ours_first=True)  # warms up: pages of the model, the allocator, the processor's clock
            pairs += [sides.measure_pair(ours_first=bool(number % 2)) for number in range(_PAIRS_PER_LOAD)]
    return SpeedRun(
        prefill=tuple(prefill for prefill, _ in pairs), decode=tuple(decode for _, decode in pairs), n_prompt=n_prompt
    )


def _open_both(model: BenchModel, stack: ExitStack, *, ours_first: bool) -> tuple[LlamaEngine, RawLoop]:
    if ours_first:
        engine = stack.enter_context(LlamaEngine(model.path, model.settings))
        return engine, stack.enter_context(RawLoop(model.path, model.settings, _SAMPLING))
    raw = stack.enter_context(RawLoop(model.path, model.settings, _SAMPLING))
    return stack.enter_context(LlamaEngine(model.path, model.settings)), raw


def prose(engine: LlamaEngine, n_tokens: int) -> tuple[int, ...]:
    """So many tokens of plain text. A model goes on with it for a while: there is no turn to end."""
    text = " ".join(LINES)
    tokens = engine.vocabulary.tokenize(text, parse_special=False)
    leading = engine.vocabulary.leading_token
    whole = (*([] if leading is None else [leading]), *tokens * (n_tokens // len(tokens) + 1))
    return whole[:n_tokens]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Side:
    prefill_tok_s: float
    decode_tok_s: float
    tokens: tuple[int, ...]


class _Sides:
    """Both sides begin with the first token of the prompt in their caches, in the same cell: then every cell that
    follows is the same, too, and with it each rounding error."""

    def __init__(self, engine: LlamaEngine, raw: RawLoop, prompt: tuple[int, ...]) -> None:
        self._engine = engine
        self._raw = raw
        self._prompt = prompt
        self._n_decoded = min(DECODED_TOKENS, engine.n_ctx - len(prompt) - 1)

    def measure_pair(self, *, ours_first: bool) -> tuple[SpeedPair, SpeedPair]:
        """Prefill and decode speed of both sides."""
        if ours_first:
            ours = self._measure_ours()
            raw = self._measure_raw(len(ours.tokens))
        else:
            raw = self._measure_raw(self._n_decoded)
            ours = self._measure_ours()
        n_both = min(len(ours.tokens), len(raw.tokens))
        if ours.tokens[:n_both] != raw.tokens[:n_both]:
            raise ModelError("the engine and the raw loop drew different tokens from the same prompt and seed")
        return (
            SpeedPair(ours_tok_s=ours.prefill_tok_s, raw_tok_s=raw.prefill_tok_s),
            SpeedPair(ours_tok_s=ours.decode_tok_s, raw_tok_s=raw.decode_tok_s),
        )

    def _measure_ours(self) -> _Side:
        self._engine.settle(self._prompt[:1])
        begun_s = time.perf_counter()
        self._engine.prefill(self._prompt)
        prefilled_s = time.perf_counter()
        tokens = generated(self._engine, _SAMPLING, self._n_decoded)
        return self._side(begun_s, prefilled_s, tokens)

    def _measure_raw(self, n_decoded: int) -> _Side:
        self._raw.clear()
        self._raw.prefill(self._prompt[:1])
        begun_s = time.perf_counter()
        self._raw.prefill(self._prompt[1:])
        prefilled_s = time.perf_counter()
        return self._side(begun_s, prefilled_s, self._raw.decode(n_decoded))

    def _side(self, begun_s: float, prefilled_s: float, tokens: Sequence[int]) -> _Side:
        return _Side(
            prefill_tok_s=(len(self._prompt) - 1) / (prefilled_s - begun_s),
            decode_tok_s=len(tokens) / (time.perf_counter() - prefilled_s),
            tokens=tuple(tokens),
        )
