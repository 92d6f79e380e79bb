"""The micro-benchmark's child: loads one model on one back-end, measures it for some three seconds, prints the figures.

`python -m tools.models_probe JSON` for `tools.models_bench`, which gives it a time limit: native back-ends may hang or
crash. The engine's own loading (`models.loading`) is measured, driven by the low-level API alone.

A full context is what counts, and computing one takes longer than the whole benchmark may. So a few tokens are
computed, and their cells are restored again and again until the context is full: attention costs by the cells it looks
at, whatever is in them. (SmolLM2-135M at 1,984 cells, one thread: 56 tokens/s decoded and 107 prefilled either way; in
q8_0 38.0 and 47.0, with a context that was really computed 37.8 and 46.1.)
"""

import ctypes
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from models.errors import ModelError
from models.footprint import kv_widths, n_parameters, read_bytes_per_token
from models.loading import SEQUENCES, EngineSettings, LoadedModel

_BATCHES = (32, 64, 128, 256, 512)
_TURN_TOKENS = 16
"""Tokens of a prompt's new part that are computed against a full context."""

_GOOD_ENOUGH = 0.97
"""A smaller batch that reaches this part of the best speed is preferred: it needs less memory."""

_MOST_RUNS = 12
_MARGIN_TOKENS = 64
"""Room for the runs in a full context: one token to begin with, runs of two tokens, and a turn's."""

_SHORT_CTX = 1024
"""Context for measuring threads and batches: twice the largest batch."""

_CONVERSATION, _SPARE = range(SEQUENCES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to measure: a model file, with all layers on the GPU (`gpu_layers` -1) or none (0), in a context of at most
    `n_ctx` tokens, with each of these numbers of threads, in about `budget_s` of measuring."""

    path: str
    n_ctx: int
    gpu_layers: int
    threads: tuple[int, ...]
    budget_s: float


class Meter:
    """A loaded model and a stopwatch. All speeds are the best of short repeats: whatever else runs makes them worse,
    nothing makes them better. `noise` is by what part the repeats of one measurement differed at most."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._loaded = loaded
        self._lib = loaded.lib
        self._memory = self._lib.llama_get_memory(loaded.context)
        # Zeros: any token will do, the time for one does not depend on which it is.
        self._buffer = (self._lib.llama_token * max(_BATCHES))()
        self.noise = 0.0

    def compute(self, n_tokens: int) -> float:
        """Append so many tokens in one batch; the seconds that took."""
        begun_s = time.perf_counter()
        answer = self._lib.llama_decode(self._loaded.context, self._lib.llama_batch_get_one(self._buffer, n_tokens))
        self._lib.llama_synchronize(self._loaded.context)
        if answer != 0:
            reason = self._loaded.llama.take_complaints() or "no reason given"
            raise ModelError(f"llama.cpp could not compute {n_tokens} tokens (code {answer}): {reason}")
        return time.perf_counter() - begun_s

    def forget(self) -> None:
        """Empty the context."""
        self._lib.llama_memory_clear(self._memory, False)  # noqa: FBT003  positional in C: the cells' data may stay

    def decode_tps(self, budget_s: float, *, n_tokens: int = 4) -> float:
        """Tokens a second, one by one: the best of two or more runs of `n_tokens`, as the budget allows."""
        runs_s = _repeat(lambda: sum(self.compute(1) for _ in range(n_tokens)), budget_s)
        self._note_noise(runs_s)
        return n_tokens / min(runs_s)

    def prefill_tps(self, budget_s: float, n_tokens: int) -> float:
        """Tokens a second in a batch of `n_tokens` in an empty context, the best of one or more."""

        def run_s() -> float:
            self.forget()
            return self.compute(n_tokens)

        runs_s = _repeat(run_s, budget_s, at_least=1)
        self._note_noise(runs_s)
        return n_tokens / min(runs_s)

    def use_threads(self, n: int) -> None:
        """Compute with so many threads from now on."""
        self._lib.llama_set_n_threads(self._loaded.context, n, n)

    def fill(self, n_cells: int, n_seed: int) -> bool:
        """Make the conversation look as long as `n_cells`, from `n_seed` tokens. False where the model's memory does
        not work that way (recurrent ones keep no cells)."""
        if not self._lib.llama_memory_can_shift(self._memory):
            return False
        self.forget()
        self.compute(n_seed)
        context, lib = self._loaded.context, self._lib
        size = lib.llama_state_seq_get_size(context, _CONVERSATION)
        state = (ctypes.c_uint8 * size)()
        lib.llama_state_seq_get_data(context, state, size, _CONVERSATION)
        for _ in range(n_cells // n_seed - 1):
            if lib.llama_state_seq_set_data(context, state, size, _SPARE) == 0:
                return False
            lib.llama_memory_seq_cp(self._memory, _SPARE, _CONVERSATION, -1, -1)
            lib.llama_memory_seq_rm(self._memory, _SPARE, -1, -1)
        return True

    def _note_noise(self, runs_s: Sequence[float]) -> None:
        self.noise = max(self.noise, sorted(runs_s)[len(runs_s) // 2] / min(runs_s) - 1)


class OtherWork:
    """How many processors everything else has kept busy since this was made: that is what spoils a measurement, and not
    the load average, which still remembers what ended a minute ago."""

    def __init__(self, stat: Path = Path("/proc/stat")) -> None:
        self._stat = stat
        self._begun = self._now()

    def cpus(self) -> float:
        """0 where the system does not say."""
        (wall_s, own_s, all_s), (wall_then_s, own_then_s, all_then_s) = self._now(), self._begun
        return max(0.0, (all_s - all_then_s) - (own_s - own_then_s)) / max(1e-9, wall_s - wall_then_s)

    def _now(self) -> tuple[float, float, float]:
        own = os.times()
        try:
            ticks = [int(number) for number in self._stat.read_text().partition("\n")[0].split()[1:]]
        except (OSError, ValueError):
            ticks = []
        idle = sum(ticks[3:5])  # idle and waiting for a disk; guests (the last two) are counted in user and nice
        busy_s = (sum(ticks[:8]) - idle) / os.sysconf("SC_CLK_TCK")
        return time.monotonic(), own.user + own.system, busy_s if ticks else own.user + own.system


def measure(request: Request) -> dict[str, Any]:
    """All figures of one model on one back-end, as `tools.models_bench` reads them. Raises the errors of `models`."""
    settings = EngineSettings(
        n_ctx=min(request.n_ctx, _SHORT_CTX),
        n_batch=min(max(_BATCHES), request.n_ctx),
        threads=max(request.threads),
        gpu_layers=request.gpu_layers,
    )
    part_s = request.budget_s / 6
    others = OtherWork()
    loaded = LoadedModel(Path(request.path), settings)
    try:
        meter = Meter(loaded)
        meter.compute(2)  # brings the weights into memory
        meter.noise = 0.0
        threads, decode_tps = _best_threads(meter, request.threads, 2 * part_s)
        meter.use_threads(threads)
        batch, prefill_tps = _best_batch(meter, loaded.n_batch, part_s)
        header = loaded.header
    finally:
        loaded.close()
    found: dict[str, Any] = {
        "threads": threads,
        "batch_tokens": batch,
        "n_ctx": min(request.n_ctx, header.context_length or request.n_ctx),
        "n_parameters": n_parameters(header),
        "read_bytes": read_bytes_per_token(header),
        "kv_bytes": sum(k + v for k, v in kv_widths(header)) * 2,
        "empty": {"prefill_tps": prefill_tps, "decode_tps": decode_tps},
    }
    chosen = replace(settings, n_ctx=request.n_ctx, n_batch=batch, threads=threads)
    full: dict[str, dict[str, float] | None] = {}
    for name, changes in _WAYS.items():
        full[name], noise = _full(Path(request.path), replace(chosen, **changes), prefill_tps, part_s)
        meter.noise = max(meter.noise, noise)
    return {**found, "full": full, "noise": meter.noise, "other_cpus": others.cpus()}


# The ways to keep and read the cache that are worth comparing; a quantized one always has flash attention.
_WAYS: dict[str, dict[str, Any]] = {
    "f16": {"kv_type": "f16", "flash_attention": False},
    "f16 flash": {"kv_type": "f16", "flash_attention": True},
    "q8_0": {"kv_type": "q8_0"},
}


def _full(
    path: Path, settings: EngineSettings, prefill_tps: float, budget_s: float
) -> tuple[dict[str, float] | None, float]:
    """Speeds with a full context, and their noise; None where this way does not work for this model."""
    try:
        loaded = LoadedModel(path, settings)
    except ModelError:  # a cache of that type that the model's heads cannot have
        return None, 0.0
    try:
        meter = Meter(loaded)
        n_seed = _power_of_two(prefill_tps * budget_s / 4, most=min(64, settings.n_batch))
        room = int(loaded.lib.llama_n_ctx(loaded.context)) - _MARGIN_TOKENS
        if not meter.fill(room, n_seed):
            return None, 0.0
        meter.compute(1)
        speeds = {
            "decode_tps": meter.decode_tps(budget_s / 2, n_tokens=2),
            "prefill_tps": _TURN_TOKENS / meter.compute(_TURN_TOKENS),
        }
    finally:
        loaded.close()
    return speeds, meter.noise


def _best_threads(meter: Meter, candidates: Sequence[int], budget_s: float) -> tuple[int, float]:
    """The number of threads that decodes fastest, by successive halving: the worse half leaves after each round, and
    the rest is measured longer."""
    best_tps = dict.fromkeys(candidates, 0.0)
    while True:
        share_s = budget_s / 2 / len(best_tps)
        for n in best_tps:
            meter.use_threads(n)
            meter.forget()
            meter.compute(1)  # threads start with the first batch that has them
            best_tps[n] = max(best_tps[n], meter.decode_tps(share_s))
        fastest_first = sorted(best_tps, key=lambda n: best_tps[n], reverse=True)
        if len(fastest_first) == 1:
            return fastest_first[0], best_tps[fastest_first[0]]
        best_tps = {n: best_tps[n] for n in fastest_first[: (len(fastest_first) + 1) // 2]}


def _best_batch(meter: Meter, most: int, budget_s: float) -> tuple[int, float]:
    """The smallest size of batches that prefills about as fast as the best. Larger ones are tried for as long as they
    gain something and the next would not take longer than the budget."""
    speeds: dict[int, float] = {}
    for size in (size for size in _BATCHES if size <= most):
        if speeds and size / max(speeds.values()) > budget_s:
            break
        meter.forget()
        speeds[size] = meter.prefill_tps(budget_s / 4, size)
        if len(speeds) > 2 and speeds[size] < _GOOD_ENOUGH * max(speeds.values()):
            break
    best_tps = max(speeds.values())
    return next(size for size, tps in speeds.items() if tps >= _GOOD_ENOUGH * best_tps), best_tps


def _repeat(run_s: Callable[[], float], budget_s: float, *, at_least: int = 2) -> list[float]:
    """Seconds of each run, at least so many of them, until their sum reaches the budget or there are enough."""
    runs_s: list[float] = []
    while len(runs_s) < at_least or (len(runs_s) < _MOST_RUNS and sum(runs_s) + min(runs_s) < budget_s):
        runs_s.append(run_s())
    return runs_s


def _power_of_two(n: float, *, most: int) -> int:
    """The largest power of two up to `n`, at least 4, at most `most`."""
    return int(min(most, 1 << max(2, int(n).bit_length() - 1)))


if __name__ == "__main__":
    try:
        asked = json.loads(sys.argv[1])
        sys.stdout.write("\n" + json.dumps(measure(Request(**{**asked, "threads": tuple(asked["threads"])}))) + "\n")
    except ModelError as error:
        sys.exit(str(error))
