"""Patterns of words are found where they stand, and never take longer than the text is long."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.guard_patterns import PatternSet, Span, parse_classes, parse_pattern
from models.guard_words import STOP, Spelling, words_of

CLASSES = parse_classes({"me": ["me", "myself"], "people": ["mom", "@me", "grown_up"]})
PLAIN = Spelling(whole={}, endings={})


def found(pattern: str, text: str) -> list[tuple[int, int]]:
    patterns = PatternSet([parse_pattern(pattern, CLASSES)])
    return [(span.start, span.end) for _, span in patterns.find(words_of(text, PLAIN))]


@pytest.mark.parametrize(
    ("pattern", "text", "spans"),
    [
        ("kill", "I kill it", [(1, 2)]),
        ("kill", "skill killer", []),
        ("kill|hurt myself", "hurt myself kill", [(0, 2)]),
        ("call a_doctor", "call a doctor call doctor", [(0, 3)]),
        ("tell @people", "tell mom tell a grown up tell grown up", [(0, 2), (6, 9)]),
        ("want ~2 die", "want to really die", [(0, 4)]),
        ("want ~2 die", "want to really truly die", []),
        ("want ~2 die", "want it. die", []),
        ("want not? die", "want die want not die", [(0, 2), (2, 5)]),
        ("~2 die ~2", "oh I die now", [(2, 3)]),
        ("^ help $", "help", [(0, 1)]),
        ("^ help $", "Oh. Help! Me", [(2, 3)]),
        ("^ help $", "can you help me", []),
        ("stop $|now", "stop here stop now stop", [(2, 4), (4, 5)]),
        ("take # pills", "take 12 pills take pills", [(0, 3)]),
        ("call 911|112", "call 112", [(0, 2)]),
        ("想死|自杀", "我想死", [(1, 3)]),
        ("mom ~3 mom", "mom mom", [(0, 2)]),
    ],
)
def test_a_pattern_is_found(pattern: str, text: str, spans: list[tuple[int, int]]) -> None:
    assert sorted(set(found(pattern, text))) == spans


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("kill @nobody", "no class '@nobody'"),
        ("want ~ die", "~ and a number"),
        ("want ~99 die", "from 1 to 8"),
        ("kill? ~2", "no word that must be there"),
        ("kill| me", "lacks a word"),
        ("", "no word"),
    ],
)
def test_a_mistake_in_a_pattern_is_named(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match="pattern") as caught:
        parse_pattern(pattern, CLASSES)
    assert reason in str(caught.value)


def test_spans_touch_where_they_share_a_word() -> None:
    assert Span(0, 2).touches(Span(1, 3))
    assert not Span(0, 2).touches(Span(2, 3))


WORDS = st.lists(st.sampled_from(["a", "b", "c", STOP]), max_size=12)


@given(WORDS, WORDS)
@settings(max_examples=200, deadline=None)
def test_words_around_do_not_hide_a_match(before: list[str], after: list[str]) -> None:
    text = " ".join([*before, "x", "a", "b", "y", *after])
    assert any(end - start == 4 for start, end in found("x ~2 y", text))


@pytest.mark.parametrize("text", ["a b " * 4_000, "a " * 8_000])
def test_many_ways_to_read_a_text_cost_no_more(text: str) -> None:
    started_s = time.perf_counter()
    found("a ~8 b ~8 a ~8 b ~8 a", text)
    assert time.perf_counter() - started_s < 4.0
