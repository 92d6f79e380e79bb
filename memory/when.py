"""Time expressions: which spans of time "last week", "on May 5" or "when I was little" mean. Pure; English first.

Takes the words of one utterance and the moment they are said in; gives spans for recall ("what did we do last
week?") and days for facts ("tomorrow we go to the zoo"). The words are data (`memory.when_words`), their meaning on the
calendar is `memory.when_spans`; what is done with a span is left to the caller.

Own code, since what is needed are spans and the libraries give points. Measured on ten such sentences: dateparser 1.5
(0.2 s to import, 1 to 5 ms a sentence) takes "we" for Wednesday and "and may I" for May, and knows neither "last
summer" nor "the other day"; parsedatetime 2.6 is quick, but takes "may I" for May and "on the sun" for Sunday, and
gives a point for a month. These rules need 0.2 ms for a sentence on one slow core, and 30 ms once, for the first.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from memory.when_spans import BEGINNING, MEANINGS, UNIT_DAYS, Caught, Lean, Moment, Span
from memory.when_words import LANGUAGES, Language

_AFTER = timedelta(366)
"""How far "after May" reaches where May is still to come."""

_VOCABULARIES = (
    *("number", "ordinal", "unit", "weekday", "month", "season", "holiday"),
    *("step", "days", "part", "dayparts", "vague"),
)
_MAX_CHARS = 4_000
"""More is not looked through: no utterance is longer, and a pasted book must not cost the reply its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeSpan:
    """From `start` up to, but not with, `end`, in the zone of the moment of speaking; `words` is what said so.

    What begins long ago begins with the year 1900.
    """

    start: datetime
    end: datetime
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    kind: str
    pattern: re.Pattern[str]
    language: Language


def time_spans(text: str, now: datetime, lean: Lean | None = None) -> tuple[TimeSpan, ...]:
    """The spans of time that `text` names, in its order, none overlapping another in the text.

    `lean` says what "in May" and "on Friday" mean: the newest that is over or the next to come. Where it is None, the
    tense of the text tells, and where that does not, the nearer one is taken. An unknown expression gives nothing.
    """
    lowered = _lowered(text[:_MAX_CHARS])
    found: list[tuple[int, int, Span]] = []
    for rule in _rules():
        for match in rule.pattern.finditer(lowered):
            moment = Moment(now=now, lean=lean or _tense(lowered, rule.language))
            span = _span(rule, match.groupdict(), moment)
            if span is not None and span[0] < span[1]:
                found.append((match.start(), match.end(), span))
    found.sort(key=lambda each: (each[0], -each[1]))
    return _joined(text, found)


def _joined(text: str, found: list[tuple[int, int, Span]]) -> tuple[TimeSpan, ...]:
    """The first and longest of what overlaps in the text; what stands "between" or "from ... to" as one."""
    spans: list[TimeSpan] = []
    first, end = 0, 0
    for begin, stop, span in found:
        if begin < end:
            continue
        if spans and _is_range(text, first, end, begin):
            start = _before(spans[-1].start, span)
            spans[-1] = TimeSpan(start=min(start, span[0]), end=span[1], words=text[first:stop])
        else:
            first = begin
            spans.append(TimeSpan(start=span[0], end=span[1], words=text[begin:stop]))
        end = stop
    return tuple(spans)


def _before(start: datetime, span: Span) -> datetime:
    """The start of a range whose year stands at its end only: "between May 5 and June 3, 2023"."""
    is_leap_day = (start.month, start.day) == (2, 29)
    return start if start < span[1] or is_leap_day else start.replace(year=span[0].year)


def _is_range(text: str, first: int, end: int, begin: int) -> bool:
    joint = text[end:begin].strip().lower()
    before = text[max(0, first - 8) : first + 5].lower()
    return ("between" in before and joint == "and") or (
        "from" in before and joint in {"to", "until", "till", "through"}
    )


def _span(rule: _Rule, words: Mapping[str, str | None], moment: Moment) -> Span | None:
    caught = Caught(words=words, language=rule.language)
    try:
        span = MEANINGS[rule.kind](caught, moment)
        return _bounded(span, caught, moment) if span else None
    except (ValueError, OverflowError):
        # The 31st of June, or a million years ago: on no calendar.
        return None


def _bounded(span: Span, caught: Caught, moment: Moment) -> Span:
    """What "before", "after", "since" and the like, in front of a span, make of it."""
    start, end = span
    beginning = datetime(BEGINNING.year, BEGINNING.month, BEGINNING.day, tzinfo=moment.now.tzinfo)
    match caught.word("lead") or caught.word("bound"), caught.word("gap"):
        case "", _:
            return span
        case "before", "":
            return beginning, start
        case "after", "":
            return end, moment.now if end < moment.now else end + _AFTER
        case "before", "weekend":
            sunday = start - timedelta((start.weekday() - 6) % 7 or 7)
            return sunday - timedelta(1), sunday + timedelta(1)
        case "after", "weekend":
            saturday = end + timedelta((5 - end.weekday()) % 7)
            return saturday, saturday + timedelta(2)
        case "before", gap:
            return start - timedelta(round(UNIT_DAYS[gap])), start
        case "after", gap:
            return end, end + timedelta(round(UNIT_DAYS[gap]))
        case "since", _:
            return start, max(moment.now, end)
        case _:
            return (beginning, end) if end <= moment.now else (moment.now, end)


def _tense(lowered: str, language: Language) -> Lean | None:
    past = re.search(language.past, lowered) is not None
    future = re.search(language.future, lowered) is not None
    if past != future:
        return "past" if past else "future"
    # Somebody who remembers speaks of the past whatever the tense of the rest; the present alone is of what comes.
    return None if past else ("future" if re.search(language.present, lowered) else None)


def _lowered(text: str) -> str:
    """In lower case, each letter at its place: some capitals have no lower-case letter of the same length."""
    return "".join(low if len(low := char.lower()) == 1 else char for char in text).replace("\u2019", "'")


@lru_cache(maxsize=1)
def _rules() -> tuple[_Rule, ...]:
    return tuple(
        _Rule(kind=kind, pattern=_compiled(pattern, language), language=language)
        for language in LANGUAGES
        for kind, pattern in language.rules
    )


def _compiled(pattern: str, language: Language) -> re.Pattern[str]:
    for name in _VOCABULARIES:
        if f"{{{name}}}" in pattern:
            words = "|".join(sorted(getattr(language, name), key=len, reverse=True))
            number = r"|\d{1,4}" if name == "number" else ""
            pattern = pattern.replace(f"{{{name}}}", f"(?P<{name}>{words}{number})")
    if not language.spaced:
        return re.compile(pattern)
    return re.compile(rf"(?<!\w)(?:{pattern})(?!\w)".replace(" ", r"\s+"))
