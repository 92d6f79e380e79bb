"""Whatever a file holds becomes a line that can be printed."""

from hypothesis import given
from hypothesis import strategies as st

from models.printable import clipped


def test_a_plain_line_stays_as_it_is() -> None:
    assert clipped("SmolLM2 135M Instruct — für Füchse 🦊", 80) == "SmolLM2 135M Instruct — für Füchse 🦊"


def test_escape_codes_line_breaks_and_turned_writing_are_spaces() -> None:
    assert clipped("x\x1b[2J\r\n\tok\u202e!\x00", 80) == "x [2J ok !"


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert clipped("y" * 300, 10) == "yyyyyyyyy…"
    assert clipped("a" + " " * 8_000_000 + "b", 10) == "a…"


@given(st.text(max_size=60))
def test_any_text_is_one_printable_line(text: str) -> None:
    line = clipped(text, 20)
    assert line.isprintable()
    assert len(line) <= 20
