"""What a model thinks is never said, wherever it stands and however it was cut into tokens."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.messages import Piece
from models.thinking import ThoughtFilter, open_thought


def pieces_of(texts: list[str]) -> list[Piece]:
    return [Piece(text=text, tokens=(number,)) for number, text in enumerate(texts) if text]


def said(texts: list[str], opened: str = "") -> list[str]:
    """The texts that come out of the filter, each as early as it does."""
    thoughts = ThoughtFilter(opened)
    out = [piece for piece in pieces_of(texts) for piece in thoughts.push(piece)]
    return [piece.text for piece in [*out, *thoughts.finish()]]


def test_what_is_no_thought_comes_out_at_once() -> None:
    thoughts = ThoughtFilter()
    for piece in pieces_of(["Hi", " there", ".", " 1 ", "> 0"]):
        assert thoughts.push(piece) == [piece]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["<think>", "\n", "hm", "\n", "</think>", "\n\n", "Hi", " there"], ["Hi", " there"]),
        (["\n", "<think>", "hm", "</think>", "Hi"], ["Hi"]),
        (["<thi", "nk>h", "m</th", "ink>", "Hi"], ["Hi"]),
        (["<think>hm</think>\n\nHi", " there"], ["Hi", " there"]),
        (["Hello", " <think>", "hm</think>", " there"], ["Hello", " ", " there"]),
        (["Hello", "<think>", "hm</think>", " there"], ["Hello", " there"]),
        (["<thinking>a</thinking>", "<reasoning>b</reasoning>", "[THINK]c[/THINK]", "Hi"], ["Hi"]),
        (["<think>a</reasoning>", "Hi"], ["Hi"]),
        (["<think>", "never", " closed"], []),
        (["Hi", "</think>", " there"], ["Hi", " there"]),
        (["a < b", " and <", "3"], ["a < b", " and <", "3"]),
        (["<thinker>", " <think", " about>", " <THINK>"], ["<thinker>", " <think", " about>", " <THINK>"]),
        (["I <th", "ought"], ["I <th", "ought"]),
        (["Hi <thi"], ["Hi <thi"]),
        (["  ", "Hi"], ["  ", "Hi"]),
        ([" "], [" "]),
    ],
)
def test_what_stands_between_the_tags_is_not_said(texts: list[str], expected: list[str]) -> None:
    assert said(texts) == expected


def test_a_reply_may_begin_inside_a_thought() -> None:
    assert said(["hm", "</think>", "\n\n", "Hi"], "<think>") == ["Hi"]
    assert said(["hm"], "<think>") == []


def test_pieces_keep_their_tokens_unless_a_tag_cuts_them() -> None:
    thoughts = ThoughtFilter()
    whole, cut = Piece(text="Hi", tokens=(1,)), Piece(text=" there<think>", tokens=(2,))
    assert thoughts.push(whole) == [whole]
    assert thoughts.push(cut) == [Piece(text=" there", tokens=())]
    assert thoughts.push(Piece(text="</think> you", tokens=(3,))) == [Piece(text=" you", tokens=())]


def test_with_a_grammar_only_the_thought_of_the_template_is_hidden() -> None:
    thoughts = ThoughtFilter("<think>", more=False)
    assert thoughts.push(Piece(text="hm</think>{", tokens=(1,))) == [], "the grammar has not seen this token"
    tag = Piece(text='"<think>', tokens=(2,))
    assert thoughts.push(tag) == [tag]


@pytest.mark.parametrize(
    ("prompt_end", "opened"),
    [
        ("<|im_start|>assistant\n", ""),
        ("<|im_start|>assistant\n<think>\n", "<think>"),
        ("[/INST][THINK]", "[THINK]"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("say <think> to me<|im_end|>\n<|im_start|>assistant\n", ""),
        ("", ""),
    ],
)
def test_a_thought_that_the_template_opens_is_seen_at_the_end_of_the_prompt(prompt_end: str, opened: str) -> None:
    assert open_thought(prompt_end) == opened


WORDS = ("<think>", "</think>", "<thinking>", "</thinking>", "<", "think", ">", "/", "a", "b ", " ", "\n", "[THINK]")


@given(parts=st.lists(st.sampled_from(WORDS), max_size=12), cuts=st.lists(st.integers(0, 90), max_size=20))
@settings(deadline=None, max_examples=400)
def test_however_a_reply_is_cut_the_same_letters_of_it_are_said(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    chopped = [text[start:end] for start, end in itertools.pairwise(edges)]
    out = "".join(said(chopped))
    assert "".join(out.split()) == "".join("".join(said([text])).split())
    thoughts = ThoughtFilter()
    for piece in pieces_of(chopped):
        for shown in thoughts.push(piece):
            assert shown == piece or not shown.tokens or shown.text in text
            assert not shown.tokens or chopped[shown.tokens[0]] == shown.text
