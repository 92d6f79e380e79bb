"""`familiar models bench`: how fast the models that are here run on this board, and what follows from it.

Starts one child for each model and back-end (`tools.models_probe`), each with a time limit: one that hangs or crashes
costs its limit, is reported, and the others go on. What was measured is kept (`device.tuning_file`) and used from then
on; predictions and the choice are those of `device.tuning`. Showing all that is left to `tools.models_report`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from device.board import Board
from device.engines import Found, llm_candidates
from device.probes import ProbeError, ask, run_child
from device.tuning import (
    Candidate,
    Measurement,
    Speeds,
    Verdict,
    choose,
    explain,
    first_clause_s,
    judge,
    memory_budget_bytes,
)
from device.tuning_file import llama_build, machine_key, read_measurements, tuning_file, write_measurements
from models.store import ModelStore

STAND_IN = "stand-in (1.5B)"
"""The name of a model that was made for measuring."""

MEASURING_S = 3.0
"""About how long the figures of one model on one back-end take on a quiet machine, besides loading."""

_MOST_CTX = 4096
"""Longer contexts are not filled for measuring: their buffers alone might not fit."""

_CHILD_LIMIT_S = 60.0
_SLOWEST_DISK_BYTES_PER_S = 20e6
"""A worn SD card; loading reads the file once."""

_MOST_NOISE = 0.2
"""Repeats differed by 4% on two quiet cores, by 23 to 50% while other programs used one and a half of them."""

_SPARE_CPUS = 0.25
"""What a quiet system may take of the processors that the engine does not use up, and a little more."""

_FLASH_GAIN = 0.95
"""Flash attention must bring the first clause down to this part: less is within the noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A model that could not be measured on a back-end ("CPU", "GPU"), and why."""

    model: str
    backend: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """All that the benchmark found, and what follows: `verdicts` on every model of the catalogue and every one that was
    measured, largest first, and the recommended one (None without a measurement)."""

    board: Board
    n_ctx: int
    budget_bytes: int
    measurements: tuple[Measurement, ...]
    failures: tuple[Failure, ...]
    verdicts: tuple[Verdict, ...]
    recommended: Verdict | None

    @property
    def succeeded(self) -> bool:
        """Whether there are figures, of every model on some back-end."""
        measured = {one.model for one in self.measurements}
        return bool(measured) and all(failure.model in measured for failure in self.failures)


def run_models_bench(
    models: Sequence[Found],
    store: ModelStore,
    board: Board,
    *,
    n_ctx: int,
    say: Callable[[str], None],
    stand_in: Callable[[], AbstractContextManager[Path]] | None = None,
) -> Outcome:
    """Measure the models and, with `stand_in`, a model that it makes (`tools.stand_in`), and keep what was found, with
    what is kept of others. `say` gets a line at each step."""
    key, path = machine_key(board, llama_build()), tuning_file(store)
    measured: list[Measurement] = []
    failures: list[Failure] = []
    for model in models:
        for backend in _backends(board):
            say(f"{model.name} on the {backend} ...")
            try:
                measured.append(_measure(model, backend, board, n_ctx))
            except ProbeError as error:
                failures.append(Failure(model=model.name, backend=backend, why=str(error)))
    if stand_in is not None:
        say("a stand-in for larger models ...")
        try:
            measured += _measure_stand_in(stand_in, board, n_ctx)
        except (OSError, ProbeError) as error:
            failures.append(Failure(model=STAND_IN, backend="CPU", why=str(error)))
    again = {one.path for one in measured}
    kept = [one for one in read_measurements(path, key) if one.path not in again]
    if measured:
        write_measurements(path, key, [*measured, *kept])
    return outcome([*measured, *kept], store, board, n_ctx=n_ctx, failures=failures)


def kept_outcome(store: ModelStore, board: Board, *, n_ctx: int) -> Outcome:
    """What follows from what was measured before."""
    kept = read_measurements(tuning_file(store), machine_key(board, llama_build()))
    return outcome(kept, store, board, n_ctx=n_ctx, failures=())


def outcome(
    measurements: Sequence[Measurement], store: ModelStore, board: Board, *, n_ctx: int, failures: Sequence[Failure]
) -> Outcome:
    """Put measurements and what follows from them together."""
    budget_bytes = memory_budget_bytes(board.ram.total_bytes)
    candidates = llm_candidates(store, measurements)
    known = {candidate.path for candidate in candidates}
    candidates += [_own_file(one) for one in measurements if one.path and one.path not in known]
    verdicts = judge(dict.fromkeys(candidates), measurements, n_ctx=n_ctx, budget_bytes=budget_bytes)
    return Outcome(
        board=board,
        n_ctx=n_ctx,
        budget_bytes=budget_bytes,
        measurements=tuple(measurements),
        failures=tuple(failures),
        verdicts=tuple(verdicts),
        recommended=choose(verdicts),
    )


def thread_candidates(board: Board) -> list[int]:
    """Numbers of threads worth trying: all up to four, then steps of about a third."""
    most = board.n_engine_threads
    steps = {n for n in (1, 2, 3, 4, 6, 8, 12, 16, 24, 32) if n < most}
    return sorted({*steps, most})


def _backends(board: Board) -> tuple[str, ...]:
    """The GPU where there is one and llama.cpp was built for it; a driver that hangs when asked has none."""
    if not (board.cuda or board.metal):
        return ("CPU",)
    try:
        return ("CPU", "GPU") if ask("llama")["gpu_offload"] else ("CPU",)
    except ProbeError:
        return ("CPU",)


def _measure_stand_in(
    stand_in: Callable[[], AbstractContextManager[Path]], board: Board, n_ctx: int
) -> list[Measurement]:
    """On every back-end. Raises ProbeError, and what making it raises."""
    with stand_in() as path:
        made = Found(name=STAND_IN, path=path)
        return [replace(_measure(made, backend, board, n_ctx), path="") for backend in _backends(board)]


def _measure(model: Found, backend: str, board: Board, n_ctx: int) -> Measurement:
    """Raises ProbeError."""
    file = model.path.stat()
    threads = thread_candidates(board) if backend == "CPU" else [min(4, board.n_engine_threads)]
    gpu_layers = 0 if backend == "CPU" else -1
    request = {
        "path": str(model.path),
        "n_ctx": min(n_ctx, _MOST_CTX),
        "gpu_layers": gpu_layers,
        "threads": threads,
        "budget_s": MEASURING_S,
    }
    limit_s = _CHILD_LIMIT_S + file.st_size / _SLOWEST_DISK_BYTES_PER_S
    found = run_child("tools.models_probe", json.dumps(request), limit_s=limit_s)
    empty = Speeds(**found["empty"])
    full, flash_attention = _best_full(found["full"], empty)
    quantized = found["full"]["q8_0"]
    return Measurement(
        model=model.name,
        path=str(model.path),
        file_bytes=file.st_size,
        file_mtime_ns=file.st_mtime_ns,
        gpu_layers=gpu_layers,
        empty=empty,
        full=full,
        full_q8=Speeds(**quantized) if quantized else None,
        flash_attention=flash_attention,
        doubt=_doubt(found["noise"], found["other_cpus"], board.n_cpus - found["threads"]),
        **{name: found[name] for name in _AS_THEY_ARE},
    )


_AS_THEY_ARE = ("threads", "batch_tokens", "n_ctx", "n_parameters", "read_bytes", "kv_bytes", "noise")


def _best_full(ways: Mapping[str, dict[str, float] | None], empty: Speeds) -> tuple[Speeds, bool]:
    """The quicker of an f16 cache without and with flash attention, which must gain something worth the change. A
    model without a cache that could be filled is as fast at any length."""
    plain = Speeds(**ways["f16"]) if ways["f16"] else empty
    flash = Speeds(**ways["f16 flash"]) if ways["f16 flash"] else None
    if flash is not None and first_clause_s(flash) < _FLASH_GAIN * first_clause_s(plain):
        return flash, True
    return plain, False


def _doubt(noise: float, other_cpus: float, free_cpus: int) -> str:
    """Why these figures are not to be trusted; "" if they are."""
    if other_cpus > free_cpus + _SPARE_CPUS:
        return f"other programs kept {other_cpus:.1f} processors busy"
    return f"repeats differed by {noise:.0%}: the machine was busy or hot" if noise > _MOST_NOISE else ""


def _own_file(measurement: Measurement) -> Candidate:
    return Candidate(
        name=measurement.model,
        path=measurement.path,
        size_bytes=measurement.file_bytes,
        n_parameters=measurement.n_parameters,
        kv_bytes=measurement.kv_bytes,
    )


def as_json(found: Outcome) -> str:
    """All figures, for programs."""
    verdicts: list[dict[str, Any]] = [
        {
            "model": one.candidate.name,
            "path": one.candidate.path,
            "size_bytes": one.candidate.size_bytes,
            "memory_bytes": one.memory_bytes,
            **asdict(one.speeds),
            "first_clause_s": one.first_clause_s,
            "basis": one.basis,
            "measured": one.measured,
            "objection": one.objection,
            "tuning": asdict(one.tuning),
        }
        for one in found.verdicts
    ]
    best = found.recommended
    table = {
        "board": {"name": found.board.name, "processor": found.board.processor, "n_cores": found.board.n_cores},
        "n_ctx": found.n_ctx,
        "budget_bytes": found.budget_bytes,
        "measured": [{**asdict(one), "bandwidth_bytes_per_s": one.bandwidth_bytes_per_s} for one in found.measurements],
        "failures": [asdict(one) for one in found.failures],
        "models": verdicts,
        "recommended": best.candidate.name if best else None,
        "why": explain(best, found.verdicts) if best else [],
    }
    return json.dumps(table, indent=2)
