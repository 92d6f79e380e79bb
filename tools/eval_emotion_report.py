"""The report of `familiar eval emotion`: for people in 80 columns, with the targets beside the figures, and as JSON.

Takes an Evaluation; measuring is done by then.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

from tools.encoder_thresholds import LabelScore
from tools.eval_emotion import Evaluation
from tools.stats import Spread

LEAST_MACRO_F1 = 0.50
"""TF-IDF with logistic regression reaches 0.473, BERT-base in GoEmotions' paper 0.46."""
LEAST_EKMAN_F1 = 0.64
"""BERT-base in the paper, trained for the seven groups alone."""
MOST_MS = 5.0
MOST_DROP = 0.01
LEAST_COSINE = 0.98


def as_json(found: Evaluation) -> str:
    """All figures for programs."""
    return json.dumps(asdict(found) | {"within_target": within_target(found)}, indent=2)


def as_text(found: Evaluation) -> str:
    """All figures for people, at most 80 columns."""
    return "\n".join([*_summary(found), "", *_table(found)])


def within_target(found: Evaluation) -> dict[str, bool]:
    """Whether each figure that has a target meets it; without the float network, two of them are missing."""
    verdicts = {
        "macro_f1": found.scores.macro_f1 >= LEAST_MACRO_F1,
        "ekman_macro_f1": found.scores.ekman_macro_f1 >= LEAST_EKMAN_F1,
        "both_ms": found.both.p50_ms <= MOST_MS,
    }
    if found.unrounded is not None:
        verdicts["macro_f1_drop"] = found.unrounded.macro_f1_drop <= MOST_DROP
        verdicts["cosine_mean"] = found.unrounded.cosine_mean >= LEAST_COSINE
    return verdicts


def _summary(found: Evaluation) -> list[str]:
    verdicts = within_target(found)

    def row(text: str, figure: str, key: str | None = None, target: str = "") -> str:
        verdict = f"{'within' if verdicts[key] else 'MISSES'} {target}" if key else ""
        return f"{text:<44}{figure:>10}  {verdict}".rstrip()

    scores = found.scores
    lines = [
        f"GoEmotions test, {found.sentences} sentences; thresholds tuned on dev",
        f"encoder {found.fingerprint[:12]}",
        "",
        row("macro-F1, 28 labels", f"{scores.macro_f1:.3f}", "macro_f1", f">= {LEAST_MACRO_F1:.2f}"),
        row("micro-F1, 28 labels", f"{scores.micro_f1:.3f}"),
        row(
            "macro-F1, Ekman's 6 and neutral", f"{scores.ekman_macro_f1:.3f}", "ekman_macro_f1", f">= {LEAST_EKMAN_F1}"
        ),
    ]
    if (other := found.unrounded) is not None:
        lines += [
            row("  the same in float", f"{other.scores.macro_f1:.3f}"),
            row("  lost by rounding, 28 labels", f"{other.macro_f1_drop:.4f}", "macro_f1_drop", f"<= {MOST_DROP}"),
            row("  Ekman in float", f"{other.scores.ekman_macro_f1:.3f}"),
            row("embedding, mean cosine to float", f"{other.cosine_mean:.4f}", "cosine_mean", f">= {LEAST_COSINE}"),
            row("  1st percentile", f"{other.cosine_p1:.4f}"),
        ]
    lines += ["", f"ms of one core per sentence ({found.pieces_mean:.1f} word pieces)"]
    for name, spread in (("tokenization", found.tokenization), ("inference", found.inference)):
        lines.append(row(f"  {name}, p50 / p95", _pair(spread)))
    lines.append(row("  both, p50 / p95", _pair(found.both), "both_ms", f"<= {MOST_MS:g} (p50)"))
    return lines


def _pair(spread: Spread) -> str:
    return f"{spread.p50_ms:.2f} / {spread.p95_ms:.2f}"


def _table(found: Evaluation) -> list[str]:
    heading = f"{'':<16}{'threshold':>10}{'precision':>11}{'recall':>8}{'F1':>7}{'sentences':>11}"
    return [
        heading,
        *_rows(found.scores.labels, found.thresholds),
        "",
        heading,
        *_rows(found.scores.groups, found.group_thresholds),
    ]


def _rows(scores: Sequence[LabelScore], thresholds: Sequence[float]) -> list[str]:
    return [
        f"{score.label:<16}{threshold:>10.3f}{score.precision:>11.3f}{score.recall:>8.3f}{score.f1:>7.3f}{score.n:>11}"
        for score, threshold in zip(scores, thresholds, strict=True)
    ]
