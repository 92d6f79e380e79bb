"""The guard's rules: a TOML file per language in `guard_languages`, read into patterns that are ready to be looked for.

A file has `hidden`, the words that stand for what is not kept, `[spelling]` (see `models.guard_words.Spelling`),
`[classes]` (words by class, see `models.guard_patterns`), `[answers.child]` and, where they differ, `[answers.adult]`
with what is said in place of a reply, by category; `[mild.child]` and `[mild.adult]` with what is said instead where
the severity is "concern" and the answer for a crisis would frighten; and a list of `rules`:

    stage            "heard": a person's words; "said": the words of a reply
    category         of `Category`
    severity         "crisis": help is needed now, and the answer gives the emergency hint; else "concern"
    profiles         for whom it holds; without: for everybody
    patterns         one per line; any of them will do
    unless           a pattern that shares a word with what was found and makes it harmless ("kill the lights")
    unless_anywhere  a pattern that makes it harmless wherever it stands in the text ("in the movie")
    negatable        a negation within, or shortly before it in the sentence, makes it harmless
    redact           what is not to be kept: "match", what was found; "after", what follows it in the sentence
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from models.errors import ModelFileError
from models.guard_patterns import Pattern, PatternSet, Span, parse_classes, parse_pattern
from models.guard_words import STOP, Spelling, Words

Category = Literal[
    "self_harm",
    "abuse",
    "emergency",
    "dangerous_acts",
    "adult_content",
    "private_data",
    "insult",
    "medical",
    "secrecy",
    "human_claim",
]
"""What a text is about. The last four are of replies only: of the character's manners, not of the person's trouble."""

Severity = Literal["concern", "crisis"]
Profile = Literal["child", "adult"]
Stage = Literal["heard", "said"]
Redact = Literal["", "match", "after"]

CATEGORIES: tuple[Category, ...] = get_args(Category)

_FOLDER = Path(__file__).parent / "guard_languages"
_NEGATED_WITHIN = 4
"""So many words before a danger, a negation still belongs to it: "you should never ever just touch the stove"."""

_RULE_KEYS = {
    "stage": str,
    "category": str,
    "severity": str,
    "profiles": list,
    "patterns": str,
    "unless": str,
    "unless_anywhere": str,
    "negatable": bool,
    "redact": str,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one rule says, without its patterns; see the module."""

    stage: Stage
    category: Category
    severity: Severity
    profiles: frozenset[Profile]
    negatable: bool
    redact: Redact
    unless: frozenset[int]
    unless_anywhere: frozenset[int]


class RuleSet:
    """The rules of one language."""

    def __init__(
        self,
        *,
        language: str,
        rules: Sequence[tuple[Rule, Sequence[Pattern]]],
        exceptions: Sequence[Pattern],
        spelling: Spelling,
        classes: Mapping[str, Sequence[str]],
        answers: Mapping[Profile, Mapping[Category, str]],
        mild: Mapping[Profile, Mapping[Category, str]],
        hidden: str,
    ) -> None:
        """`exceptions` are those that the rules name by number. `answers` are complete for both profiles; `mild` are
        for a concern, and take their place where there is one."""
        self.language = language
        self.covered = bool(rules)
        """Whether there are any rules: without, private data alone is found, by its form."""
        self.spelling = spelling
        self.answers = answers
        self.mild = mild
        self.hidden = hidden
        self.digits = _digits(classes)
        self._negations = frozenset(classes.get("not", ()))
        self._subjects = frozenset(classes.get("subjects", ()))
        self._ends_of_secrets = frozenset((STOP, *classes.get("secret_ends", ())))
        self._rule_of: dict[Stage, list[Rule]] = {"heard": [], "said": []}
        patterns: dict[Stage, list[Pattern]] = {"heard": [], "said": []}
        for rule, written in rules:
            patterns[rule.stage] += written
            self._rule_of[rule.stage] += [rule] * len(written)
        self._patterns = {stage: PatternSet(found) for stage, found in patterns.items()}
        self._exceptions = PatternSet(exceptions)

    def find(self, words: Words, stage: Stage, profile: Profile) -> list[tuple[Rule, Span]]:
        """Every rule that holds for `words`, and where."""
        rules = self._rule_of[stage]
        found = [
            (rules[number], span)
            for number, span in self._patterns[stage].find(words)
            if profile in rules[number].profiles
        ]
        if not found:
            return found
        exceptions = tuple(self._exceptions.find(words))
        return [(rule, span) for rule, span in found if not self._is_harmless(words, rule, span, exceptions)]

    def secret_end(self, words: Words, start: int, most: int) -> int:
        """Where a secret that begins with word `start` ends, of at most so many words."""
        end = start
        while end < min(len(words.texts), start + most):
            if words.texts[end] == STOP or (end > start and words.texts[end] in self._ends_of_secrets):
                break
            end += 1
        return end

    def _is_harmless(self, words: Words, rule: Rule, span: Span, exceptions: Sequence[tuple[int, Span]]) -> bool:
        if rule.negatable and self._is_negated(words, span):
            return True
        return any(
            number in rule.unless_anywhere or (number in rule.unless and span.touches(other))
            for number, other in exceptions
        )

    def _is_negated(self, words: Words, span: Span) -> bool:
        start = first = span.start
        # What begins with its own subject is not negated by words before: "She is not here, I will try it."
        if words.texts[start] not in self._subjects:
            while start > max(0, first - _NEGATED_WITHIN) and words.texts[start - 1] != STOP:
                start -= 1
        return not self._negations.isdisjoint(words.texts[start : span.end])


def languages() -> tuple[str, ...]:
    """The languages that there are rules for, as ISO 639-1 codes."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def rules_of(language: str) -> RuleSet:
    """The rules of a language, as ISO 639-1 code. For one that is not among `languages` they are empty, with English
    answers: words that look alike mean something else there."""
    if language in languages():
        return load_rules(_FOLDER / f"{language}.toml")
    english = load_rules(_FOLDER / "en.toml")
    return RuleSet(
        language=language,
        rules=(),
        exceptions=(),
        spelling=Spelling(whole={}, endings={}),
        classes={},
        answers=english.answers,
        mild=english.mild,
        hidden=english.hidden,
    )


def load_rules(path: Path) -> RuleSet:
    """Read a file of rules. Raises ModelFileError, naming the file and the mistake."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error
    except ValueError as error:  # no UTF-8, or no TOML
        raise ModelFileError(f"{path}: {error}; mend the file") from error
    try:
        return _rule_set(path.stem, table)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ModelFileError(f"{path}: {reason}; mend the rules") from error


def _rule_set(language: str, table: Mapping[str, Any]) -> RuleSet:
    classes = {name: str(words).split() for name, words in table.get("classes", {}).items()}
    options = parse_classes({name: words for name, words in classes.items() if name != "digits"})
    exceptions: list[Pattern] = []

    def exceptional(written: str) -> frozenset[int]:
        before = len(exceptions)
        exceptions.extend(parse_pattern(line, options) for line in _lines(written))
        return frozenset(range(before, len(exceptions)))

    rules = []
    for number, entry in enumerate(table["rules"], start=1):
        _check_rule(entry, number)
        patterns = [parse_pattern(line, options) for line in _lines(entry["patterns"])]
        rule = Rule(
            stage=entry["stage"],
            category=entry["category"],
            severity=entry.get("severity", "concern"),
            profiles=frozenset(entry.get("profiles", get_args(Profile))),
            negatable=entry.get("negatable", False),
            redact=entry.get("redact", ""),
            unless=exceptional(entry.get("unless", "")),
            unless_anywhere=exceptional(entry.get("unless_anywhere", "")),
        )
        rules.append((rule, patterns))
    named = [pattern for _, patterns in rules for pattern in patterns]
    return RuleSet(
        language=language,
        spelling=_spelling(table.get("spelling", {}), [*named, *exceptions], classes),
        rules=rules,
        exceptions=exceptions,
        classes=classes,
        answers=_answers(table["answers"]),
        mild=_mild(table.get("mild", {})),
        hidden=table["hidden"],
    )


def _lines(written: str) -> list[str]:
    return [line for line in map(str.strip, written.splitlines()) if line]


def _check_rule(entry: Mapping[str, Any], number: int) -> None:
    for key, value in entry.items():
        if key not in _RULE_KEYS or not isinstance(value, _RULE_KEYS[key]):
            raise ValueError(f"{key} = {value!r} of rule {number} is unknown or of the wrong type")
    allowed = {
        "stage": get_args(Stage),
        "category": CATEGORIES,
        "severity": get_args(Severity),
        "redact": get_args(Redact),
    }
    for key, choices in allowed.items():
        if entry.get(key, choices[0]) not in choices:
            raise ValueError(f"{key} of rule {number} must be one of {', '.join(choices)}")
    if not set(entry.get("profiles", ())) <= set(get_args(Profile)):
        raise ValueError(f"profiles of rule {number} must be of {', '.join(get_args(Profile))}")


def _spelling(table: Mapping[str, Any], patterns: Sequence[Pattern], classes: Mapping[str, Sequence[str]]) -> Spelling:
    named = (word for pattern in patterns for word in pattern.words())
    return Spelling(
        vocabulary=frozenset((*named, *_digits(classes), *classes.get("not", ()))),
        whole={word: tuple(meant.split()) for word, meant in table.get("whole", {}).items()},
        endings={ending: tuple(meant.split()) for ending, meant in table.get("endings", {}).items()},
        masked=tuple(table.get("masked", "").split()),
        pairs={_pair(written): word for written, word in table.get("pairs", {}).items()},
    )


def _pair(written: str) -> tuple[str, str]:
    first, second = written.split()  # ValueError if there are not two
    return first, second


def _digits(classes: Mapping[str, Sequence[str]]) -> Mapping[str, int]:
    """Words for 0 to 9: the class "digits" has them in this order, with / between words for the same."""
    return {word: digit for digit, names in enumerate(classes.get("digits", ())) for word in names.split("/")}


def _answers(table: Mapping[str, Mapping[Category, str]]) -> Mapping[Profile, Mapping[Category, str]]:
    """What is said to a child, and to an adult where that differs."""
    child = dict(table["child"])
    if missing := [category for category in CATEGORIES if not child.get(category)]:
        raise ValueError(f"answers.child lacks {', '.join(missing)}")
    return {"child": child, "adult": {**child, **table.get("adult", {})}}


def _mild(table: Mapping[str, Mapping[Category, str]]) -> Mapping[Profile, Mapping[Category, str]]:
    """What is said of a concern, for each profile; a category may lack it."""
    for profile, answers in table.items():
        if profile not in get_args(Profile) or not set(answers) <= set(CATEGORIES):
            raise ValueError(f"mild.{profile} must have a profile's name and be by category")
    return {"child": table.get("child", {}), "adult": table.get("adult", {})}
