"""Generated tokens become whole characters, and no part of a stop string gets out."""

import codecs
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.detok import ReplyText
from models.messages import Piece
from models.stops import ReplyLimits
from models.thinking import ThoughtFilter


def said(chunks: list[bytes], stop: tuple[str, ...] = ()) -> list[Piece]:
    """Every chunk is a token, numbered from 0."""
    text = ReplyText(ReplyLimits(max_tokens=1, stop=stop))
    pieces = []
    for token, chunk in enumerate(chunks):
        pieces.append(text.push(token, chunk))
        if text.ended:
            break
    else:
        pieces.append(text.finish())
    return [piece for piece in pieces if piece is not None]


def joined(pieces: list[Piece]) -> str:
    return "".join(piece.text for piece in pieces)


def test_every_token_is_a_piece() -> None:
    assert said([b"Hi", b" there"]) == [Piece(text="Hi", tokens=(0,)), Piece(text=" there", tokens=(1,))]


def test_a_character_in_several_tokens_waits_for_its_last() -> None:
    fox = "🦊".encode()
    assert said([b"a", fox[:1], fox[1:3], fox[3:] + b"b"]) == [
        Piece(text="a", tokens=(0,)),
        Piece(text="🦊b", tokens=(1, 2, 3)),
    ]


def test_a_token_that_ends_inside_a_character_waits_too() -> None:
    assert said([b"a\xc3", b"\xa9"]) == [Piece(text="aé", tokens=(0, 1))]


def test_tokens_without_text_belong_to_the_next_piece() -> None:
    assert said([b"", b"x"]) == [Piece(text="x", tokens=(0, 1))]


def test_bytes_that_are_no_text_are_replaced() -> None:
    assert joined(said([b"a", b"\xff", b"b"])) == "a\ufffdb"
    assert joined(said([b"a", b"\xff"])) == "a\ufffd"


def test_a_character_that_was_never_finished_is_no_part_of_a_reply() -> None:
    assert said([b"a", b"\xf0\x9f"]) == [Piece(text="a", tokens=(0,))]
    assert said([b"\xf0", b"\x9f"]) == []
    assert said([b"a", b"b\xc3"]) == [Piece(text="a", tokens=(0,)), Piece(text="b", tokens=())], "its token says more"


def test_a_stop_string_across_tokens_is_never_said() -> None:
    pieces = said([b"Hi", b"\nUs", b"er", b": no"], ("\nUser:",))
    assert pieces == [Piece(text="Hi", tokens=(0,))]


def test_text_before_a_stop_string_inside_a_token_is_said_without_its_token() -> None:
    assert said([b"Hi", b" you\nUs", b"er: no"], ("\nUser:",)) == [
        Piece(text="Hi", tokens=(0,)),
        Piece(text=" you", tokens=()),
    ]


def test_what_only_looked_like_a_stop_string_is_said_later() -> None:
    pieces = said([b"Hi", b"\nUs", b" two"], ("\nUser:",))
    assert pieces == [Piece(text="Hi", tokens=(0,)), Piece(text="\nUs two", tokens=(1, 2))]


def test_what_is_held_back_at_the_end_is_said() -> None:
    assert joined(said([b"Hi", b"\nUse"], ("\nUser:",))) == "Hi\nUse"


def test_the_first_of_several_stop_strings_ends_the_reply() -> None:
    assert joined(said([b"one END two STOP three"], ("STOP", "END"))) == "one "


def test_an_empty_stop_string_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        ReplyLimits(max_tokens=1, stop=("",))


def spoken(chunks: list[bytes], limits: ReplyLimits, thoughts: ThoughtFilter | None = None) -> tuple[str, str | None]:
    """The text that comes out, and why it ended."""
    text = ReplyText(limits, thoughts)
    out = ""
    for token, chunk in enumerate(chunks):
        piece = text.push(token, chunk)
        out += piece.text if piece else ""
        if text.ended:
            return out, text.ended
    last = text.finish()
    return out + (last.text if last else ""), text.ended


def test_a_thought_is_no_piece_and_the_reply_behind_it_keeps_its_tokens() -> None:
    text = ReplyText(ReplyLimits(max_tokens=9))
    pieces = [text.push(n, data) for n, data in enumerate([b"<think>", b"hm", b"</think>", b"\n\n", b"Hi", b" there"])]
    assert pieces == [None, None, None, None, Piece(text="Hi", tokens=(4,)), Piece(text=" there", tokens=(5,))]


def test_a_stop_string_in_a_thought_ends_nothing() -> None:
    limits = ReplyLimits(max_tokens=9, stop=("\n",))
    assert spoken([b"<think>\n", b"a\nb", b"</think>\n", b"Hi", b"\nyou"], limits) == ("Hi", "stop_string")


def test_words_of_a_thought_are_not_counted() -> None:
    limits = ReplyLimits(max_tokens=9, max_words=2, clause_slack_words=0)
    assert spoken([b"<think>one two three</think>", b"Hi there", b" you"], limits) == ("Hi there", "max_words")


def test_a_reply_cut_at_a_word_inside_a_token_has_no_tokens_for_it() -> None:
    text = ReplyText(ReplyLimits(max_tokens=9, max_words=2, clause_slack_words=0))
    assert text.push(0, b"one") == Piece(text="one", tokens=(0,))
    assert text.push(1, b" two three") == Piece(text=" two", tokens=())
    assert text.ended == "max_words"


def test_a_thought_closed_for_the_model_forgets_half_a_character() -> None:
    text = ReplyText(ReplyLimits(max_tokens=9), ThoughtFilter("<think>"))
    assert text.push(0, b"a\xc3") is None
    assert text.thought == "<think>"
    text.close_thought()
    assert text.thought == ""
    assert text.push(1, b"Hi") == Piece(text="Hi", tokens=(1,))


def test_white_space_that_waited_for_a_thought_is_still_looked_through_for_a_stop_string() -> None:
    assert spoken([b"\n"], ReplyLimits(max_tokens=9, stop=("\n",))) == ("", "stop_string")
    assert spoken([b" "], ReplyLimits(max_tokens=9, stop=("\n",))) == (" ", None)


def chopped(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@given(
    text=st.text(alphabet="aAbé🦊\n", max_size=40),
    cuts=st.lists(st.integers(0, 200), max_size=20),
    stop=st.lists(st.text(alphabet="aAbé🦊\n", min_size=1, max_size=4), max_size=3).map(tuple),
)
@settings(deadline=None, max_examples=300)
def test_however_text_is_cut_into_tokens_it_is_said_up_to_the_first_stop(
    text: str, cuts: list[int], stop: tuple[str, ...]
) -> None:
    chunks = chopped(text.encode(), cuts)
    pieces = said(chunks, stop)
    ends = [at for at in (text.find(s) for s in stop) if at >= 0]
    assert text.startswith(joined(pieces))
    assert not any(s in joined(pieces) for s in stop)
    if not ends:
        assert joined(pieces) == text
    for piece in pieces:
        assert piece.text
        if piece.tokens:
            assert b"".join(chunks[token] for token in piece.tokens).decode() == piece.text


@given(data=st.binary(max_size=30), cuts=st.lists(st.integers(0, 30), max_size=8))
@settings(deadline=None, max_examples=200)
def test_any_bytes_come_out_as_the_same_text_as_decoded_at_once(data: bytes, cuts: list[int]) -> None:
    whole = codecs.getincrementaldecoder("utf-8")("replace").decode(data)  # not final: up to half a character
    assert joined(said(chopped(data, cuts))) == whole
