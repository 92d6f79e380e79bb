"""The file that keeps what the benchmark measured, beside the models it measured.

It belongs to one machine and one build of llama.cpp: with other hardware, another build, or damaged, it is as if there
were none, and the next benchmark replaces it. A model whose file has changed loses its own measurement only. Measuring
is in `tools.models_bench`, what follows from the figures in `device.tuning`.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from device.board import Board, read_board
from device.tuning import Measurement, Speeds
from models.store import ModelStore

_FORMAT = 1
_MOST_BYTES = 1 << 20

_BOUNDS: Mapping[str, tuple[float, float]] = {
    "file_bytes": (1, 1 << 50),
    "file_mtime_ns": (-(1 << 63), 1 << 63),
    "n_parameters": (1, 1 << 50),
    "read_bytes": (1, 1 << 50),
    "kv_bytes": (0, 1 << 30),
    "n_ctx": (1, 1 << 24),
    "gpu_layers": (-1, 0),
    "threads": (1, 512),  # ggml's GGML_MAX_N_THREADS
    "batch_tokens": (1, 512),  # the largest that is tried; a buffer for much more would not fit
    "noise": (0, 1e6),
}
"""What the numbers of a measurement can be at all: whatever else is in the file, no benchmark has written."""

_SPEEDS = (1e-6, 1e9)
_LONGEST_TEXT = 4096  # the longest path on Linux


def tuning_file(store: ModelStore) -> Path:
    """Where the measurements of this store's models lie."""
    return store.root / "bench.json"


def machine_key(board: Board, build: str) -> str:
    """Names hardware and build: what measurements depend on, and what does not change from one day to the next."""
    facts = [
        board.name,
        board.processor,
        board.n_cpus,
        board.n_cores,
        board.core_classes,
        sorted(board.features),
        round(board.ram.total_bytes / 1e9),
        board.cpu_quota,
        board.gpus,
        build,
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def llama_build() -> str:
    """Names the build of llama.cpp that is installed, without loading it: another version, or the same one built anew
    for another processor, has libraries of other sizes or times. "" where there is none."""
    spec = find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return ""
    libraries = sorted((Path(spec.origin).parent / "lib").glob("*"))
    stamps = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in libraries if file.is_file()]
    return str(stamps)


def measurements_here(store: ModelStore) -> list[Measurement]:
    """What was measured on this very machine with the llama.cpp that is installed."""
    path = tuning_file(store)
    return read_measurements(path, machine_key(read_board(), llama_build())) if path.is_file() else []


def read_measurements(path: Path, key: str) -> list[Measurement]:
    """What was measured on the machine of that key, of models whose files are still the same. Empty where the file is
    missing, of another machine or build, or damaged."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            return []
        table = json.loads(path.read_text(encoding="utf-8"))
        if table["format"] != _FORMAT or table["machine"] != key:
            return []
        measurements = [_measurement(row) for row in table["measured"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return []
    return [one for one in measurements if _is_unchanged(one)]


def write_measurements(path: Path, key: str, measurements: Sequence[Measurement]) -> None:
    """Replace the file, all at once."""
    table = {"format": _FORMAT, "machine": key, "measured": [dataclasses.asdict(one) for one in measurements]}
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _measurement(row: dict[str, Any]) -> Measurement:
    """Raises ValueError, TypeError or KeyError for what no benchmark has written."""
    speeds = {name: _speeds(row[name]) for name in ("empty", "full")}
    quantized = None if row["full_q8"] is None else _speeds(row["full_q8"])
    measured = Measurement(**{**row, **speeds, "full_q8": quantized})
    for name, kind in get_type_hints(Measurement).items():
        value = getattr(measured, name)
        if kind in (int, str, bool, float) and type(value) is not kind:
            raise ValueError(f"{name} is of type {type(value).__name__}")
        if kind is str and len(value) > _LONGEST_TEXT:
            raise ValueError(f"{name} has {len(value)} characters")
        if name in _BOUNDS:
            _check_within(name, value, _BOUNDS[name])
    if not (measured.model.isprintable() and measured.doubt.isprintable()):
        raise ValueError("what is shown to people must be fit to be printed")
    return measured


def _speeds(row: dict[str, Any]) -> Speeds:
    speeds = Speeds(**row)
    for name, speed in dataclasses.asdict(speeds).items():
        if type(speed) is bool:
            raise ValueError(f"{name} is {speed}")
        _check_within(name, speed, _SPEEDS)
    return speeds


def _check_within(name: str, value: float, bounds: tuple[float, float]) -> None:
    """Raises TypeError for what is no number, ValueError for one out of bounds, which NaN is of any."""
    low, high = bounds
    if not low <= value <= high:
        raise ValueError(f"{name} cannot be what it is")


def _is_unchanged(measurement: Measurement) -> bool:
    if not measurement.path:
        return True  # a stand-in is always made alike
    try:
        now = Path(measurement.path).stat()
    except (OSError, ValueError):
        return False
    return (now.st_size, now.st_mtime_ns) == (measurement.file_bytes, measurement.file_mtime_ns)
