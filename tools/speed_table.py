"""How fast models of real shapes run here: random-weight files made, measured and deleted one at a time.

Gives decode and prefill speed of each, a table, and a plot of decode speed over file size with the limit that memory
bandwidth sets: for each token all weights are read once. Files come from `tools.random_gguf`; matplotlib (extra
`bench`) draws.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from device.errors import FamiliarError
from models.engine import EngineSettings, LlamaEngine
from models.sampling import Sampling
from models.threads import default_threads
from tools.llm_session import generated
from tools.llm_speed import prose
from tools.random_gguf import Mix, ModelShape, weight_bytes, write_random_gguf

MEASURED_MIXES: tuple[Mix, ...] = ("Q4_0", "Q4_K_M", "Q8_0")
CONTEXT_TOKENS = 512
PROMPT_TOKENS = 65
DECODED_TOKENS = 16

_READ_BYTES = 512 << 20
"""Read to measure bandwidth: many times the largest cache of a processor that a companion runs on."""

_READ_REPEATS = 5
_MARKERS = {"Q4_0": "o", "Q4_K_M": "s", "Q8_0": "D"}
_VOCABULARY_BYTES = 8 << 20  # of a file, beside the weights
_GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeSpeed:
    """One file. `bandwidth_gb_s`: weights read per second of decoding, in 10^9 bytes."""

    shape: str
    mix: Mix
    file_bytes: int
    weight_bytes: int
    prefill_tok_s: float
    decode_tok_s: float

    @property
    def bandwidth_gb_s(self) -> float:
        return self.weight_bytes * self.decode_tok_s / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedTable:
    """All files, and the bandwidth of reading memory with as many threads as the engine has."""

    speeds: tuple[ShapeSpeed, ...]
    bandwidth_gb_s: float
    threads: int


def measure_table(
    shapes: Sequence[ModelShape], settings: EngineSettings, *, repeats: int, say: Callable[[str], None]
) -> SpeedTable:
    """Make, measure and delete a file for each shape and mix, in the folder for temporary files.

    Raises FamiliarError when there is no room for the largest one.
    """
    threads = settings.threads or default_threads()
    speeds = []
    with tempfile.TemporaryDirectory(prefix="familiar-shapes-") as folder:
        _check_room(Path(folder), shapes)
        for shape in shapes:
            for mix in MEASURED_MIXES:
                say(f"shapes: {shape.name} in {mix}, {weight_bytes(shape, mix) / 1e9:.2f} GB ...")
                path = Path(folder) / "random.gguf"
                write_random_gguf(path, shape, mix)
                speeds.append(measure_file(path, shape, mix, settings, repeats=repeats))
                path.unlink()
    return SpeedTable(speeds=tuple(speeds), bandwidth_gb_s=read_bandwidth_gb_s(threads), threads=threads)


def measure_file(path: Path, shape: ModelShape, mix: Mix, settings: EngineSettings, *, repeats: int) -> ShapeSpeed:
    """The speed of one file: medians of `repeats` after one to warm up."""
    prefill, decode = [], []
    with LlamaEngine(path, replace(settings, n_ctx=CONTEXT_TOKENS)) as engine:
        prompt = prose(engine, PROMPT_TOKENS)
        for _ in range(repeats + 1):
            engine.settle(prompt[:1])
            begun_s = time.perf_counter()
            engine.prefill(prompt)
            prefilled_s = time.perf_counter()
            n_decoded = len(generated(engine, _GREEDY, DECODED_TOKENS))
            prefill.append((len(prompt) - 1) / (prefilled_s - begun_s))
            decode.append(n_decoded / (time.perf_counter() - prefilled_s))
    return ShapeSpeed(
        shape=shape.name,
        mix=mix,
        file_bytes=path.stat().st_size,
        weight_bytes=weight_bytes(shape, mix),
        prefill_tok_s=statistics.median(prefill[1:]),
        decode_tok_s=statistics.median(decode[1:]),
    )


def read_bandwidth_gb_s(threads: int) -> float:
    """10^9 bytes per second that `threads` threads read from memory, the best of some tries. NumPy's bitwise reduction
    reads as fast as a dot product of BLAS does, without having threads of its own."""
    parts = np.array_split(np.ones(_READ_BYTES // 8, np.int64), threads)
    best_s = float("inf")
    with ThreadPoolExecutor(threads, thread_name_prefix="read") as pool:
        for _ in range(_READ_REPEATS):
            begun_s = time.perf_counter()
            list(pool.map(np.bitwise_or.reduce, parts))
            best_s = min(best_s, time.perf_counter() - begun_s)
    return _READ_BYTES / best_s / 1e9


def table_lines(table: SpeedTable) -> list[str]:
    """The table for people, within 80 columns."""
    lines = [f"{'shape':<14}{'types':<8}{'file':>9}{'prefill':>15}{'decode':>15}{'reads':>11}"]
    lines += [
        f"{speed.shape:<14}{speed.mix:<8}{speed.file_bytes / 1e6:>6.0f} MB{speed.prefill_tok_s:>9.1f} tok/s"
        f"{speed.decode_tok_s:>9.2f} tok/s{speed.bandwidth_gb_s:>6.1f} GB/s"
        for speed in table.speeds
    ]
    lines.append(f"memory is read at {table.bandwidth_gb_s:.1f} GB/s with threads: {table.threads}")
    return lines


def draw(table: SpeedTable, folder: Path) -> tuple[Path, ...]:
    """Decode speed over file size as `speeds.png` and `speeds.svg` in `folder`, with the bandwidth limit."""
    import matplotlib as mpl

    mpl.use("Agg")  # no window
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    shapes = list(dict.fromkeys(speed.shape for speed in table.speeds))
    for speed in table.speeds:
        colour, marker = f"C{shapes.index(speed.shape)}", _MARKERS[speed.mix]
        axes.plot(speed.file_bytes / 1e9, speed.decode_tok_s, marker, color=colour, markersize=8)
    for number, shape in enumerate(shapes):  # what colours and markers mean, for the legend
        axes.plot([], [], "-", color=f"C{number}", linewidth=4, label=shape)
    for mix in MEASURED_MIXES:
        axes.plot([], [], _MARKERS[mix], color="gray", label=mix)
    sizes_gb = [speed.file_bytes / 1e9 for speed in table.speeds]
    ends_gb = np.array((min(sizes_gb) / 1.2, max(sizes_gb) * 1.2))
    limit = f"limit: all weights read once at {table.bandwidth_gb_s:.0f} GB/s"
    axes.plot(ends_gb, table.bandwidth_gb_s / ends_gb, "--", color="black", label=limit)
    axes.set(xscale="log", yscale="log", xlabel="file size, GB", ylabel="decode, tokens per second")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.set_title(f"Models of real shapes with random weights, threads: {table.threads}")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    paths = (folder / "speeds.png", folder / "speeds.svg")
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths


def _check_room(folder: Path, shapes: Sequence[ModelShape]) -> None:
    needed = max(weight_bytes(shape, mix) for shape in shapes for mix in MEASURED_MIXES) + _VOCABULARY_BYTES
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise FamiliarError(
            f"{folder.parent} has {free / 1e9:.1f} GB free, the largest random model takes {needed / 1e9:.1f} GB; "
            "make room, set TMPDIR to another disk, or name smaller ones with --shapes"
        )
