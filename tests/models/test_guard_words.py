"""Text becomes plain words with their places, whatever the spelling, in time that grows with the text alone."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.guard_words import STOP, Spelling, words_of

SPELLING = Spelling(
    vocabulary=frozenset({"i", "kill", "myself", "die", "want", "to", "help", "suicide", "a"}),
    whole={"dont": ("do", "not"), "can't": ("can", "not"), "it's": ("it", "is"), "wanna": ("want", "to")},
    endings={"n't": ("not",), "m": ("am",), "s": ("'s",)},
    masked=("fuck", "kill"),
)


def texts(text: str) -> list[str]:
    return list(words_of(text, SPELLING).texts)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("I'm HERE, now", ["i", "am", "here", "now"]),
        ("I don\u2019t; dont", ["i", "do", "not", STOP, "do", "not"]),
        ("He isn't. It's mom's!", ["he", "is", "not", STOP, "it", "is", "mom", "'s", STOP]),
        ("o'clock", ["oclock"]),
        ("3.14 is 7:30.", ["3", "14", "is", "7", "30", STOP]),
        ("Caf\u00e9 Cafe\u0301 Stra\u00dfe", ["cafe", "cafe", "strasse"]),
        ("\uff4b\uff49\uff4c\uff4c", ["kill"]),
        ("我想死。好", ["我", "想", "死", STOP, "好"]),
        ("kill_myself", ["kill", "myself"]),
        ("", []),
        ("\ud800 \x00 \U0001f600", []),
    ],
)
def test_words_are_plain(text: str, words: list[str]) -> None:
    assert texts(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("k1ll", ["kill"]),
        ("d1e d!", ["die", "d", STOP]),
        ("f*ck f##k", ["fuck", "fuck"]),
        ("kiiiillll", ["kill"]),
        ("heeeelp", ["help"]),
        ("k i l l  m y s e l f", ["kill", "myself"]),
        ("i k.i.l.l now", ["i", "kill", "now"]),
        ("su\u200bi\u00adcide", ["suicide"]),
        ("wannaaa", ["want", "to"]),
        ("$u1c1de", ["suicide"]),
    ],
)
def test_tricks_are_undone(text: str, words: list[str]) -> None:
    assert texts(text) == words


@pytest.mark.parametrize("text", ["yesss", "b2b", "a b c d e f", "w w w", "k i t t e n", "h*t", "4 7 1 1", "l33t"])
def test_what_is_no_trick_stays_as_it_is(text: str) -> None:
    assert texts(text) == text.split()


def test_places_are_those_of_the_text() -> None:
    text = "Well, I can't k i l l 想死 it"
    words = words_of(text, SPELLING)
    found = [text[start:end] for start, end in zip(words.starts, words.ends, strict=True)]
    assert found == ["Well", "I", "can't", "can't", "k i l l", "想", "死", "it"]


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_text_has_words_in_order_within_it(text: str) -> None:
    words = words_of(text, SPELLING)
    assert len(words.texts) == len(words.starts) == len(words.ends)
    assert all(words.texts)
    assert list(words.starts) == sorted(words.starts)
    assert all(0 <= start < end <= len(text) for start, end in zip(words.starts, words.ends, strict=True))


@pytest.mark.parametrize("unit", ["k i l l ", "aaaa", "f*", "a@", "a'", "a.", "e\u0301", "1-", "kiiill "])
def test_no_text_makes_it_slow(unit: str) -> None:
    text = unit * 5_000
    started_s = time.perf_counter()
    words_of(text, SPELLING)
    assert time.perf_counter() - started_s < 2.0


def test_two_words_that_are_one_are_joined_within_a_sentence() -> None:
    paired = Spelling(whole={}, endings={}, pairs={("my", "self"): "myself"})
    words = words_of("Kill my self. My. Self", paired)
    assert words.texts == ("kill", "myself", ".", "my", ".", "self")
    assert (words.starts[1], words.ends[1]) == (5, 12)
