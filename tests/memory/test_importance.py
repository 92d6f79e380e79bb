"""What matters: feelings, oneself, names and facts above questions and chit-chat."""

from hypothesis import given, settings
from hypothesis import strategies as st

from memory.importance import LEAST, SAID_AGAIN, importance

JOY, GRIEF, CURIOSITY, NEUTRAL = 17, 16, 7, 27


def _felt(index: int, strength: int = 255) -> bytes:
    return bytes(strength if n == index else 0 for n in range(28))


def test_what_tells_of_somebody_matters_more_than_questions_and_chit_chat() -> None:
    told = importance("My grandma Rosa lives at the sea")
    asked = importance("Does Grandma Rosa live at the sea?")
    assert importance("hello, how are you") == LEAST < asked < importance("A ship is on the sea") < told


def test_strong_feelings_matter_and_neutral_ones_do_not() -> None:
    text = "The hamster is gone"
    assert importance(text, _felt(NEUTRAL)) == importance(text)
    assert importance(text, _felt(CURIOSITY)) < importance(text, _felt(JOY)) < importance(text, _felt(GRIEF))
    assert importance(text, _felt(GRIEF, 60)) < importance(text, _felt(GRIEF, 250))


def test_a_fact_matters_even_in_words_that_are_none() -> None:
    assert importance("no", is_factual=True) > importance("no")


def test_other_languages_tell_of_oneself_too() -> None:
    for one, other in (
        ("mój pies śpi", "ten pies śpi"),
        ("j\u2019ai un chien", "voici un chien"),
        ("мой пёс", "этот пёс"),
    ):
        assert importance(one) > importance(other)


@settings(deadline=None, max_examples=100)
@given(st.text(), st.binary(max_size=28), st.booleans())
def test_it_is_between_the_least_and_one_for_any_text(text: str, feelings: bytes, is_factual: bool) -> None:
    assert SAID_AGAIN < LEAST <= importance(text, feelings, is_factual=is_factual) <= 1.0


@settings(deadline=None, max_examples=100)
@given(st.text(), st.integers(0, 27), st.integers(0, 254))
def test_a_stronger_feeling_never_matters_less(text: str, index: int, strength: int) -> None:
    assert importance(text, _felt(index, strength)) <= importance(text, _felt(index, strength + 1))
