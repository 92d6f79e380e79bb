"""What rules make of what people say: two labelled sets, with their precision and recall, and what always holds."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.fact_rules import MAX_FACTS, facts_said
from memory.messages import Fact
from memory.relations import RELATIONS, SPEAKER

NOW = datetime(2026, 3, 11, 15, 30, tzinfo=ZoneInfo("Europe/Berlin"))  # a Wednesday
_HEARD = Path(__file__).parent / "heard"


_WORDS = (
    *("i", "my", "am", "i'm", "name", "is", "called", "dog", "rex", "like", "and", "not", "no"),
    *("if", "on", "friday", "have", "a", ",", ".", "?"),
)


def _shown(fact: Fact) -> str:
    sign = "-" if fact.valid_to is not None else "~" if fact.recorded_to is not None else ""
    subject = "" if fact.subject == SPEAKER else f"{fact.subject}."
    return f"{sign}{subject}{fact.relation}={fact.object}{f'@{fact.day}' if fact.day else ''}"


def _heard(text: str) -> set[str]:
    return {_shown(fact) for fact in facts_said(text, NOW, 1)}


def _cases(name: str) -> list[tuple[str, set[str]]]:
    lines = (_HEARD / name).read_text(encoding="utf-8").splitlines()
    cases = [line.partition("||") for line in lines if line and not line.startswith("#")]
    return [(text.strip(), {each.strip() for each in facts.split(";") if each.strip()}) for text, _, facts in cases]


@pytest.mark.parametrize("name", ["tuning.txt", "held_out.txt"])
def test_what_is_found_is_right_and_most_is_found(name: str) -> None:
    cases = _cases(name)
    assert len(cases) >= 100
    wrong = [(text, _heard(text) - expected) for text, expected in cases if _heard(text) - expected]
    n_right = sum(len(_heard(text) & expected) for text, expected in cases)
    n_expected = sum(len(expected) for _, expected in cases)
    n_wrong = sum(len(found) for _, found in wrong)
    assert n_right / (n_right + n_wrong) >= 0.95, wrong
    assert n_right / n_expected >= 0.9


def test_a_fact_cites_its_turn_and_holds_from_when_it_was_said() -> None:
    (fact,) = facts_said("my dog is called rex", NOW, 7)
    assert fact.turn_ids == (7,)
    assert (fact.valid_from, fact.valid_to) == (NOW.timestamp(), None)
    assert (fact.recorded_from, fact.recorded_to, fact.source) == (NOW.timestamp(), None, "rule")


def test_the_end_of_something_and_an_error_are_told_from_a_fact() -> None:
    (over,) = facts_said("i'm not afraid of the dark any more", NOW, 1)
    assert (over.valid_to, over.recorded_to) == (NOW.timestamp(), None)
    right, wrong = facts_said("no, my name is Ben, not Len", NOW, 1)
    assert (right.object, right.recorded_to) == ("Ben", None)
    assert (wrong.object, wrong.recorded_to) == ("Len", NOW.timestamp())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MY DOG IS CALLED REX", "Rex"),
        ("my cat is called jean-luc", "Jean-luc"),
        ("My cat is called McFluff.", "McFluff"),
        ("mein name ist egal but my dog is called Björn", "Björn"),
    ],
)
def test_a_name_is_shown_as_names_are(text: str, expected: str) -> None:
    assert {fact.object.split(" called ")[1] for fact in facts_said(text, NOW, 1)} == {expected}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "?!?",
        "mein Hund heißt Rex",
        "我的狗叫小白",
        "j'ai un chien",
        "i like",
        "my name is",
        'she sang "my name is Bob" to us',
        "My name is secret.",
        "I'm 99.9% sure.",
        "hi i'm exhausted",
        "Tom is my favourite lol",
        "we have a plan for tomorrow",
    ],
)
def test_nothing_is_made_of_what_says_nothing(text: str) -> None:
    assert _heard(text) == set()


def test_a_greeting_makes_a_name_of_what_follows() -> None:
    assert _heard("Hi! I'm Max, and this is my sister Ella.") == {"name=Max", "people=sister called Ella"}
    assert _heard("I'm Max.") == set()


def test_play_reaches_to_the_end_of_what_is_said() -> None:
    assert _heard("I like cake. Let's pretend I'm a knight. My name is Arthur. I live in Camelot.") == {"likes=cake"}
    assert _heard("My name is Batman. I have a dog. Just kidding!") == set()


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(_WORDS)))
def test_any_words_give_well_formed_facts(words: list[str]) -> None:
    facts = facts_said(" ".join(words), NOW, 3)
    assert len(facts) <= MAX_FACTS
    for fact in facts:
        assert fact.relation in RELATIONS
        assert fact.object.strip() == fact.object != ""
        assert fact.turn_ids == (3,)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=120))
def test_any_text_is_taken(text: str) -> None:
    facts_said(text, NOW, 1)
