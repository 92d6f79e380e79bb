"""The guard: whether what a person said, or what the model is about to say, needs a fixed answer in its place.

A small model cannot be trusted with safety, whatever it is told: what matters is decided here, by rules on words
(`models.guard_rules`) and forms of private data (`models.guard_private`), the same way every time and within half a
millisecond. Pure: speaking the answer, stopping the model and counting decisions are for `device.guarded`. It finds
what the rules name, not what people mean; for a language without rules it finds private data alone, by its form.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from models.guard_patterns import Span
from models.guard_private import Kind, private_spans
from models.guard_rules import CATEGORIES, Category, Profile, Rule, RuleSet, Severity, Stage
from models.guard_words import Words, words_of

_SECRET_WORDS = 6
"""What follows "my password is" is a secret of at most so many words."""

_ALWAYS_PRIVATE: frozenset[Kind] = frozenset({"card", "account"})
_PRIVATE_WHEN_HEARD: Mapping[Profile, frozenset[Kind]] = MappingProxyType(
    {"adult": _ALWAYS_PRIVATE, "child": _ALWAYS_PRIVATE | {"phone", "mail"}}
)
_PRIVATE_WHEN_SAID: Mapping[Profile, frozenset[Kind]] = MappingProxyType(
    {"adult": _ALWAYS_PRIVATE, "child": _ALWAYS_PRIVATE | {"phone", "mail", "link"}}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """Why the model is not asked, or not spoken, and the whole text to say in its place."""

    category: Category
    severity: Severity
    answer: str


class Guard:
    """Decides for one person and one character."""

    def __init__(
        self,
        rules: RuleSet,
        *,
        profile: Profile,
        answers: Mapping[Category, str] = MappingProxyType({}),
        emergency_hint: str = "",
    ) -> None:
        """`answers` are the character's own; what they lack comes from the rules. So does the answer to a mere concern
        in a category that has crises too: the character's own is for those. `emergency_hint` is added to an answer in
        a crisis, as it stands."""
        self.covered = rules.covered
        """Whether there are rules for the language."""
        self._rules = rules
        self._profile: Profile = profile
        self._answers = {**rules.answers[profile], **answers}
        self._mild = {**self._answers, **rules.mild[profile]}
        self._hint = emergency_hint.strip()

    def heard(self, text: str) -> Verdict | None:
        """Judge what a person said, before the model sees it."""
        return self._judged(text, "heard", _PRIVATE_WHEN_HEARD[self._profile])

    def said(self, text: str) -> Verdict | None:
        """Judge a reply as far as it is written. More of it may make it worse, never better."""
        return self._judged(text, "said", _PRIVATE_WHEN_SAID[self._profile])

    def kept(self, text: str) -> str:
        """What a person said as it may be remembered: secrets (and a child's address, number and mail) left out."""
        words = words_of(text, self._rules.spelling)
        spans = sorted(
            (
                *self._secrets(words),
                *(
                    (span.start, span.end)
                    for span in private_spans(text, words, self._rules.digits)
                    if span.kind in _PRIVATE_WHEN_HEARD[self._profile]
                ),
            )
        )
        kept, at = "", 0
        for start, end in spans:
            if start >= at:
                kept += text[at:start] + self._rules.hidden
            at = max(at, end)
        return kept + text[at:]

    def _judged(self, text: str, stage: Stage, private: frozenset[Kind]) -> Verdict | None:
        words = words_of(text, self._rules.spelling)
        found: list[tuple[Severity, Category]] = [
            (rule.severity, rule.category) for rule, _ in self._rules.find(words, stage, self._profile)
        ]
        if any(span.kind in private for span in private_spans(text, words, self._rules.digits)):
            found.append(("concern", "private_data"))
        if not found:
            return None
        severity, category = min(found, key=lambda one: (one[0] != "crisis", CATEGORIES.index(one[1])))
        answer = (self._answers if severity == "crisis" else self._mild)[category]
        if severity == "crisis" and self._hint:
            answer = f"{answer} {self._hint}"
        return Verdict(category=category, severity=severity, answer=answer)

    def _secrets(self, words: Words) -> Iterator[tuple[int, int]]:
        """Where the rules say that something is not to be kept, in code points."""
        for rule, span in self._rules.find(words, "heard", self._profile):
            first, end = self._redacted(words, rule, span)
            if first < end:
                yield words.starts[first], words.ends[end - 1]

    def _redacted(self, words: Words, rule: Rule, span: Span) -> tuple[int, int]:
        match rule.redact:
            case "match":
                return span.start, span.end
            case "after":
                return span.end, self._rules.secret_end(words, span.end, _SECRET_WORDS)
            case "":
                return span.end, span.end
