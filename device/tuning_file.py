"""The file that keeps what the benchmark measured, beside the models it measured.

It belongs to one machine and one build of llama.cpp: with other hardware, another build, or damaged, it is as if there
were none, and the next benchmark replaces it. A model whose file has changed loses its own measurement only. Measuring
is in `tools.models_bench`, what follows from the figures in `device.tuning`.
"""

import dataclasses
import hashlib
import json
import math
import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_type_hints

from device.board import Board, read_board
from device.tuning import Measurement, Speeds
from models.store import ModelStore

_FORMAT = 1
_MOST_BYTES = 1 << 20


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
            raise ValueError(f"{name} is {value!r}")
    if min(measured.file_bytes, measured.n_parameters, measured.read_bytes, measured.n_ctx) < 1:
        raise ValueError("sizes must be positive")
    return measured


def _speeds(row: dict[str, Any]) -> Speeds:
    speeds = Speeds(**row)
    if not all(math.isfinite(speed) and speed > 0 for speed in (speeds.prefill_tps, speeds.decode_tps)):
        raise ValueError(f"{speeds} cannot be")
    return speeds


def _is_unchanged(measurement: Measurement) -> bool:
    try:
        now = Path(measurement.path).stat()
    except (OSError, ValueError):
        return False
    return (now.st_size, now.st_mtime_ns) == (measurement.file_bytes, measurement.file_mtime_ns)
