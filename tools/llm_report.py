"""The report of `familiar bench llm`: figures, targets and verdicts from what was measured. Pure.

Takes what the parts of the benchmark give; makes text for people and JSON for programs. Measuring is left to
`tools.bench_llm` and the modules it runs.
"""

import json
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

import numpy as np

from tools.llm_abort import AbortRun, Stop
from tools.llm_conversation import ConversationRun
from tools.llm_leaks import LeakRun
from tools.llm_restart import RestartRun
from tools.llm_speculation import SILENCE_S, WORD_S, SpeculationRun
from tools.llm_speed import SpeedPair, SpeedRun
from tools.speed_table import SpeedTable, table_lines

COLUMNS = 80
READY_S = 0.020
"""A first token that comes this soon after the end of the turn counts as ready at it: far less than anybody notices."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure. With `at_most` or `at_least` it has a target; NaN was not measured and has no verdict."""

    name: str
    label: str
    value: float
    unit: str = ""
    at_most: float | None = None
    at_least: float | None = None

    @property
    def within(self) -> bool | None:
        """Whether it meets its target; None without target or value."""
        if not isfinite(self.value):
            return None
        if self.at_most is not None:
            return self.value <= self.at_most
        return None if self.at_least is None else self.value >= self.at_least


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of the benchmark: figures, lines of text below them, and everything that was measured."""

    name: str
    title: str
    figures: tuple[Figure, ...]
    lines: tuple[str, ...] = ()
    measured: Any = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All parts that were run; `about` says what with."""

    about: Mapping[str, str]
    parts: tuple[Part, ...]

    @property
    def missed(self) -> tuple[str, ...]:
        """The figures that miss their targets, as `part.figure`."""
        return tuple(
            f"{part.name}.{figure.name}" for part in self.parts for figure in part.figures if figure.within is False
        )


def speed_part(run: SpeedRun) -> Part:
    """The engine beside the raw loop. The ratio is the median of pairs measured one right after the other."""
    figures = []
    for name, pairs in (("prefill", run.prefill), ("decode", run.decode)):
        figures += [
            Figure(
                name=f"{name}_ratio",
                label=f"{name}: ours / raw loop",
                value=_median([pair.ours_tok_s / pair.raw_tok_s for pair in pairs]),
                at_least=0.98,
            ),
            Figure(name=f"{name}_ours", label="ours", value=_median_ours(pairs), unit="tok/s"),
            Figure(
                name=f"{name}_raw", label="raw loop", value=_median([pair.raw_tok_s for pair in pairs]), unit="tok/s"
            ),
        ]
    return Part(name="speed", title="Speed beside the raw loop", figures=tuple(figures), measured=asdict(run))


def conversation_part(run: ConversationRun) -> Part:
    """Tokens computed per turn, and the library beside."""
    ours, library = run.ours, run.library
    ratios = [turn.computed_ratio for turn in ours]
    usual = [turn for turn in ours if not turn.evicted]
    usual_s = _median([turn.first_token_s for turn in usual])
    evicted_s = [turn.first_token_s for turn in ours if turn.evicted]
    computed = sum(turn.n_settled + turn.n_prefilled for turn in ours)
    computed_by_library = sum(turn.n_prefilled for turn in library)
    p95_s, library_p95_s = (_percentile([turn.first_token_s for turn in side], 95) for side in (ours, library))
    figures = (
        Figure(name="ratio_p50", label="tokens computed / new, median", value=_median(ratios), at_most=1.05),
        Figure(
            name="ratio_max",
            label="tokens computed / new, most",
            value=max((turn.computed_ratio for turn in usual), default=nan),
            at_most=1.5,
        ),
        Figure(
            name="eviction_ratio",
            label="first token: with eviction / without",
            value=_median(evicted_s) / usual_s,
            at_most=1.5,
        ),
        Figure(name="evictions", label="turns with eviction", value=len(evicted_s)),
        Figure(
            name="computed_over_library",
            label="tokens computed: ours / library",
            value=_quotient(computed, computed_by_library),
            at_most=0.25,
        ),
        Figure(name="computed_ours", label="ours", value=computed, unit="tok"),
        Figure(name="computed_library", label="library", value=computed_by_library, unit="tok"),
        Figure(
            name="first_token_over_library",
            label="first token, p95: ours / library",
            value=_quotient(p95_s, library_p95_s),
            at_most=0.25,
        ),
        Figure(name="first_token_ours_ms", label="ours", value=1e3 * p95_s, unit="ms"),
        Figure(name="first_token_library_ms", label="library", value=1e3 * library_p95_s, unit="ms"),
    )
    title = f"A conversation of {len(ours)} turns in {run.n_ctx} tokens, beside the library"
    return Part(
        name="conversation",
        title=title,
        figures=figures,
        lines=(
            "ours: with all that is computed while the reply is being spoken",
            "library: Llama.create_chat_completion; the oldest turns are dropped by hand",
        ),
        measured=asdict(run),
    )


def restart_part(run: RestartRun) -> Part:
    """The first token after a restart. A repeat is compared with the one beside it."""
    warm_s, restored_s, cold_s = _median(run.warm_s), _median(run.restored_s), _median(run.cold_s)
    file_s = _median([read_s + restore_s for read_s, restore_s in zip(run.read_s, run.restore_s, strict=True)])
    figures = (
        Figure(
            name="over_warm",
            label="first token: restored / warm",
            value=_median([one / other for one, other in zip(run.restored_s, run.warm_s, strict=True)]),
            at_most=1.3,
        ),
        Figure(name="with_file_over_warm", label="reading the file included", value=(restored_s + file_s) / warm_s),
        Figure(
            name="over_cold",
            label="first token: restored / cold",
            value=restored_s / cold_s,
            at_most=0.15,
        ),
        Figure(
            name="with_file_over_cold",
            label="first token: restored and file / cold",
            value=(restored_s + file_s) / cold_s,
            at_most=0.15,
        ),
        Figure(name="warm_ms", label="warm", value=1e3 * warm_s, unit="ms"),
        Figure(name="restored_ms", label="restored", value=1e3 * restored_s, unit="ms"),
        Figure(name="cold_ms", label="cold", value=1e3 * cold_s, unit="ms"),
        Figure(name="read_ms", label="reading and checking the file", value=1e3 * _median(run.read_s), unit="ms"),
        Figure(name="restore_ms", label="handing it to llama.cpp", value=1e3 * _median(run.restore_s), unit="ms"),
        Figure(name="save_ms", label="saving it", value=1e3 * run.save_s, unit="ms"),
        Figure(name="file_mb", label="file", value=run.file_bytes / 1e6, unit="MB"),
    )
    title = f"Restart with a conversation of {run.n_tokens} tokens"
    return Part(name="restart", title=title, figures=figures, measured=asdict(run))


def speculation_part(run: SpeculationRun, leaks: LeakRun) -> Part:
    """Replies that were begun early, and what those that were dropped leave behind."""
    ready = [after_s <= READY_S for after_s in run.unchanged_s]
    figures = (
        Figure(
            name="ready",
            label=f"replies ready {1e3 * READY_S:.0f} ms after the turn",
            value=100 * sum(ready) / len(ready) if ready else nan,
            unit="%",
            at_least=90,
        ),
        Figure(name="p50_ms", label="median", value=1e3 * _median(run.unchanged_s), unit="ms"),
        Figure(name="p95_ms", label="p95", value=1e3 * _percentile(run.unchanged_s, 95), unit="ms"),
        Figure(name="changed_p50_ms", label="words changed: median", value=1e3 * _median(run.changed_s), unit="ms"),
        Figure(name="other_replies", label="leaks: replies that differ", value=leaks.n_other_replies, at_most=0),
        Figure(name="other_tokens", label="leaks: conversations that differ", value=leaks.n_other_tokens, at_most=0),
        Figure(name="other_states", label="leaks: cache bytes that differ", value=leaks.n_other_states, at_most=0),
        Figure(name="runs", label="runs", value=leaks.n_runs),
        Figure(name="states", label="cache states compared", value=leaks.n_states),
        Figure(name="dropped", label="dropped prompts and replies", value=leaks.n_dropped),
        Figure(name="evictions", label="evictions meanwhile", value=leaks.n_evictions),
    )
    return Part(
        name="speculation",
        title=f"Speculation in {len(run.unchanged_s)} turns, and what dropped words leave behind",
        figures=figures,
        lines=(
            f"turns: a word every {WORD_S:g} s, prefilled as they come; {SILENCE_S:g} s of silence",
            "the leaks are looked for in a small model with random weights",
        ),
        measured={"turns": asdict(run), "leaks": asdict(leaks)},
    )


def abort_part(run: AbortRun) -> Part:
    """How soon a stop is heeded, and memory over many turns."""
    figures = (
        Figure(name="tokens_after", label="tokens begun after a stop, most", value=_most_after(run), at_most=1),
        Figure(name="prefill_p95_ms", label="stopped in a prefill: p95", value=_quiet_ms(run.prefill), unit="ms"),
        Figure(name="reply_p95_ms", label="stopped in a reply: p95", value=_quiet_ms(run.reply), unit="ms"),
        Figure(
            name="memory_growth",
            label=f"memory: turn {run.last_turn} / turn {run.early_turn}",
            value=_quotient(run.last_mb, run.early_mb),
            at_most=1.02,
        ),
        Figure(name="memory_mb", label="without the model file", value=run.last_mb, unit="MB"),
    )
    n_stops = len(run.prefill) + len(run.reply)
    return Part(name="abort", title=f"{n_stops} stops, {run.last_turn} turns", figures=figures, measured=asdict(run))


def shapes_part(table: SpeedTable) -> Part:
    """The table of random-weight models: no targets, what a machine can do is its own."""
    figures = (
        Figure(name="bandwidth_gb_s", label="memory bandwidth, read", value=table.bandwidth_gb_s, unit="GB/s"),
        Figure(
            name="bandwidth_used",
            label="of it used when decoding, most",
            value=max((100 * speed.bandwidth_gb_s / table.bandwidth_gb_s for speed in table.speeds), default=nan),
            unit="%",
        ),
    )
    return Part(
        name="shapes",
        title="Models of real shapes with random weights",
        figures=figures,
        lines=tuple(table_lines(table)),
        measured=asdict(table),
    )


def as_text(report: Report) -> str:
    """The report for people, at most 80 columns."""
    lines = [f"{kind + ':':<10}{text}"[:COLUMNS] for kind, text in report.about.items()]
    for part in report.parts:
        lines += ["", *textwrap.wrap(part.title, COLUMNS)]
        lines += [_row(figure) for figure in part.figures]
        lines += [f"  {line}"[:COLUMNS] for line in part.lines]
    return "\n".join([*lines, "", *textwrap.wrap(_verdict(report), COLUMNS, subsequent_indent="    ")])


def as_json(report: Report) -> str:
    """The report for programs; null for what was not measured."""
    parts = {
        part.name: {
            "figures": {figure.name: figure.value for figure in part.figures},
            "targets": {
                figure.name: {"at_most": figure.at_most, "at_least": figure.at_least, "within": figure.within}
                for figure in part.figures
                if figure.at_most is not None or figure.at_least is not None
            },
            "measured": part.measured,
        }
        for part in report.parts
    }
    whole = {"about": dict(report.about), "parts": parts, "missed": report.missed}
    return json.dumps(_without_nan(whole), indent=2, allow_nan=False)


def _verdict(report: Report) -> str:
    if report.missed:
        return f"missed: {', '.join(report.missed)}"
    judged = any(figure.within is not None for part in report.parts for figure in part.figures)
    return "every target that was measured is met" if judged else "nothing here has a target"


def _row(figure: Figure) -> str:
    target = figure.at_most if figure.at_most is not None else figure.at_least
    verdict = ""
    if target is not None:
        bound = f"{'<=' if figure.at_most is not None else '>='} {target:g}"
        verdict = {True: f"met {bound}", False: f"MISSED {bound}", None: "not measured"}[figure.within]
    indent = "  " if target is not None else "    "
    return f"{indent + figure.label:<42}{_number(figure.value):>10} {figure.unit:<6} {verdict}".rstrip()


def _number(value: float) -> str:
    if not isfinite(value):
        return "-"
    if float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:,.0f}" if abs(value) >= 1e4 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


def _most_after(run: AbortRun) -> float:
    return max((stop.n_tokens_after for stop in (*run.prefill, *run.reply)), default=nan)


def _quiet_ms(stops: Sequence[Stop]) -> float:
    return 1e3 * _percentile([stop.quiet_after_s for stop in stops], 95)


def _median_ours(pairs: Sequence[SpeedPair]) -> float:
    return _median([pair.ours_tok_s for pair in pairs])


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else nan


def _percentile(values: Sequence[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else nan


def _quotient(value: float, by: float) -> float:
    return value / by if by else nan


def _without_nan(value: Any) -> Any:
    """The same tree with None in place of what JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value if not isinstance(value, float) or isfinite(value) else None
