"""`familiar bench memory`: what remembering costs with 1,000, 10,000 and 100,000 turns, beside others.

Each measurement runs in a process of its own, on the disk where the memory of this person lies (what a commit waits for
is that disk) in a folder that is removed at the end. What is measured is in `tools.bench_memory_store` and
`tools.bench_memory_rivals`, what it means in `tools.bench_memory_report`; the talk is made up by
`tools.bench_memory_talk`.
"""

import multiprocessing
import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import ParamSpec, TypeVar

from device.errors import FamiliarError
from device.paths import state_dir
from tools.bench_memory_report import growth_part, rivals_part, size_part
from tools.bench_memory_rivals import INSTALL_MEM0, RivalRun, measure_json, measure_mem0, mem0_name
from tools.bench_memory_store import Sample, StoreRun, fill, measure
from tools.llm_report import Report, as_json, as_text

TURNS = (1_000, 10_000, 100_000)

RIVALS_UP_TO = 10_000
"""Beyond, the JSON file takes more than ten seconds for one turn, and mem0's store itself warns of its size."""

GROWTH_FROM = 10
"""Growth is told from a tenfold of turns on: below, it drowns in what else the machine does."""

FULL = Sample(commits=1_000, queries=60, steps=300)
QUICK = Sample(commits=100, queries=10, steps=50)

_SEED = 1
_BYTES_PER_TURN = 12_000
"""The most that any of the stores takes on the disk at once."""

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")
_Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRequest:
    """What is to be measured; report and plot go to the folder `out`, if there is one."""

    turns: tuple[int, ...] = TURNS
    sample: Sample = FULL
    out: Path | None = None


def run_bench(request: BenchRequest, say: _Say) -> Report:
    """Measure; `say` gets a line at each step.

    Raises FamiliarError for missing packages or room, before anything is measured, and the errors of `memory`.
    """
    if request.out is not None:
        if find_spec("matplotlib") is None:
            raise FamiliarError("drawing needs matplotlib: pip install 'familiar-companion[bench]', or leave out --out")
        request.out.mkdir(parents=True, exist_ok=True)
    turns = sorted(set(request.turns))
    place = state_dir(os.environ)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    _check_room(place, turns)
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder:
        runs = [_run_ours(Path(folder), n_turns, request.sample, say) for n_turns in turns]
        rivals = [
            run for n_turns in turns if n_turns <= RIVALS_UP_TO for run in _run_rivals(Path(folder), n_turns, say)
        ]
    parts = [size_part(run) for run in runs]
    if turns[-1] >= GROWTH_FROM * turns[0]:
        parts.append(growth_part(runs))
    parts.append(rivals_part(runs, rivals, None if mem0_name() else INSTALL_MEM0))
    about = {
        "machine": f"{platform.machine()}, {os.cpu_count()} processors",
        "disk": f"that of {place}",
        "library": f"SQLite {sqlite3.sqlite_version}",
        "run": "quick: figures are rough" if request.sample == QUICK else "full",
    }
    report = Report(about=about, parts=tuple(parts))
    if request.out is not None:
        (request.out / "memory.json").write_text(as_json(report) + "\n", encoding="utf-8")
        (request.out / "memory.txt").write_text(as_text(report) + "\n", encoding="utf-8")
        for path in draw(runs, rivals, request.out):
            say(f"drawn in {path}")
    return report


def _run_ours(folder: Path, n_turns: int, sample: Sample, say: _Say) -> StoreRun:
    path = folder / f"{n_turns}" / "memory.db"
    say(f"{n_turns:,} turns: writing them")
    _apart(fill, path, n_turns, _SEED)
    say(f"{n_turns:,} turns: measuring")
    run = _apart(measure, path, sample, _SEED)
    shutil.rmtree(path.parent)
    return run


def _run_rivals(folder: Path, n_turns: int, say: _Say) -> list[RivalRun]:
    runs = []
    measures = [("a JSON file", measure_json)]
    if name := mem0_name():
        measures.append((name, measure_mem0))
    for name, measure_rival in measures:
        say(f"{n_turns:,} turns: {name}")
        with tempfile.TemporaryDirectory(prefix="rival-", dir=folder) as place:
            runs.append(_apart(measure_rival, Path(place), n_turns, _SEED))
    return runs


def _apart(function: Callable[_Arguments, _Result], *args: _Arguments.args, **kwargs: _Arguments.kwargs) -> _Result:
    """Call it in a fresh process: what a start costs and what lies in RAM are then its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(function, *args, **kwargs).result()


def _check_room(place: Path, turns: Sequence[int]) -> None:
    needed, free = max(turns) * _BYTES_PER_TURN, shutil.disk_usage(place).free
    if needed > free:
        raise FamiliarError(
            f"{place} has {free / 1e6:,.0f} MB free, {max(turns):,} turns may take {needed / 1e6:,.0f} MB; make room, "
            "or name fewer with --turns"
        )


def draw(runs: Sequence[StoreRun], rivals: Sequence[RivalRun], folder: Path) -> tuple[Path, ...]:
    """Medians and 99th percentiles of commit and recall over the turns, as `memory.png` and `memory.svg`."""
    import matplotlib as mpl
    import numpy as np

    mpl.use("Agg")  # no window
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    series = {"ours": [(run.n_turns, run.commit_s, sum(run.recall_s.values(), ())) for run in runs]}
    for rival in rivals:
        series.setdefault(rival.name, []).append((rival.n_turns, rival.commit_s, rival.recall_s))
    for side, (axes, title) in enumerate(zip(figure.subplots(1, 2), ("commit, disk included", "recall"), strict=True)):
        for number, (name, points) in enumerate(series.items()):
            sizes = [point[0] for point in points]
            for percent, style in ((50, "o-"), (99, "x:")):
                times_ms = [1e3 * float(np.percentile(point[1 + side], percent)) for point in points]
                axes.plot(sizes, times_ms, style, color=f"C{number}", label=f"{name}, {percent}%")
        axes.set(xscale="log", yscale="log", xlabel="turns", ylabel="ms", title=title)
        axes.grid(visible=True, which="both", alpha=0.3)
    figure.axes[0].legend()
    paths = (folder / "memory.png", folder / "memory.svg")
    for path in paths:
        figure.savefig(path, dpi=150)
    return paths
