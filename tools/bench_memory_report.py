"""The report of `familiar bench memory`: figures, targets and verdicts from what was measured. Pure.

How figures and verdicts are written is that of `tools.llm_report`; measuring is left to `tools.bench_memory_store` and
`tools.bench_memory_rivals`.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import nan

import numpy as np

from tools.bench_memory_rivals import RivalRun
from tools.bench_memory_store import StoreRun
from tools.llm_report import Figure, Part

COMMIT_P99_MS = 5.0
RECALL_P50_MS = 3.0
RECALL_P99_MS = 10.0
STEP_P95_MS = 10.0
VECTOR_MS_PER_10000 = 0.25
"""The slope with which 100,000 turns leave room for the rest of RECALL_P50_MS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ms:
    """Percentiles in milliseconds; NaN where nothing was measured."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, durations_s: Iterable[float]) -> "_Ms":
        values = 1e3 * np.array(list(durations_s))
        p50, p95, p99 = np.percentile(values, (50, 95, 99)) if values.size else (nan, nan, nan)
        return cls(p50=float(p50), p95=float(p95), p99=float(p99))


def size_part(run: StoreRun) -> Part:
    """One size of our store."""
    commit, sync = _Ms.of(run.commit_s), _Ms.of(run.sync_s)
    own = _Ms.of(one - other for one, other in zip(run.commit_s, run.sync_s, strict=True))
    recall, lexical = _Ms.of(_all(run.recall_s)), _Ms.of(_all(run.lexical_s))
    step = _Ms.of(run.asleep_s)
    figures = (
        Figure(
            name="commit_p99_ms", label="commit, disk included: p99", value=commit.p99, unit="ms", at_most=COMMIT_P99_MS
        ),
        Figure(name="commit_p50_ms", label="median", value=commit.p50, unit="ms"),
        Figure(name="sync_p99_ms", label="as many bytes, written bare: p99", value=sync.p99, unit="ms"),
        Figure(name="sync_p50_ms", label="median", value=sync.p50, unit="ms"),
        Figure(name="commit_less_sync_p50_ms", label="commit less bare write: median", value=own.p50, unit="ms"),
        Figure(name="commit_bytes", label="a commit writes", value=float(run.commit_bytes), unit="B"),
        Figure(
            name="describe_p50_ms", label="storing two meanings: median", value=_Ms.of(run.describe_s).p50, unit="ms"
        ),
        Figure(name="recall_p50_ms", label="recall: median", value=recall.p50, unit="ms", at_most=RECALL_P50_MS),
        Figure(name="recall_p99_ms", label="recall: p99", value=recall.p99, unit="ms", at_most=RECALL_P99_MS),
        Figure(name="lexical_p50_ms", label="by words alone: median", value=lexical.p50, unit="ms"),
        Figure(name="lexical_p99_ms", label="by words alone: p99", value=lexical.p99, unit="ms"),
        Figure(name="step_p95_ms", label="a step of sleep: p95", value=step.p95, unit="ms", at_most=STEP_P95_MS),
        Figure(name="open_ms", label="opening the memory", value=1e3 * run.open_s, unit="ms"),
        Figure(name="first_recall_ms", label="first recall, which reads", value=1e3 * run.first_recall_s, unit="ms"),
        Figure(name="file_bytes_per_turn", label="file, a turn", value=run.file_bytes / run.n_turns, unit="B"),
        Figure(name="ram_bytes_per_turn", label="RAM, a turn", value=run.ram_bytes / run.n_turns, unit="B"),
    )
    return Part(
        name=str(run.n_turns),
        title=f"{run.n_turns:,} turns with two meanings each, {run.n_asked:,} of them of the pair that is asked about",
        figures=figures,
        lines=tuple(
            f"recall of {kind}: {_Ms.of(run.recall_s[kind]).p50:.2f} ms, by words alone "
            f"{_Ms.of(run.lexical_s[kind]).p50:.2f} ms (medians)"
            for kind in run.recall_s
        ),
        measured=asdict(run),
    )


def growth_part(runs: Sequence[StoreRun]) -> Part:
    """How times grow with the turns, from at least two sizes."""
    few, many = min(runs, key=lambda run: run.n_turns), max(runs, key=lambda run: run.n_turns)
    grown = _Ms.of(_all(many.lexical_s)).p50 / _Ms.of(_all(few.lexical_s)).p50
    logarithmic = math.log(many.n_turns) / math.log(few.n_turns)
    sizes = np.array([run.n_turns for run in runs])
    medians_ms = np.array([_Ms.of(_all(run.recall_s)).p50 for run in runs])
    slope = float(np.polyfit(sizes / 1e4, medians_ms, 1)[0])
    figures = (
        Figure(
            name="lexical_over_logarithmic",
            label="by words: growth / that of the logarithm",
            value=grown / logarithmic,
            at_most=1.0,
        ),
        Figure(name="lexical_growth", label="median at most / at fewest turns", value=grown),
        Figure(
            name="recall_slope",
            label="with meanings: for 10,000 more turns",
            value=slope,
            unit="ms",
            at_most=VECTOR_MS_PER_10000,
        ),
    )
    return Part(name="growth", title=f"From {few.n_turns:,} to {many.n_turns:,} turns", figures=figures)


def rivals_part(ours: Sequence[StoreRun], rivals: Sequence[RivalRun], note: str | None) -> Part:
    """Others beside ours, at the sizes that both were measured at; `note` says what is missing."""
    by_size = {run.n_turns: run for run in ours}
    figures: list[Figure] = []
    lines = [f"{'':<24}{'turns':>8}{'commit':>14}{'recall':>14}{'file, a turn':>16}"]
    lines += [_line("ours", run.n_turns, run.commit_s, _all(run.recall_s), run.file_bytes) for run in ours]
    for rival in rivals:
        lines.append(_line(rival.name, rival.n_turns, rival.commit_s, rival.recall_s, rival.file_bytes))
        mine, name = by_size[rival.n_turns], f"{rival.name.split()[0]}_{rival.n_turns}"
        for what, own_s, other_s in (
            ("commit", mine.commit_s, rival.commit_s),
            ("recall", _all(mine.recall_s), rival.recall_s),
        ):
            times = _Ms.of(other_s).p50 / _Ms.of(own_s).p50
            label = f"{what} at {rival.n_turns:,}: {rival.name} / ours"
            figures.append(Figure(name=f"{what}_{name}", label=label, value=times))
    if note is not None:
        lines.append(note)
    return Part(
        name="others",
        title="Beside others, in the same run (medians)",
        figures=tuple(figures),
        lines=tuple(lines),
        measured=[asdict(rival) for rival in rivals],
    )


def _line(name: str, n_turns: int, commit_s: Sequence[float], recall_s: Sequence[float], file_bytes: int) -> str:
    commit, recall = _Ms.of(commit_s).p50, _Ms.of(recall_s).p50
    return f"{name:<24}{n_turns:>8,}{commit:>11,.2f} ms{recall:>11,.2f} ms{file_bytes / n_turns:>14,.0f} B"


def _all(by_kind: dict[str, tuple[float, ...]]) -> tuple[float, ...]:
    return tuple(each for some in by_kind.values() for each in some)
