"""Somebody is taken to listen when that is said, and not when they are only talked about."""

import pytest

from memory.company import are_alone, who_came


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("Mum is here.", "mum"),
        ("mommy is home", "mom"),
        ("This is daddy.", "dad"),
        ("Hello, I'm Anna's mom.", "mom"),
        ("I am her grandma", "grandma"),
        ("say hi to my sister", "sister"),
        ("My brother is listening.", "brother"),
        ("Dad is in.", "dad"),
        ("mum is back and she is tired", "mum"),
        ("Mum is back now", "mum"),
    ],
)
def test_who_is_said_to_be_here_listens(text: str, who: str) -> None:
    assert who_came(text) == who


@pytest.mark.parametrize(
    "text",
    [
        "This is mum's cup.",
        "Mum is at work.",
        "My mum isn't here.",
        "I love my dad.",
        "When is grandma coming?",
        "I'm six.",
        "It's my brother's birthday.",
        "My dad is in hospital.",
        "mum is back in Berlin",
        "Grandpa is in the garden.",
        "",
    ],
)
def test_who_is_only_talked_about_does_not(text: str) -> None:
    assert who_came(text) is None


@pytest.mark.parametrize("text", ["Mum is gone.", "Dad went to work", "We are alone again.", "nobody is listening"])
def test_people_leave_again(text: str) -> None:
    assert are_alone(text)
    assert not are_alone("Mum is here.")
