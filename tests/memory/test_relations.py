"""How facts bear on each other, and how they are said."""

from datetime import date

import pytest

from memory.messages import Fact
from memory.relations import (
    RELATIONS,
    SPEAKER,
    Bearing,
    bearing,
    ends,
    falls_on,
    is_day,
    sentence,
    sentence_of_day,
)


def _fact(relation: str, thing: str, subject: str = SPEAKER, day: str | None = None) -> Fact:
    return Fact(subject=subject, relation=relation, object=thing, day=day, recorded_from=0.0)


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        (("likes", "Cake"), ("likes", "cake"), "same"),
        (("pet", "dog"), ("pet", "dog called Rex"), "same"),
        (("pet", "dog called Rex"), ("pet", "dog"), "refines"),
        (("pet", "dog called Bo"), ("pet", "dog called Rex"), None),
        (("pet", "cat called Bo"), ("pet", "dog"), None),
        (("likes", "cake"), ("dislikes", "cake"), "replaces"),
        (("dislikes", "cake"), ("likes", "pie"), None),
        (("lives_in", "Rome"), ("lives_in", "Berlin"), "replaces"),
        (("favourite", "colour: red"), ("favourite", "colour: blue"), "replaces"),
        (("favourite", "food: pizza"), ("favourite", "colour: blue"), None),
        (("name", "Ben"), ("name", "Len"), "corrects"),
        (("age", "7"), ("age", "6"), "replaces"),
    ],
)
def test_a_fact_bears_on_another(new: tuple[str, str], old: tuple[str, str], expected: Bearing | None) -> None:
    assert bearing(_fact(*new), _fact(*old)) == expected


def test_facts_of_different_subjects_do_not_bear_on_each_other() -> None:
    assert bearing(_fact("age", "7", "Lena"), _fact("age", "6")) is None


def test_a_plan_of_another_day_is_another_plan() -> None:
    first, second = (_fact("plan", "i have a test", day=day) for day in ("2026-03-13", "2026-03-20"))
    assert bearing(second, first) is None
    assert bearing(first, first) == "same"


def test_an_end_is_of_what_it_names() -> None:
    assert ends(_fact("pet", "dog"), _fact("pet", "dog called Rex"))
    assert ends(_fact("pet", "dog called Rex"), _fact("pet", "dog"))
    assert not ends(_fact("pet", "dog called Bo"), _fact("pet", "dog called Rex"))
    assert not ends(_fact("pet", "cat"), _fact("pet", "dog called Rex"))


@pytest.mark.parametrize(
    ("fact", "to_you", "about"),
    [
        (_fact("name", "Anna"), "Your name is Anna.", "Anna's name is Anna."),
        (_fact("pet", "dog called Rex"), "Your dog is called Rex.", "Anna's dog is called Rex."),
        (_fact("pet", "elephant"), "You have an elephant.", "Anna has an elephant."),
        (_fact("people", "two sisters"), "You have two sisters.", "Anna has two sisters."),
        (_fact("people", "cousins"), "You have cousins.", "Anna has cousins."),
        (_fact("likes", "my grandma"), "You like your grandma.", "Anna likes their grandma."),
        (_fact("dislikes", "peas"), "You do not like peas.", "Anna does not like peas."),
        (_fact("favourite", "colour: blue"), "Your favourite colour is blue.", "Anna's favourite colour is blue."),
        (_fact("fears", "the dark"), "You are afraid of the dark.", "Anna is afraid of the dark."),
        (_fact("fears", "bees", "sister"), "Your sister is afraid of bees.", "Anna's sister is afraid of bees."),
        (_fact("age", "9", "Lena"), "Lena is 9 years old.", "Lena is 9 years old."),
        (_fact("lost", "hamster called Bo"), "Your hamster Bo died.", "Anna's hamster Bo died."),
        (_fact("lost", "grandpa"), "Your grandpa died.", "Anna's grandpa died."),
        (_fact("plan", "we go to the zoo"), 'Your plan: "we go to the zoo".', 'Anna\'s plan: "we go to the zoo".'),
    ],
)
def test_a_fact_is_a_sentence(fact: Fact, to_you: str, about: str) -> None:
    assert sentence(fact) == to_you
    assert sentence(fact, "Anna") == about


def test_a_day_is_announced_on_it_and_on_its_eve() -> None:
    birthday = _fact("birthday", "March 12", "Tom", "03-12")
    assert sentence_of_day(birthday, date(2026, 3, 12)) == "Today is Tom's birthday."
    assert sentence_of_day(birthday, date(2026, 3, 11)) == "Tomorrow is Tom's birthday."
    own = _fact("birthday", "March 12", day="03-12")
    assert sentence_of_day(own, date(2026, 3, 12)) == "Today is your birthday."
    assert sentence_of_day(own, date(2026, 3, 12), "Anna") == "Today is Anna's birthday."
    plan = _fact("plan", "we go to the zoo", day="2026-03-12")
    assert (
        sentence_of_day(plan, date(2026, 3, 11), "Anna") == 'Tomorrow is the day of Anna\'s plan: "we go to the zoo".'
    )


def test_a_birthday_on_a_leap_day_comes_every_year() -> None:
    assert falls_on("02-29", date(2028, 2, 29))
    assert not falls_on("02-29", date(2028, 2, 28))
    assert falls_on("02-29", date(2027, 2, 28))
    assert falls_on("02-29", date(2100, 2, 28))


@pytest.mark.parametrize("day", ["01-31", "02-29", "2024-02-29", "1999-12-31"])
def test_a_day_of_either_form_is_one(day: str) -> None:
    assert is_day(day)


@pytest.mark.parametrize(
    "day", ["", "1-31", "04-31", "2023-02-29", "0000-01-01", "2020-W01-1", "01-31\n", "\u0660\u0661-\u0663\u0661"]
)
def test_what_no_calendar_has_is_no_day(day: str) -> None:
    assert not is_day(day)


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_fact_of_nobody_and_nothing_can_be_said(relation: str) -> None:
    """What an older version took in; a new one refuses it."""
    blank = _fact(relation, "", subject="", day="01-31")
    assert sentence(blank)
    assert sentence(blank, "Anna")
    assert sentence_of_day(blank, date(2024, 1, 31))
