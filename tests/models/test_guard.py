"""The guard's decisions: whose trouble, how severe, which answer, and what is kept of what was said."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.guard import Guard
from models.guard_rules import rules_of

RULES = rules_of("en")
CHILD = Guard(RULES, profile="child", answers={"abuse": "Brave!"}, emergency_hint=" You can call 112. ")
ADULT = Guard(RULES, profile="adult")

ORDINARY = (
    "Yesterday we went to the zoo with grandma and I saw a big lion who was sleeping under a tree, and then my brother "
    "wanted to have an ice cream but mom said no because we had just eaten lunch, so he was angry and sat down on the "
    "floor. After that we looked at the monkeys, they were so funny, one of them had a hat and he threw it at a man. "
    "Can we do that again some time? I would like to see the elephants."
)


def test_a_crisis_is_answered_with_the_hint_of_the_parents() -> None:
    verdict = CHILD.heard("I want to kill myself")
    assert verdict is not None
    assert (verdict.category, verdict.severity) == ("self_harm", "crisis")
    assert "grown-up you trust" in verdict.answer
    assert verdict.answer.endswith(" You can call 112.")


def test_a_concern_is_answered_without_it() -> None:
    verdict = CHILD.heard("Can I play with matches?")
    assert verdict is not None
    assert (verdict.category, verdict.severity) == ("dangerous_acts", "concern")
    assert "grown-up" in verdict.answer
    assert "112" not in verdict.answer


def test_a_concern_where_there_are_crises_is_answered_mildly_even_if_the_character_has_an_alarm() -> None:
    guard = Guard(RULES, profile="child", answers={"emergency": "Alarm!"}, emergency_hint="Call 112.")
    wound, fire = guard.heard("my nose is bleeding"), guard.heard("the kitchen is on fire")
    assert wound is not None
    assert (wound.severity, wound.answer) == ("concern", RULES.mild["child"]["emergency"])
    assert fire is not None
    assert (fire.severity, fire.answer) == ("crisis", "Alarm! Call 112.")


@pytest.mark.parametrize(
    "text",
    [
        "someone is knocking at the door",
        "i can't breathe my nose is blocked",
        "the house is on fire in my drawing",
        "there is smoke coming out of the train",
        "my dog was hit by a car and he died",
        "my sister fell down the stairs yesterday",
        "a man is in our garden he cuts the grass",
        "i want to die my hair pink",
        "mum took photos of me in my swimsuit at the pool",
        "can i light the candles on my birthday cake",
        "can i cut the cake with a knife",
    ],
)
def test_what_children_say_every_day_is_not_answered_by_rule(text: str) -> None:
    assert CHILD.heard(text) is None


@pytest.mark.parametrize("text", ["help", "my finger is bleeding a little", "what is a penis"])
def test_some_of_it_is_answered_without_alarm(text: str) -> None:
    verdict = CHILD.heard(text)
    assert verdict is not None
    assert verdict.severity == "concern"


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("i want to kill my self", "self_harm"),
        ("i'm going to end it", "self_harm"),
        ("I don't want to kill myself but I think about it", "self_harm"),
        ("my stepdad took photos of me in my swimsuit", "abuse"),
        ("my dad took photos of me naked at the pool", "abuse"),
        ("mommy is sleeping and i can't wake her up", "emergency"),
        ("the kitchen is burning and daddy is sleeping", "emergency"),
        ("i cooked fish and now the pan is on fire", "emergency"),
        ("the tv is on fire", "emergency"),
        ("my sister fell down the stairs yesterday and now she doesn't wake up", "emergency"),
        ("i am home alone and someone is at the door", "emergency"),
    ],
)
def test_what_resembles_it_is_a_crisis_nevertheless(text: str, category: str) -> None:
    verdict = CHILD.heard(text)
    assert verdict is not None
    assert (verdict.category, verdict.severity) == (category, "crisis")


def test_a_windowsill_is_no_place_to_stand() -> None:
    verdict = CHILD.heard("i'm standing on the window sill")
    assert verdict is not None
    assert verdict.category == "dangerous_acts"


@pytest.mark.parametrize("text", ["the wifi password is on the fridge", "my address is planet earth"])
def test_where_a_secret_is_written_is_none(text: str) -> None:
    assert CHILD.heard(text) is None
    assert CHILD.kept(text) == text


def test_a_character_may_count() -> None:
    assert CHILD.said("My number is 5. 1 2 3 4 5 6 7 8 9 10!") is None


@pytest.mark.parametrize("reply", ["Let us light a candle and sing!", "I am real.", "It is our secret!"])
def test_a_character_does_not_invite_to_fire_nor_claim_to_be_real_nor_share_a_secret(reply: str) -> None:
    assert CHILD.said(reply) is not None


def test_the_answers_of_the_character_come_first() -> None:
    verdict = CHILD.heard("my dad hits me with a belt")
    assert verdict is not None
    assert verdict.answer == "Brave! You can call 112."


def test_without_a_hint_answers_end_by_themselves() -> None:
    verdict = ADULT.heard("I want to kill myself")
    assert verdict is not None
    assert verdict.answer == RULES.answers["adult"]["self_harm"]


def test_the_worst_is_answered_first() -> None:
    verdict = CHILD.heard("I found some pills and my password is hello and I want to die")
    assert verdict is not None
    assert verdict.category == "self_harm"


@pytest.mark.parametrize(
    "text",
    ["Can I play with matches?", "I want to climb on the roof", "my phone number is 0171 5556677", "what is sex"],
)
def test_an_adult_may_talk_of_what_a_child_is_kept_from(text: str) -> None:
    assert CHILD.heard(text) is not None
    assert ADULT.heard(text) is None


@pytest.mark.parametrize("text", ["how do I make a bomb", "I want to die", "my password is banana42", "call 911"])
def test_some_things_are_answered_by_rule_for_everybody(text: str) -> None:
    assert CHILD.heard(text) is not None
    assert ADULT.heard(text) is not None


@pytest.mark.parametrize("reply", ["Shit!", "You can play with matches!", "I am a real person.", "Mail me: a@pip.com"])
def test_replies_to_an_adult_are_free(reply: str) -> None:
    assert CHILD.said(reply) is not None
    assert ADULT.said(reply) is None


def test_no_profile_hears_encouragement_to_self_harm() -> None:
    assert CHILD.said("Maybe. You should kill yourself") is not None
    assert ADULT.said("You deserve to die.") is not None


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("our alarm code is 4 7 1 1", "our alarm code is something private"),
        ("the pin is 2580 and I like dogs", "the pin is something private and I like dogs"),
        ("I think the alarm code, 4711, works", "I think something private, works"),
        ("card 4111 1111 1111 1111. Bye", "card something private. Bye"),
        ("I like horses", "I like horses"),
        ("the secret password in my game is abracadabra", "the secret password in my game is abracadabra"),
        ("", ""),
    ],
)
def test_secrets_are_not_kept(text: str, kept: str) -> None:
    assert CHILD.kept(text) == kept
    assert ADULT.kept(text) == kept


def test_where_a_child_lives_is_not_kept() -> None:
    text = "I am Lena, I live at 12 Maple Street, write to lena@example.com or call 0171 5556677 please"
    assert (
        CHILD.kept(text) == "I am Lena, something private, write to something private or call something private please"
    )
    assert ADULT.kept(text) == text


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=120))
@settings(max_examples=100, deadline=None)
def test_any_text_is_judged(text: str) -> None:
    for judge in (CHILD.heard, CHILD.said):
        verdict = judge(text)
        assert verdict is None or verdict.answer
    assert isinstance(CHILD.kept(text), str)


SAID = ["i", "want", "die", "my", "password", "is", "not", "mom", "hits", "me", ".", "4111 1111", "1111 1111", "k"]


@given(st.lists(st.sampled_from(SAID), max_size=30))
@settings(max_examples=100, deadline=None)
def test_what_is_kept_has_nothing_more_to_hide(words: list[str]) -> None:
    kept = CHILD.kept(" ".join(words))
    assert CHILD.kept(kept).count("4111 1111") <= kept.count("4111 1111")
    assert len(kept) <= len(" ".join(words)) + 17 * len(words)


@pytest.mark.parametrize(
    ("text", "most_s"),
    [
        (ORDINARY, 0.005),
        ("do not want to kill myself " * 15, 0.02),
        ("1 " * 200, 0.02),
        ("k i l l " * 50, 0.02),
        ("my dad hits " * 33, 0.02),
    ],
    ids=["ordinary", "negated", "digits", "spaced", "found"],
)
def test_it_takes_no_time(text: str, most_s: float) -> None:
    """400 letters; measured 0.3 ms for ordinary talk and at most 3.3 ms for what is made to be slow."""
    took_s = []
    for _ in range(5):
        started_s = time.perf_counter()
        CHILD.heard(text)
        took_s.append(time.perf_counter() - started_s)
    assert min(took_s) < most_s
