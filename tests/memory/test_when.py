"""Which spans of time people's words mean: English by cases, the rest by what always holds."""

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.when import time_spans
from memory.when_spans import Lean
from memory.when_words import ENGLISH

NOW = datetime(2026, 3, 11, 15, 30, tzinfo=ZoneInfo("Europe/Berlin"))  # a Wednesday


def _spans(text: str, lean: Lean | None = None, now: datetime = NOW) -> list[str]:
    """Each span as "first day..last day", with hours where it is not whole days."""
    shown = []
    for span in time_spans(text, now, lean):
        if span.start.hour or span.end.hour:
            shown.append(f"{span.start:%Y-%m-%dT%H}..{span.end:%Y-%m-%dT%H}")
        else:
            shown.append(f"{span.start:%Y-%m-%d}..{span.end - timedelta(1):%Y-%m-%d}")
    return shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("what did we do yesterday", "2026-03-10..2026-03-10"),
        ("today is fun", "2026-03-11..2026-03-11"),
        ("the day before yesterday", "2026-03-09..2026-03-09"),
        ("the day after tomorrow", "2026-03-13..2026-03-13"),
        ("tomorrow morning", "2026-03-12T05..2026-03-12T12"),
        ("last night i had a dream", "2026-03-10T18..2026-03-11T06"),
        ("we play tonight", "2026-03-11T18..2026-03-12T06"),
        ("last week", "2026-03-02..2026-03-08"),
        ("this week", "2026-03-09..2026-03-15"),
        ("next week", "2026-03-16..2026-03-22"),
        ("the week before last", "2026-02-23..2026-03-01"),
        ("last month", "2026-02-01..2026-02-28"),
        ("next year", "2027-01-01..2027-12-31"),
        ("last weekend", "2026-03-07..2026-03-08"),
        ("this weekend", "2026-03-14..2026-03-15"),
        ("we swam at the weekend", "2026-03-07..2026-03-08"),
        ("three days ago", "2026-03-08..2026-03-08"),
        ("3 days ago", "2026-03-08..2026-03-08"),
        ("two weeks ago", "2026-02-21..2026-02-28"),
        ("a year ago", "2024-09-09..2025-09-08"),
        ("in two days", "2026-03-13..2026-03-13"),
        ("over the past few months", "2025-09-09..2026-03-11"),
        ("an hour ago", "2026-03-11T14..2026-03-11T15"),
        ("last friday", "2026-03-06..2026-03-06"),
        ("last Tues was nice", "2026-03-10..2026-03-10"),
        ("next friday", "2026-03-20..2026-03-20"),
        ("on friday i have a test", "2026-03-13..2026-03-13"),
        ("my test is on friday and i am scared", "2026-03-13..2026-03-13"),
        ("on friday we went home", "2026-03-06..2026-03-06"),
        ("on wednesday i had fun", "2026-03-04..2026-03-04"),
        ("in May we went to the zoo", "2025-05-01..2025-05-31"),
        ("in may we will go to the zoo", "2026-05-01..2026-05-31"),
        ("What did she do in May 2023?", "2023-05-01..2023-05-31"),
        ("early March 2023", "2023-03-01..2023-03-10"),
        ("in mid-July 2023", "2023-07-11..2023-07-21"),
        ("on May 5th I turn six", "2026-05-05..2026-05-05"),
        ("my birthday is on may fifth", "2026-05-05..2026-05-05"),
        ("on the twenty first of june", "2026-06-21..2026-06-21"),
        ("on 5 May 2023", "2023-05-05..2023-05-05"),
        ("on October 13, 2023", "2023-10-13..2023-10-13"),
        ("2023-05-07", "2023-05-07..2023-05-07"),
        ("on feb 29 we danced", "2024-02-29..2024-02-29"),
        ("on the 5th we will swim", "2026-04-05..2026-04-05"),
        ("what happened in 2021", "2021-01-01..2021-12-31"),
        ("Where did he live in summer 2023?", "2023-06-01..2023-08-31"),
        ("last summer", "2025-06-01..2025-08-31"),
        ("last winter", "2025-12-01..2026-02-28"),
        ("this summer", "2026-06-01..2026-08-31"),
        ("last christmas", "2025-12-24..2025-12-26"),
        ("at easter 2024", "2024-03-29..2024-04-01"),
        ("last thanksgiving", "2025-11-27..2025-11-27"),
        ("the other day", "2026-02-25..2026-03-10"),
        ("recently", "2026-02-09..2026-03-11"),
        ("when i was little", "1900-01-01..2024-03-10"),
        ("when I was five years old", "1900-01-01..2024-03-10"),
        ("a long time ago", "1900-01-01..2025-03-10"),
        ("before August 11, 2023", "1900-01-01..2023-08-10"),
        ("the week before August 3, 2023", "2023-07-27..2023-08-02"),
        ("the weekend before 7 July 2023", "2023-07-01..2023-07-02"),
        ("the first weekend of August 2023", "2023-08-05..2023-08-06"),
        ("the last week of august 2023", "2023-08-25..2023-08-31"),
        ("between May 5 and June 3, 2023", "2023-05-05..2023-06-03"),
        ("from May 5 to May 8", "2026-05-05..2026-05-08"),
        ("letzte Woche", "2026-03-02..2026-03-08"),
        ("am Freitag gehen wir in den Zoo", "2026-03-13..2026-03-13"),
        ("vor drei Tagen", "2026-03-08..2026-03-08"),
        ("am 5. Mai 2023", "2023-05-05..2023-05-05"),
        ("我们昨天去了动物园", "2026-03-10..2026-03-10"),
        ("下周五", "2026-03-20..2026-03-20"),
        ("去年夏天", "2025-06-01..2025-08-31"),
        ("2023年5月7日", "2023-05-07..2023-05-07"),
    ],
)
def test_words_mean_their_span(text: str, expected: str) -> None:
    assert _spans(text) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "i have one dog and may i tell you a secret",
        "I can march on the sun second to none",
        "we sat there and it was fun",
        "my friend april has a dog",
        "the last one was better",
        "i fall down and i spring up",
        "a christmas tree",
    ],
)
def test_words_that_only_look_like_time_mean_nothing(text: str) -> None:
    assert _spans(text) == []


def test_the_direction_can_be_given() -> None:
    assert _spans("in May", "past") == ["2025-05-01..2025-05-31"]
    assert _spans("in May", "future") == ["2026-05-01..2026-05-31"]
    assert _spans("on friday", "past") == ["2026-03-06..2026-03-06"]
    assert _spans("on friday", "future") == ["2026-03-13..2026-03-13"]


def test_several_spans_come_in_the_order_of_the_text_with_their_words() -> None:
    spans = time_spans("Did we swim  last\nSummer, or on May 5th 2023?", NOW)
    assert [span.words for span in spans] == ["last\nSummer", "on May 5th 2023"]


def test_days_begin_at_local_midnight_across_a_change_of_clocks() -> None:
    now = datetime(2026, 3, 30, 9, tzinfo=ZoneInfo("Europe/Berlin"))  # the clocks went forward on the 29th
    (span,) = time_spans("yesterday", now)
    assert (span.end.timestamp() - span.start.timestamp()) == 23 * 3600
    assert span.start.astimezone(UTC).hour == 23


_TIME_WORDS = sorted(
    {
        *ENGLISH.unit,
        *ENGLISH.weekday,
        *ENGLISH.month,
        *ENGLISH.season,
        *ENGLISH.holiday,
        *ENGLISH.step,
        *ENGLISH.days,
        *ENGLISH.number,
        *ENGLISH.ordinal,
        *("on", "in", "the", "of", "ago", "before", "after", "since", "between", "and"),
        *("5", "31", "2023", "9999", "29th", "mid", "early", "0"),
    }
)
_NOWS = st.datetimes(
    datetime(1970, 1, 2),  # noqa: DTZ001 - hypothesis adds the zone
    datetime(9000, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, NOW.tzinfo]),
)


@settings(deadline=None, max_examples=150)
@given(words=st.lists(st.sampled_from(_TIME_WORDS), max_size=8), now=_NOWS)
def test_any_words_give_ordered_spans_in_the_zone_of_now(words: list[str], now: datetime) -> None:
    text = " ".join(words)
    position = 0
    for span in time_spans(text, now):
        assert span.start < span.end
        assert span.start.tzinfo is span.end.tzinfo is now.tzinfo
        position = text.index(span.words, position) + len(span.words)


@settings(deadline=None, max_examples=100)
@given(text=st.text(max_size=60), now=_NOWS)
def test_any_text_is_taken(text: str, now: datetime) -> None:
    for span in time_spans(text, now):
        assert span.words in text


@settings(deadline=None, max_examples=60)
@given(now=_NOWS, words=st.sampled_from(["{} week", "{} month", "{} year", "{} friday", "{} may", "{} christmas"]))
def test_last_is_over_and_next_is_to_come(now: datetime, words: str) -> None:
    (last,) = time_spans(words.format("last"), now)
    (following,) = time_spans(words.format("next"), now)
    assert last.end <= now < following.start


def test_a_sentence_takes_less_than_a_millisecond() -> None:
    sentence = "do you remember what we did at the zoo last summer when grandma came on friday"
    time_spans(sentence, NOW)
    took_s = []
    for _ in range(30):
        begun = time.perf_counter()
        time_spans(sentence, NOW)
        took_s.append(time.perf_counter() - begun)
    assert min(took_s) < 0.001
