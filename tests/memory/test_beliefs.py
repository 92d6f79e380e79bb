"""What a person has in mind as far as they said, what must not be said to whom, and what is no news to them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import facts
from memory.beliefs import already_told, beliefs_said, is_worrying_secret, secrets_from, withheld
from memory.fact_rules import facts_said
from memory.messages import Recalled, Turn
from memory.store import MemoryStore
from tests.memory.making import remember

NOW = datetime(2026, 3, 11, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        yield store


def _said(text: str, previous: tuple[int, str] | None = None) -> list[str]:
    found = beliefs_said(text, NOW, 5, previous=previous)
    return [
        f"{'-' if fact.valid_to is not None else ''}{fact.relation} {fact.object}{f' @{fact.day}' if fact.day else ''}"
        for fact in found
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i'm really sad today", ["feels sad @2026-03-11"]),
        ("I feel lonely.", ["feels lonely @2026-03-11"]),
        ("i want a dog", ["wants a dog"]),
        ("i want a cookie", ["wants a cookie @2026-03-11"]),
        ("i want a bike for christmas", ["wants a bike"]),
        ("i wish i had a pony", ["wants a pony"]),
        ("I want to be an astronaut when I grow up!", ["wants to be an astronaut"]),
        ("i believe in santa", ["believes in santa"]),
        ("i don't believe in ghosts any more", ["-believes in ghosts"]),
        ("I think that dogs can talk", ["believes that dogs can talk"]),
        ("I know how to swim", ["knows how to swim"]),
        ("don't tell mum we are baking her a cake", ["keeps_from mum: we are baking her a cake"]),
        ("it's a surprise for daddy, we painted a picture", ["keeps_from dad: we painted a picture"]),
        (
            "we have a party on saturday and mum doesn't know",
            ["keeps_from mum: we have a party on saturday and @2026-03-14"],
        ),
        ("i broke the vase. this is a secret", ["keeps_from everyone: i broke the vase"]),
        ("you can tell mum now", ["-keeps_from mum"]),
        ("the party was great", ["-keeps_from : party"]),
        ("it's not a secret any more", ["-keeps_from "]),
        ("don't tell me", []),
        ("don't tell lies", []),
        ("do you believe in santa", []),
        ("i think so", []),
        ("i want to go home now", []),
        ("if i was sad i would cry", []),
        ("", []),
    ],
)
def test_what_is_in_somebodys_mind_is_told_by_their_words(text: str, expected: list[str]) -> None:
    assert [each.replace(" and @", " @") for each in _said(text)] == [each.replace(" and @", " @") for each in expected]


def test_a_secret_may_be_what_was_said_before() -> None:
    (secret,) = beliefs_said("but don't tell dad", NOW, 5, previous=(4, "We bought him a new guitar."))
    assert secret.object == "dad: we bought him a new guitar"
    assert secret.turn_ids == (4, 5)


def _turn(turn_id: int, text: str, reply: str = "") -> Turn:
    return Turn(
        turn_id=turn_id,
        conversation_id=1,
        person="Anna",
        character="Luna",
        user_text=text,
        reply_text=reply,
        said_at=0.0,
    )


def _recalled(turn: Turn | None, text: str) -> Recalled:
    return Recalled(text=text, turn=turn, said_at=0.0, score=1.0, why="")


def test_a_secret_is_withheld_from_whom_it_is_kept() -> None:
    known = [
        *facts_said("my mum is called Sarah", NOW, 3),
        *beliefs_said("don't tell mum about it, we are baking a cake", NOW, 4),
    ]
    told, other = _turn(4, "don't tell mum about it, we are baking a cake"), _turn(9, "i like trains")
    items = (
        _recalled(told, told.user_text),
        _recalled(None, "They were baking a cake."),
        _recalled(other, "i like trains"),
    )
    for listener in ("mum", "Mum", "Sarah", None):
        assert withheld(items, known, listener) == items[:2]
    assert withheld(items, known, "dad") == ()
    assert len(secrets_from(known, "mum")) == 1


def test_a_secret_from_everyone_is_withheld_from_anyone() -> None:
    known = beliefs_said("i broke the vase. it's a secret", NOW, 4)
    items = (_recalled(_turn(4, "i broke the vase"), "i broke the vase"),)
    assert withheld(items, known, "grandma") == items


def test_a_secret_ends_when_it_is_told_or_its_day_is_over(store: MemoryStore) -> None:
    def say(text: str) -> None:
        turn = remember(store, text)
        assert turn.turn_id is not None
        facts.record(store, "Anna", "Luna", beliefs_said(text, NOW, turn.turn_id), NOW.timestamp())

    def kept(today: date) -> list[str]:
        return [fact.object for fact in facts.current(store, "Anna", "Luna", today)]

    say("don't tell mum we have a party for her on saturday")
    say("don't tell dad we painted a picture")
    assert len(kept(date(2026, 3, 14))) == 2
    assert kept(date(2026, 3, 15)) == ["dad: we painted a picture"]
    say("the party was great")
    assert kept(date(2026, 3, 12)) == ["dad: we painted a picture"]
    say("you can tell dad now")
    assert kept(date(2026, 3, 12)) == []


def test_news_that_was_said_or_heard_is_no_news() -> None:
    turns = (
        _turn(1, "my hamster escaped from his cage"),
        _turn(2, "hello", "Did you know that whales sing songs?"),
        _turn(3, "bye"),
    )
    assert already_told("Your hamster escaped from the cage!", turns) == turns[0]
    assert already_told("Whales sing songs", turns) == turns[1]
    assert already_told("Your hamster is asleep", turns) is None
    assert already_told("Hello there", turns) is None
    assert already_told("", turns) is None


@pytest.mark.parametrize(
    "text",
    [
        "my uncle told me it's our secret",
        "he said i'm not allowed to tell anyone",
        "my teacher says don't tell your parents",
        "it's a secret that he touches me",
        "he hits me but i must not tell",
        "if i tell she will be angry",
        "the man gave me sweets and said it is our little secret",
        "don't tell mum but i was cutting myself",
        "I can\u2019t tell anyone. He made me promise.",
    ],
)
def test_a_secret_about_harm_or_imposed_by_a_grown_up_is_worrying_and_never_kept(text: str) -> None:
    assert is_worrying_secret(text)
    assert [each for each in _said(text) if each.startswith("keeps_from")] == []


@pytest.mark.parametrize(
    "text",
    [
        "it's a surprise for mum",
        "daddy says don't tell mummy about the birthday party",
        "i have a secret",
        "tom told me a secret",
        "don't tell anna i broke her doll",
        "he hit the ball far",
        "tell me a story",
        "",
    ],
)
def test_a_surprise_and_a_secret_among_children_are_not_worrying(text: str) -> None:
    assert not is_worrying_secret(text)


@settings(deadline=None, max_examples=80)
@given(st.text(max_size=100))
def test_any_text_is_taken(text: str) -> None:
    beliefs_said(text, NOW, 1, previous=(0, text))
    is_worrying_secret(text)
    already_told(text, (_turn(1, text),))
