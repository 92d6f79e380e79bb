"""The report of `familiar eval recall`: for people in 80 columns, with the targets beside the figures, and as JSON.

Takes what `tools.eval_recall` and `tools.eval_moods` measured.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from tools.eval_moods import LEAST_CONGRUENT, Congruence
from tools.eval_recall import Evaluation, Measured

LEAST_AT_10 = (0.80, 0.77)
LEAST_AT_5 = (0.72, 0.69)
"""Over all categories, and over 1 to 4. FTS5 with weighted columns finds 0.741 / 0.706 among 10 on LoCoMo's ten
conversations, summed with half the cosine 0.765 / 0.731 (0.679 / 0.650 among 5)."""

_CATEGORIES = {1: "several turns", 2: "when", 3: "inference", 4: "one turn", 5: "adversarial"}


def as_json(found: Evaluation | None, moods: Sequence[Congruence]) -> str:
    """All figures for programs; JSON knows no NaN, so what was not asked is null."""
    content = {
        "recall": asdict(found) if found else None,
        "pairs": [asdict(each) for each in moods],
        "within_target": within_target(found, moods),
    }
    return json.dumps(_without_nan(content), indent=2)


def as_text(found: Evaluation | None, moods: Sequence[Congruence]) -> str:
    """All figures for people, at most 80 columns."""
    parts = [_whole(found)] if found else []
    if found and len(found.measured) > 1:
        parts.append(_ablation(found.measured))
    if moods:
        parts.append(_moods(moods))
    return "\n\n".join("\n".join(part) for part in parts)


def within_target(found: Evaluation | None, moods: Sequence[Congruence]) -> dict[str, bool]:
    """Whether each figure that has a target meets it: of the whole, and of the strategies that look at feelings."""
    verdicts = {}
    if found:
        whole = found.measured[0]
        verdicts = {
            "at_10": whole.all.at_10 >= LEAST_AT_10[0],
            "at_10_without_adversarial": whole.without_adversarial.at_10 >= LEAST_AT_10[1],
            "at_5": whole.all.at_5 >= LEAST_AT_5[0],
            "at_5_without_adversarial": whole.without_adversarial.at_5 >= LEAST_AT_5[1],
        }
    congruent = {f"pairs_{each.strategy}": each.share >= LEAST_CONGRUENT for each in moods if each.strategy != "none"}
    return verdicts | congruent


def _whole(found: Evaluation) -> list[str]:
    whole = found.measured[0]
    verdicts = within_target(found, ())
    lines = [
        f"{whole.all.questions} questions to {found.utterances} utterances; encoder {found.encoder[:12]}",
        f"left out: {found.n_unanswered} questions without evidence, {found.n_unknown} unknown turns",
        f"feelings: {whole.strategy}; share of the evidence found among the first 5 and 10",
        "",
        f"{'':<30}{'R@5':>8}{'R@10':>8}{'questions':>12}",
    ]
    for name, shares, key, least in (
        ("all categories", whole.all, "", (LEAST_AT_5[0], LEAST_AT_10[0])),
        ("categories 1 to 4", whole.without_adversarial, "_without_adversarial", (LEAST_AT_5[1], LEAST_AT_10[1])),
    ):
        is_within = verdicts[f"at_5{key}"] and verdicts[f"at_10{key}"]
        verdict = f"{'within' if is_within else 'MISSES'} {least[0]:.2f}, {least[1]:.2f}"
        lines.append(f"{name:<30}{shares.at_5:>8.3f}{shares.at_10:>8.3f}{shares.questions:>12}  {verdict}")
    for category, shares in whole.categories.items():
        name = f"  {category}: {_CATEGORIES.get(category, 'unnamed')}"
        lines.append(f"{name:<30}{shares.at_5:>8.3f}{shares.at_10:>8.3f}{shares.questions:>12}")
    for conversation, shares in whole.conversations.items():
        lines.append(f"  {conversation[:26]:<28}{shares.at_5:>8.3f}{shares.at_10:>8.3f}{shares.questions:>12}")
    lines += ["", f"a recall, without the encoder: p50 {whole.p50_ms:.2f} ms, p99 {whole.p99_ms:.2f} ms of one core"]
    return lines


def _ablation(measured: Sequence[Measured]) -> list[str]:
    lines = [
        f"{'':<34}{'all categories':>16}{'1 to 4':>16}{'p50':>8}",
        f"{'':<34}{'R@5':>8}{'R@10':>8}{'R@5':>8}{'R@10':>8}{'ms':>8}",
    ]
    for each in measured:
        shares = (each.all.at_5, each.all.at_10, each.without_adversarial.at_5, each.without_adversarial.at_10)
        lines.append(f"{each.name:<34}{''.join(f'{share:>8.3f}' for share in shares)}{each.p50_ms:>8.2f}")
    return lines


def _moods(moods: Sequence[Congruence]) -> list[str]:
    lines = [f"the memory in the mood of what is said comes first, {moods[0].asked} times asked"]
    for each in moods:
        verdict = ""
        if each.strategy != "none":
            verdict = f"{'within' if each.share >= LEAST_CONGRUENT else 'MISSES'} {LEAST_CONGRUENT:.2f}"
        lines.append(f"  feelings: {each.strategy:<18}{each.share:>8.3f}  {verdict}".rstrip())
    return lines


def _without_nan(value: object) -> object:
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(each) for each in value]
    return value
