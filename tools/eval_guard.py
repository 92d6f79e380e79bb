"""`familiar eval guard`: what of labelled sentences the guard finds, and how often it is wrong about harmless ones.

A file of cases has a stage ("heard" or "said"), a label and a text on each line, with tabs between. The label is a
category of the guard, which must be found as that; "harmless", which must not be answered at all; or "mild", where a
kind answer is fitting and an alarm is not. Those that ship with the source are in `tests/models/guard_cases`; what each
was written for, and which of them the rules were made with in view, is told in `tests/models/test_guard_cases.py`.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from models.errors import ModelFileError
from models.guard import Guard
from models.guard_rules import CATEGORIES, Stage, rules_of

_CASES = Path(__file__).parents[1] / "tests" / "models" / "guard_cases"
_UNTROUBLED = ("harmless", "mild")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One sentence, and what the guard should make of it: a category, "harmless" or "mild"."""

    stage: str
    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Of `n` cases with this stage and label, `n_found` were found to be of it; of harmless and mild ones, `n_found`
    were false alarms, `n_crises` of them with the answer for a crisis."""

    stage: str
    label: str
    n: int
    n_found: int
    n_crises: int

    @property
    def share(self) -> float:
        """What `n_found` is of `n`."""
        return self.n_found / self.n


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseSet:
    """What was found of one file."""

    name: str
    rows: tuple[Row, ...]

    def share(self, stage: str, label: str) -> float:
        """The share of one row. Raises KeyError if the file has no such cases."""
        for row in self.rows:
            if (row.stage, row.label) == (stage, label):
                return row.share
        raise KeyError((stage, label))


def shipped_cases() -> tuple[Path, ...]:
    """The files of cases of this checkout; none where the package was installed without its tests."""
    return tuple(sorted(_CASES.glob("*.tsv")))


def evaluate(paths: Sequence[Path], *, language: str = "en") -> tuple[CaseSet, ...]:
    """Judge every case of `paths` as for a child. Raises ModelFileError, naming the file and the line."""
    guard = Guard(rules_of(language), profile="child")
    return tuple(CaseSet(name=path.name, rows=_rows(read_cases(path), guard)) for path in paths)


def read_cases(path: Path) -> tuple[Case, ...]:
    """The cases of a file. Raises ModelFileError, naming the file and the line."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:
        raise ModelFileError(f"{path}: {error}; mend the file") from error
    cases = []
    for number, line in enumerate(lines, start=1):
        stage, _, rest = line.partition("\t")
        label, _, text = rest.partition("\t")
        if stage not in get_args(Stage) or label not in (*CATEGORIES, *_UNTROUBLED) or not text.strip():
            raise ModelFileError(f"{path}, line {number}: it must be a stage, a label and a text, with tabs between")
        cases.append(Case(stage=stage, label=label, text=text))
    return tuple(cases)


def as_json(found: Sequence[CaseSet]) -> str:
    """All figures for programs."""
    return json.dumps([asdict(one) for one in found], indent=2)


def as_text(found: Sequence[CaseSet]) -> str:
    """All figures for people, at most 80 columns."""
    lines = []
    for one in found:
        lines += [one.name[:80], *(_line(row) for row in one.rows), ""]
    return "\n".join([*lines, "false alarms: harmless sentences answered, mild ones answered with an alarm"])


def _line(row: Row) -> str:
    figures = f"  {row.stage:<6}{row.label:<16}{row.n_found:>5} / {row.n:<5}{100 * row.share:>5.1f} %"
    if row.label not in _UNTROUBLED:
        return figures
    return f"{figures}  false alarms, {row.n_crises} as a crisis"


def _rows(cases: Sequence[Case], guard: Guard) -> tuple[Row, ...]:
    total: Counter[tuple[str, str]] = Counter()
    found: Counter[tuple[str, str]] = Counter()
    crises: Counter[tuple[str, str]] = Counter()
    for case in cases:
        key = case.stage, case.label
        verdict = guard.heard(case.text) if case.stage == "heard" else guard.said(case.text)
        is_crisis = verdict is not None and verdict.severity == "crisis"
        total[key] += 1
        crises[key] += is_crisis
        match case.label:
            case "harmless":
                found[key] += verdict is not None
            case "mild":
                found[key] += is_crisis
            case _:
                found[key] += verdict is not None and verdict.category == case.label
    return tuple(
        Row(stage=stage, label=label, n=n, n_found=found[stage, label], n_crises=crises[stage, label])
        for (stage, label), n in total.items()
    )
