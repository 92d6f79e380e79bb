"""What a person sees: lines through a pipe, JSON for programs, a live line on a terminal that is given back."""

import io
import json
from collections.abc import Sequence

import pytest

from device.display import (
    CharacterSays,
    JsonDisplay,
    LiveDisplay,
    Notice,
    PersonSays,
    PlainDisplay,
    StateChanged,
    Update,
    open_display,
)

HIDE_CURSOR, SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"

CONVERSATION: tuple[Update, ...] = (
    StateChanged(state="listening"),
    StateChanged(state="hearing"),
    PersonSays(text="How are", final=False),
    PersonSays(text="How are you?", final=True),
    StateChanged(state="thinking"),
    CharacterSays(text="I am", final=False),
    StateChanged(state="speaking"),
    CharacterSays(text="I am well.", final=True),
    StateChanged(state="listening"),
    Notice(text="No Whisper model is here."),
    CharacterSays(text="And you", final=True, interrupted=True),
)


class Terminal(io.StringIO):
    """A terminal as far as a program can tell."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "24")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


def shown_on(stream: io.StringIO, updates: Sequence[Update], *, as_json: bool = False) -> str:
    with open_display("Pip", as_json=as_json, stream=stream) as display:
        for update in updates:
            display.show(update)
    return stream.getvalue()


def test_the_display_suits_the_stream() -> None:
    assert isinstance(open_display("Pip", as_json=False, stream=io.StringIO()), PlainDisplay)
    assert isinstance(open_display("Pip", as_json=False, stream=Terminal()), LiveDisplay)
    assert isinstance(open_display("Pip", as_json=True, stream=Terminal()), JsonDisplay)


def test_through_a_pipe_there_are_only_finished_lines() -> None:
    assert shown_on(io.StringIO(), CONVERSATION) == (
        "Listening.\nYou: How are you?\nPip: I am well.\nNo Whisper model is here.\nPip: And you —\n"
    )


def test_json_has_one_object_a_line() -> None:
    lines = shown_on(io.StringIO(), CONVERSATION, as_json=True).splitlines()
    said = [record for record in map(json.loads, lines) if record["event"] != "state"]
    assert said == [
        {"event": "person", "text": "How are you?"},
        {"event": "character", "text": "I am well.", "interrupted": False},
        {"event": "notice", "text": "No Whisper model is here."},
        {"event": "character", "text": "And you", "interrupted": True},
    ]
    assert [record["state"] for record in map(json.loads, lines) if record["event"] == "state"] == [
        "listening",
        "hearing",
        "thinking",
        "speaking",
        "listening",
    ]


def test_on_a_terminal_what_is_final_scrolls_up() -> None:
    seen = shown_on(Terminal(), CONVERSATION)
    for text in ("How are you?", "I am well.", "No Whisper model is here.", "And you —"):
        assert text in seen


def test_a_terminal_is_left_as_it_was() -> None:
    seen = shown_on(Terminal(), CONVERSATION)
    assert seen.count(HIDE_CURSOR) == seen.count(SHOW_CURSOR) == 1
    assert seen.rindex(SHOW_CURSOR) > seen.rindex(HIDE_CURSOR)


def test_a_terminal_is_left_as_it_was_after_an_error() -> None:
    stream = Terminal()
    display = open_display("Pip", as_json=False, stream=stream)
    with pytest.raises(ZeroDivisionError), display:
        raise ZeroDivisionError
    assert stream.getvalue().rindex(SHOW_CURSOR) > stream.getvalue().rindex(HIDE_CURSOR)
    display.show(Notice(text="Too late to be seen."))
    assert "Too late" not in stream.getvalue()


def test_a_reply_longer_than_the_terminal_is_wide_keeps_within_it() -> None:
    from rich.cells import cell_len
    from rich.text import Text

    seen = shown_on(Terminal(), [CharacterSays(text="word " * 60, final=True)])
    lines = [Text.from_ansi(line).plain for line in seen.splitlines()]
    assert max(map(cell_len, lines)) <= 80


def test_words_that_will_never_be_finished_do_not_stay() -> None:
    stream = Terminal()
    with open_display("Pip", as_json=False, stream=stream) as display:
        display.show(CharacterSays(text="Never heard", final=False))
        display.show(StateChanged(state="hearing"))
        before = len(stream.getvalue())
        display.show(Notice(text="Here."))
    assert "Never heard" not in stream.getvalue()[before:]


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["pipe", "terminal"])
def test_nobody_steers_the_terminal_by_what_they_say(stream: io.StringIO) -> None:
    seen = shown_on(stream, [CharacterSays(text="one\x1b[2J\x9b2J\ntwo", final=True)])
    assert "one [2J 2J two" in seen
    assert "\x1b[2J" not in seen
    assert "\x9b" not in seen
