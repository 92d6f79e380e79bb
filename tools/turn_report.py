"""The report of `familiar bench turn`: figures, targets and verdicts from what was measured. Pure.

Takes the turns of `tools.spoken_run`, those of `tools.bare_engines` and the times of written answers; gives text for
people and JSON for programs. Measuring is left to `tools.bench_turn`.
"""

import json
import statistics
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from typing import Any

from tools.bare_engines import BareTurn
from tools.spoken_run import Spoken, Turn
from tools.stats import Spread

COLUMNS = 80

TARGETS = {
    "ratio_p50": 1.10,
    "overhead_p95_ms": 20.0,
    "barge_in_p95_ms": 250.0,
    "first_token_growth": 1.3,
    "first_answer_s": 3.0,
    "resident_mb": 250.0,
}
"""The figure must not be larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All figures of a run. `stages_ms` and `bare_ms` map a stage to its spread; `tokens` has one entry per turn.

    `ratio` is voice to voice over (endpoint wait + bare engines in sequence), turn by turn. `overhead_ms` is what our
    run took on top of the engines that were still to be waited for once the turn had ended. What was not measured is
    NaN, and has no entry in `within_target`.
    """

    engines: Mapping[str, str]
    turns: int
    stages_ms: Mapping[str, Spread]
    bare_ms: Mapping[str, Spread]
    ratio: Mapping[str, float]
    overhead_ms: Spread
    tokens: Mapping[str, Sequence[int]]
    barge_in_ms: Spread
    first_token_ms: Mapping[str, float]
    first_answer_s: float
    resident_mb: float
    within_target: Mapping[str, bool]


def report(
    spoken: Spoken,
    bare: Sequence[BareTurn],
    first_token_s: Sequence[float],
    first_answer_s: float,
    engines: Mapping[str, str],
) -> Report:
    """The figures of a run. Pure."""
    turns = spoken.turns
    ratios = [turn.total_s / (turn.endpoint_s + alone.total_s) for turn, alone in zip(turns, bare, strict=True)]
    ratio = Spread.of_seconds([value / 1e3 for value in ratios])
    overhead = Spread.of_seconds([_overhead_s(turn, alone) for turn, alone in zip(turns, bare, strict=True)])
    barge_in = Spread.of_seconds(spoken.barge_in_s)
    early, late = _median(first_token_s[1:4]), _median(first_token_s[-3:])
    figures = {
        "ratio_p50": ratio.p50_ms,
        "overhead_p95_ms": overhead.p95_ms,
        "barge_in_p95_ms": barge_in.p95_ms,
        "first_token_growth": late / early,
        "first_answer_s": first_answer_s,
        "resident_mb": spoken.resident_mb,
    }
    return Report(
        engines={**engines, "ears": spoken.ears, "voice": spoken.voice},
        turns=len(turns),
        stages_ms=_stages(turns),
        bare_ms={
            "asr": Spread.of_seconds([turn.asr_s for turn in bare]),
            "prefill": Spread.of_seconds([turn.prefill_s for turn in bare]),
            "first_clause": Spread.of_seconds([turn.first_clause_s for turn in bare]),
            "synthesis": Spread.of_seconds([turn.synthesis_s for turn in bare]),
            "total": Spread.of_seconds([turn.total_s for turn in bare]),
        },
        ratio={"p50": ratio.p50_ms, "p95": ratio.p95_ms},
        overhead_ms=overhead,
        tokens={
            "reused": [turn.n_reused for turn in turns],
            "prefilled": [turn.n_prefilled for turn in turns],
        },
        barge_in_ms=barge_in,
        first_token_ms={"early": early * 1e3, "turn_30": late * 1e3, "growth": late / early},
        first_answer_s=round(first_answer_s, 3),
        resident_mb=spoken.resident_mb,
        within_target={name: figures[name] <= most for name, most in TARGETS.items() if not isnan(figures[name])},
    )


def _stages(turns: Sequence[Turn]) -> dict[str, Spread]:
    between = {
        "asr_wait": ("turn_committed", "asr_final"),
        "prompt_wait": ("asr_final", "prompt_ready"),
        "first_token": ("prompt_ready", "first_token"),
        "first_clause": ("first_token", "first_clause"),
        "synthesis": ("first_clause", "first_audio_queued"),
        "sound_device": ("first_audio_queued", "first_audio_heard"),
    }
    spreads = {"endpoint_wait": Spread.of_seconds([turn.endpoint_s for turn in turns])}
    for name, (earlier, later) in between.items():
        spreads[name] = Spread.of_seconds([turn.between_s(earlier, later) for turn in turns])
    spreads["total"] = Spread.of_seconds([turn.total_s for turn in turns])
    # What happened inside the endpoint wait, where nobody waited for it.
    spreads["asr"] = Spread.of_seconds([turn.asr_s for turn in turns])
    spreads["recall"] = Spread.of_seconds([turn.recall_s for turn in turns])
    spreads["prefill"] = Spread.of_seconds([turn.prefill_s for turn in turns])
    return spreads


def _overhead_s(turn: Turn, alone: BareTurn) -> float:
    """What is left of the wait after the end of the turn when the engines' own share is taken off.

    Recognition and prefill count only as far as they had to be waited for; decoding and synthesis count what they take
    with the machine to themselves, so that slowing each other down is overhead too.
    """
    recognition_s = min(turn.between_s("turn_committed", "asr_final"), turn.asr_s)
    prompt_s = min(turn.between_s("asr_final", "prompt_ready"), turn.recall_s + turn.prefill_s)
    return turn.total_s - turn.endpoint_s - recognition_s - prompt_s - alone.first_clause_s - alone.synthesis_s


def _median(values: Sequence[float]) -> float:
    return statistics.median_low(values) if values else nan


def as_json(result: Report) -> str:
    """The report for programs; null for what was not measured."""
    return json.dumps(_without_nan(asdict(result)), indent=2, allow_nan=False)


def as_text(result: Report) -> str:
    """The report for people, at most 80 columns."""
    lines = [f"{result.turns} turns"]
    lines += [f"{kind + ':':<8}{name}" for kind, name in result.engines.items()]
    lines.append("")
    lines.append(f"{'ms':<16}{'p50':>9}{'p95':>9}")
    lines += [_row(name, spread) for name, spread in result.stages_ms.items()]
    lines += ["", "the bare engines in sequence"]
    lines += [_row(name, spread) for name, spread in result.bare_ms.items()]
    lines.append("")
    for kind in ("prefilled", "reused"):
        counts = f"{kind} tokens per turn: {' '.join(map(str, result.tokens[kind]))}"
        lines += textwrap.wrap(counts, COLUMNS, subsequent_indent="    ")
    lines.append("")
    figures = {
        "ratio_p50": f"ours / (endpoint wait + bare engines)   {result.ratio['p50']:.2f}",
        "overhead_p95_ms": f"orchestration overhead, p95, ms         {result.overhead_ms.p95_ms:.1f}",
        "barge_in_p95_ms": f"interruption to silence, p95, ms        {result.barge_in_ms.p95_ms:.0f}",
        "first_token_growth": f"first token, turns 28-30 / turns 2-4    {result.first_token_ms['growth']:.2f}",
        "first_answer_s": f"start to the first written answer, s    {result.first_answer_s:.2f}",
        "resident_mb": f"resident without models, MB             {result.resident_mb:.0f}",
    }
    for name, text in figures.items():
        verdict = "not measured"
        if name in result.within_target:
            verdict = f"{'within' if result.within_target[name] else 'ABOVE'} {TARGETS[name]:g}"
        lines.append(f"{text:<52}{verdict}")
    return "\n".join(lines)


def _row(name: str, spread: Spread) -> str:
    return f"{name:<16}{spread.p50_ms:>9.1f}{spread.p95_ms:>9.1f}"


def _without_nan(value: Any) -> Any:
    """The same tree with None in place of NaN, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value
