"""The limits of a reply: where words end it, in every script, however the text was cut into pieces."""

# ruff: noqa: RUF001  characters that resemble others are the subject here

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.stops import ReplyLimits, StopStrings, WordLimit


def ended(text: str, max_words: int, slack: int = 8, cuts: tuple[int, ...] = ()) -> str:
    """The reply, and a bar if the limit ended it."""
    limit, out = WordLimit(max_words, slack), ""
    for start, end in itertools.pairwise(sorted({0, len(text), *cuts})):
        n_chars = limit.cut(text[start:end])
        if n_chars is not None:
            return out + text[start : start + n_chars] + "|"
        out += text[start:end]
    return out


@pytest.mark.parametrize(
    ("text", "max_words", "expected"),
    [
        ("One two three.", 5, "One two three."),
        ("One two three, four five. Six.", 2, "One two three,|"),
        ("One two, three four.", 2, "One two,|"),
        ("One. More. Three.", 2, "One. More.|"),
        ('He said "no." Then he left.', 3, 'He said "no."|'),
        ("Really?! Yes.", 1, "Really?!|"),
        ("Well... so it is.", 1, "Well...|"),
        ("It is 3.14 or so, I think.", 3, "It is 3.14 or so,|"),
        ("At 10:30 on example.com, yes.", 2, "At 10:30 on example.com,|"),
        ("Ask Dr. Smith first, please.", 2, "Ask Dr. Smith first,|"),
        ("Some, e.g. cats, purr.", 2, "Some, e.g. cats,|"),
        ("It's a well-known dog, he's old.", 4, "It's a well-known dog,|"),
        ("one two\nthree", 2, "one two|"),
        ("Yes! *wags tail* Good.", 1, "Yes!|"),
        ("🦊 Fox! 🦊 Two.", 1, "🦊 Fox!|"),
        ("我喜欢红色的球，你呢？", 3, "我喜欢红色的球，|"),
        ("他说「好。」然后走了。", 3, "他说「好。」|"),
        ("赤いボール。青い。", 3, "赤いボール。|"),
        ("안녕 친구야, 반가워.", 2, "안녕 친구야,|"),
        ("नमस्ते दोस्त। कैसे हो?", 2, "नमस्ते दोस्त।|"),
        ("مرحبا يا صديقي، كيف حالك؟", 3, "مرحبا يا صديقي،|"),
    ],
)
def test_a_reply_ends_with_the_clause_in_which_its_last_word_is(text: str, max_words: int, expected: str) -> None:
    assert ended(text, max_words) == expected


def test_a_clause_that_does_not_end_is_cut_behind_a_word() -> None:
    words = " ".join(["word"] * 30)
    assert ended(words, 3, slack=2) == "word word word word word|"
    assert ended("one two three four.", 2, slack=0) == "one two|"
    assert ended("one two, three four.", 2, slack=0) == "one two,|"


def test_scripts_without_spaces_have_words_too() -> None:
    assert ended("一二三四五六", 3, slack=0) == "一二三|"
    assert ended("ห" * 9, 2, slack=0) == "ห" * 8 + "|"
    assert ended("abc漢def", 3, slack=0) == "abc漢def"
    assert ended("हिन्दी बोलो अब", 2, slack=0) == "हिन्दी बोलो|", "vowel signs are part of their letter"


def test_no_limit_ends_nothing() -> None:
    assert ended("a b. " * 100, 0) == "a b. " * 100


@given(
    text=st.text(alphabet="aB1 .,!'\"-\n漢。ह।ี\u200d", max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=12),
    max_words=st.integers(1, 5),
    slack=st.integers(0, 3),
)
@settings(deadline=None, max_examples=300)
def test_however_a_reply_is_cut_into_pieces_it_ends_at_the_same_word(
    text: str, cuts: list[int], max_words: int, slack: int
) -> None:
    whole = ended(text, max_words, slack)
    pieces = ended(text, max_words, slack, tuple(cut for cut in cuts if cut < len(text)))
    assert pieces.removesuffix("|").rstrip() == whole.removesuffix("|").rstrip(), (
        "white space may have been said already"
    )
    assert pieces.endswith("|") == whole.endswith("|")
    assert text.startswith(whole.removesuffix("|"))
    assert sum(1 for word in whole.split() if any(char.isalnum() for char in word)) <= max_words + slack


@given(text=st.text(alphabet="abc", max_size=12), stop=st.lists(st.text(alphabet="abc", min_size=1, max_size=3)))
@settings(deadline=None, max_examples=200)
def test_text_that_is_certain_is_no_part_of_a_stop_string_whatever_follows(text: str, stop: list[str]) -> None:
    n_certain, found = StopStrings(stop).certain(text)
    assert found == any(one in text for one in stop)
    if found:
        assert n_certain == min(text.find(one) for one in stop if one in text)
        return
    for following in ("", "a", "b", "ab", "cab", "bca"):
        ends = [at for at in ((text + following).find(one) for one in stop) if at >= 0]
        assert not ends or min(ends) >= n_certain


def test_limits_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        ReplyLimits(max_tokens=-1)
    with pytest.raises(ValueError, match="negative"):
        ReplyLimits(max_tokens=1, clause_slack_words=-1)
    with pytest.raises(ValueError, match="empty"):
        ReplyLimits(max_tokens=1, stop=("",))
