"""What a time expression means on the calendar: one function for each kind of rule in `memory.when_words`. Pure.

Each takes the words that its rule caught and the moment of speaking, and gives a span of local time, or None for what
is on no calendar. Seasons are those of the northern half of the earth, by whole months. "Last summer" is the newest
summer that is over, "last Friday" the newest Friday before today, "next Friday" that of the week after this one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from memory.when_words import Language

Lean = Literal["past", "future"]
Span = tuple[datetime, datetime]
_Dates = tuple[date, date]

UNIT_DAYS: Mapping[str, float] = {
    "minute": 1 / 1440,
    "hour": 1 / 24,
    "day": 1,
    "weekend": 7,
    "week": 7,
    "month": 30.44,
    "year": 365.25,
}
"""Days from one to the next."""

BEGINNING = date(1900, 1, 1)
"""The beginning of time, for what has none: before anything that somebody alive was told at first hand."""

_CHILDHOOD_DAYS = 2 * 365
"""What was "when I was little" is at least so long ago: for a child of six, two years are long."""

_FIRST_MONTHS = {"spring": 3, "summer": 6, "autumn": 9, "winter": 12}
_FIXED_HOLIDAYS = {
    "christmas": (12, 24, 3),
    "christmas eve": (12, 24, 1),
    "christmas day": (12, 25, 1),
    "new year's eve": (12, 31, 1),
    "new year": (1, 1, 1),
    "valentine's day": (2, 14, 1),
    "halloween": (10, 31, 1),
}
"""Month, day and number of days."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When something is said, and whether it is about the past or the future, where that can be told."""

    now: datetime
    lean: Lean | None

    @property
    def today(self) -> date:
        return self.now.date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """The words that a rule caught, by name, and the language they are looked up in."""

    words: Mapping[str, str | None]
    language: Language

    def __contains__(self, name: str) -> bool:
        return self.words.get(name) is not None

    def word(self, name: str) -> str:
        return " ".join((self.words.get(name) or "").split())

    def step(self) -> int | None:
        return self.language.step[self.word("step")] if "step" in self else None

    def year(self) -> int | None:
        return int(self.word("year")) if "year" in self else None

    def number(self) -> tuple[int, int]:
        word = self.word("number")
        return (int(word), int(word)) if word.isdecimal() else self.language.number[word]


def _whole_days(moment: Moment, dates: _Dates) -> Span:
    zone = moment.now.tzinfo
    return datetime.combine(dates[0], time(), zone), datetime.combine(dates[1], time(), zone)


def _from_today(moment: Moment, first: int, end: int) -> Span:
    start = max(BEGINNING, date.fromordinal(max(1, moment.today.toordinal() + first)))
    return _whole_days(moment, (start, moment.today + timedelta(end)))


def _part_of(span: Span, caught: Caught) -> Span:
    if "part" not in caught:
        return span
    first, end = caught.language.part[caught.word("part")]
    return span[0] + timedelta(hours=first), span[0] + timedelta(hours=end)


def _third_of(span: Span, caught: Caught) -> Span:
    if "third" not in caught:
        return span
    n = {"early": 0, "mid": 1, "late": 2}[caught.word("third")]
    third_days = (span[1] - span[0]).days / 3
    return span[0] + timedelta(round(n * third_days)), span[0] + timedelta(round((n + 1) * third_days))


def _day(caught: Caught, moment: Moment) -> Span:
    days = caught.language.days[caught.word("days")]
    return _part_of(_from_today(moment, days, days + 1), caught)


def _daypart(caught: Caught, moment: Moment) -> Span:
    days, first, end = caught.language.dayparts[caught.word("dayparts")]
    midnight, _ = _from_today(moment, days, days + 1)
    return midnight + timedelta(hours=first), midnight + timedelta(hours=end)


def _vague(caught: Caught, moment: Moment) -> Span:
    return _from_today(moment, *caught.language.vague[caught.word("vague")])


def _childhood(_caught: Caught, moment: Moment) -> Span:
    return _whole_days(moment, (BEGINNING, moment.today - timedelta(_CHILDHOOD_DAYS)))


def _unit(caught: Caught, moment: Moment) -> Span | None:
    """The calendar unit so many steps from the one that is now."""
    step = caught.step()
    if step is None:
        step = -2 if caught.word("twice").startswith("before") else 2
    unit, today = caught.language.unit[caught.word("unit")], moment.today
    monday = today - timedelta(today.weekday())
    match unit:
        case "day":
            dates = today + timedelta(step), today + timedelta(step + 1)
        case "week":
            dates = monday + timedelta(7 * step), monday + timedelta(7 * step + 7)
        case "weekend":
            dates = monday + timedelta(7 * step + 5), monday + timedelta(7 * step + 7)
        case "month":
            dates = _month_dates(today.year, today.month + step)
        case "year":
            dates = date(today.year + step, 1, 1), date(today.year + step + 1, 1, 1)
        case _:
            return None
    return _third_of(_whole_days(moment, dates), caught)


def _ago(caught: Caught, moment: Moment) -> Span:
    return _counted_span(caught, moment, -1)


def _ahead(caught: Caught, moment: Moment) -> Span:
    return _counted_span(caught, moment, 1)


def _counted_span(caught: Caught, moment: Moment, sign: int) -> Span:
    """As exact as the unit: "three days ago" is that day, "two weeks ago" the week around it."""
    least, most = caught.number()
    unit_days = UNIT_DAYS[caught.language.unit[caught.word("unit")]]
    if unit_days == 1:
        return _from_today(moment, *((least, most + 1) if sign > 0 else (-most, 1 - least)))
    near, far = (least - 0.5) * unit_days, (most + 0.5) * unit_days
    if unit_days < 1:
        ends = sorted(moment.now + timedelta(days=sign * days) for days in (near, far))
        return ends[0], ends[1]
    return _from_today(moment, round(near), round(far)) if sign > 0 else _from_today(moment, -round(far), -round(near))


def _past(caught: Caught, moment: Moment) -> Span:
    """ "The past few weeks": until now."""
    most = caught.number()[1] if "number" in caught else 1
    unit_days = UNIT_DAYS[caught.language.unit[caught.word("unit")]]
    if unit_days < 1:
        return moment.now - timedelta(days=most * unit_days), moment.now
    return _from_today(moment, -round(most * unit_days), 1)


def _weekday(caught: Caught, moment: Moment) -> Span:
    return _part_of(_weekday_span(caught.language.weekday[caught.word("weekday")], 1, caught.step(), moment), caught)


def _weekend(_caught: Caught, moment: Moment) -> Span:
    return _weekday_span(5, 2, None, moment)


def _weekday_span(weekday: int, n_days: int, step: int | None, moment: Moment) -> Span:
    today = moment.today
    here = today + timedelta(weekday - today.weekday())
    if step == 1:
        start = here + timedelta(7)
    elif step == 0:
        start = here
    else:
        before = here if here < today else here - timedelta(7)
        after = here if here > today else here + timedelta(7)
        past = step == -1 or moment.lean == "past" or (moment.lean is None and today - before < after - today)
        start = before if past else after
    return _whole_days(moment, (start, start + timedelta(n_days)))


def _date(caught: Caught, moment: Moment) -> Span | None:
    """A day of a month, of any year or of a given one; without a month, of the nearest month."""
    day = caught.language.ordinal[caught.word("ordinal")] if "ordinal" in caught else int(caught.word("day"))
    month = _month_number(caught)
    if not 1 <= day <= 31 or (month is not None and not 1 <= month <= 12):
        return None
    if month is None:
        today = moment.today
        near = [_month_dates(today.year, today.month + step)[0] for step in (-2, -1, 0, 1, 2)]
        days = [first.replace(day=day) for first in near if day <= _n_days(first)]
        dates = _chosen([(each, each + timedelta(1)) for each in days], None, moment)
    else:
        dates = _recurring(lambda year: _date_of(year, month, day), caught, moment)
    return _whole_days(moment, dates) if dates else None


def _week_of(caught: Caught, moment: Moment) -> Span | None:
    """The n-th week or weekend of a month, or the week that begins on a day."""
    month, week = _month_number(caught), caught.word("week")
    assert month is not None
    if "day" in caught:
        day = int(caught.word("day"))
        begun = _recurring(lambda year: _date_of(year, month, day), caught, moment)
        return _whole_days(moment, (begun[0], begun[0] + timedelta(7))) if begun else None
    ordinal = caught.language.ordinal[caught.word("ordinal")]
    dates = _recurring(lambda year: _month_dates(year, month), caught, moment)
    if dates is None or ordinal > 5:
        return None
    first, end = dates
    if week == "weekend":
        saturdays = [first + timedelta(n) for n in range(_n_days(first)) if (first + timedelta(n)).weekday() == 5]
        if ordinal > len(saturdays):
            return None
        start = saturdays[ordinal if ordinal < 0 else ordinal - 1]
        return _whole_days(moment, (start, start + timedelta(2)))
    start = end - timedelta(7) if ordinal < 0 else first + timedelta(7 * (ordinal - 1))
    return _whole_days(moment, (start, start + timedelta(7)))


def _month(caught: Caught, moment: Moment) -> Span | None:
    month = _month_number(caught)
    assert month is not None
    dates = _recurring(lambda year: _month_dates(year, month), caught, moment)
    return _third_of(_whole_days(moment, dates), caught) if dates else None


def _year(caught: Caught, moment: Moment) -> Span:
    year = caught.year()
    assert year is not None
    return _third_of(_whole_days(moment, (date(year, 1, 1), date(year + 1, 1, 1))), caught)


def _season(caught: Caught, moment: Moment) -> Span | None:
    first = _FIRST_MONTHS[caught.language.season[caught.word("season")]]
    dates = _recurring(lambda year: (date(year, first, 1), _month_dates(year, first + 2)[1]), caught, moment)
    return _whole_days(moment, dates) if dates else None


def _holiday(caught: Caught, moment: Moment) -> Span | None:
    name = caught.language.holiday[caught.word("holiday")]
    dates = _recurring(lambda year: _holiday_dates(name, year), caught, moment)
    return _whole_days(moment, dates) if dates else None


def _recurring(dates_of: Callable[[int], _Dates | None], caught: Caught, moment: Moment) -> _Dates | None:
    """What comes every year: in the year named, or the one meant by the step or by the tense."""
    if (year := caught.year()) is not None:
        return dates_of(year)
    # Far enough for a 29th of February, across a year like 2100.
    years = range(moment.today.year - 8, moment.today.year + 9)
    return _chosen([dates for year in years if (dates := dates_of(year))], caught.step(), moment)


def _chosen(periods: list[_Dates], step: int | None, moment: Moment) -> _Dates | None:
    """Of periods in order, the one that is now, the newest that is over or the next to come."""
    today = moment.today
    over = [dates for dates in periods if dates[1] <= today]
    to_come = [dates for dates in periods if dates[0] > today]
    current = [dates for dates in periods if dates[0] <= today < dates[1]]
    if step == 0 and not current:
        this_year = [dates for dates in periods if dates[0].year == today.year]
        return this_year[0] if this_year else None
    if current and not step:
        return current[0]
    if not over or not to_come:
        return None
    nearer = "past" if today - over[-1][1] < to_come[0][0] - today else "future"
    lean = {-1: "past", 1: "future"}.get(step or 0, moment.lean or nearer)
    return over[-1] if lean == "past" else to_come[0]


def _month_number(caught: Caught) -> int | None:
    if "month_number" in caught:
        return int(caught.word("month_number"))
    return caught.language.month[caught.word("month")] if "month" in caught else None


def _month_dates(year: int, month: int) -> _Dates:
    """From the first day of a month to that of the next; months beyond 12 or below 1 are those of other years."""
    first, following = (date(year + (n - 1) // 12, (n - 1) % 12 + 1, 1) for n in (month, month + 1))
    return first, following


def _n_days(first: date) -> int:
    return (_month_dates(first.year, first.month)[1] - first).days


def _date_of(year: int, month: int, day: int) -> _Dates | None:
    if day > _n_days(date(year, month, 1)):
        return None
    return date(year, month, day), date(year, month, day) + timedelta(1)


def _holiday_dates(name: str, year: int) -> _Dates:
    if name == "easter":
        sunday = _easter(year)
        return sunday - timedelta(2), sunday + timedelta(2)
    if name == "thanksgiving":
        first = date(year, 11, 1)
        thursday = first + timedelta((3 - first.weekday()) % 7 + 21)
        return thursday, thursday + timedelta(1)
    month, day, n_days = _FIXED_HOLIDAYS[name]
    return date(year, month, day), date(year, month, day) + timedelta(n_days)


def _easter(year: int) -> date:
    """Easter Sunday of the western churches, after Gauss as corrected by Lichtenberg (1997)."""
    century = year // 100
    moon = 15 + (3 * century + 3) // 4 - (8 * century + 13) // 25
    sun = 2 - (3 * century + 3) // 4
    golden = year % 19
    age = (19 * golden + moon) % 30
    shift = (age + golden // 11) // 29
    full_moon = 21 + age - shift
    first_sunday = 7 - (year + year // 4 + sun) % 7
    return date(year, 3, 1) + timedelta(full_moon + 7 - (full_moon - first_sunday) % 7 - 1)


MEANINGS: Mapping[str, Callable[[Caught, Moment], Span | None]] = {
    "day": _day,
    "daypart": _daypart,
    "vague": _vague,
    "childhood": _childhood,
    "unit": _unit,
    "ago": _ago,
    "ahead": _ahead,
    "past": _past,
    "weekday": _weekday,
    "weekend": _weekend,
    "date": _date,
    "week_of": _week_of,
    "month": _month,
    "year": _year,
    "season": _season,
    "holiday": _holiday,
}
"""By kind of rule. Days that are on no calendar (the year 10,000) raise ValueError or OverflowError."""
