"""What a person at a terminal sees of a conversation: state, the words so far, the reply. Quiet otherwise.

The conversation shows `Update`s; which of the three displays takes them depends on where standard output goes. What
was said is shown, never logged.
"""

import json
import sys
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self, TextIO, assert_never

if TYPE_CHECKING:
    from rich.live import Live
    from rich.text import Text

_CONTROL_CODES = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")

State = Literal["listening", "hearing", "thinking", "speaking"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """The companion is now doing this."""

    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonSays:
    """Words of the person: as understood so far, or `final`."""

    text: str
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CharacterSays:
    """The reply so far, or, when `final`, as it was heard; `interrupted` if the person cut it short."""

    text: str
    final: bool
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something a person should know: a stand-in engine, a device that went away."""

    text: str


Update = StateChanged | PersonSays | CharacterSays | Notice


class Display(AbstractContextManager["Display"], Protocol):
    """Where updates go. A context manager, because a live display owns the terminal while it is up."""

    def show(self, update: Update) -> None: ...


def open_display(character: str, *, as_json: bool, stream: TextIO | None = None) -> Display:
    """The display that suits `stream` (standard output): JSON lines on request, live on a terminal, else plain."""
    out = stream or sys.stdout
    if as_json:
        return JsonDisplay(out)
    return LiveDisplay(character, out) if out.isatty() else PlainDisplay(character, out)


class _LineDisplay:
    """Common to displays that only ever append lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def _line(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class PlainDisplay(_LineDisplay):
    """Finished lines only: for pipes, files and the journal of a terminal multiplexer."""

    def __init__(self, character: str, stream: TextIO) -> None:
        super().__init__(stream)
        self._character = character
        self._announced = False

    def show(self, update: Update) -> None:
        """Write a line if there is something final to say."""
        match update:
            case StateChanged(state="listening") if not self._announced:
                self._announced = True
                self._line("Listening.")
            case PersonSays(final=True, text=text):
                self._line(f"You: {shown(text)}")
            case CharacterSays(final=True, text=text, interrupted=interrupted):
                self._line(f"{shown(self._character)}: {shown(text)}{_cut(interrupted)}")
            case Notice(text=text):
                self._line(text)
            case StateChanged() | PersonSays() | CharacterSays():
                pass
            case _:
                assert_never(update)


class JsonDisplay(_LineDisplay):
    """One JSON object per finished thing: `state`, `person`, `character` or `notice`."""

    def show(self, update: Update) -> None:
        """Write an object if there is something final to say."""
        match update:
            case StateChanged(state=state):
                self._line(json.dumps({"event": "state", "state": state}))
            case PersonSays(final=True, text=text):
                self._line(json.dumps({"event": "person", "text": text}, ensure_ascii=False))
            case CharacterSays(final=True, text=text, interrupted=interrupted):
                record = {"event": "character", "text": text, "interrupted": interrupted}
                self._line(json.dumps(record, ensure_ascii=False))
            case Notice(text=text):
                self._line(json.dumps({"event": "notice", "text": text}, ensure_ascii=False))
            case PersonSays() | CharacterSays():
                pass
            case _:
                assert_never(update)


class LiveDisplay:
    """Finished lines scroll up; below them one line says what is going on. The terminal is given back on leaving."""

    _MARK: dict[State, str] = {"listening": "○", "hearing": "●", "thinking": "…", "speaking": "♪"}  # noqa: RUF012  read only, and private

    def __init__(self, character: str, stream: TextIO) -> None:
        self._character = character
        self._stream = stream
        self._state: State = "listening"
        self._words = ""
        self._stack = ExitStack()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream)
        self._live = self._stack.enter_context(
            Live(self._line(), console=console, transient=True, refresh_per_second=10)
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()
        self._live = None

    def show(self, update: Update) -> None:
        """Change the live line; what is final goes above it."""
        match update:
            case StateChanged(state=state):
                self._state = state
                if state in ("listening", "hearing"):
                    self._words = ""
            case PersonSays(text=text, final=True):
                self._words = ""
                self._above("You", text, "bold")
            case CharacterSays(text=text, final=True, interrupted=interrupted):
                self._words = ""
                self._above(self._character, text + _cut(interrupted), "bold cyan")
            case PersonSays(text=text) | CharacterSays(text=text):
                self._words = text
            case Notice(text=text):
                self._above("", text, "yellow")
            case _:
                assert_never(update)
        if self._live is not None:
            self._live.update(self._line())

    def _line(self) -> "Text":
        from rich.text import Text

        return Text.assemble((f"{self._MARK[self._state]} {self._state}", "dim"), f"  {shown(self._words)}")

    def _above(self, who: str, text: str, style: str) -> None:
        from rich.text import Text

        if self._live is not None:
            line = Text.assemble((f"{shown(who)}: ", style), shown(text)) if who else Text(shown(text), style)
            self._live.console.print(line)


def shown(text: str) -> str:
    """`text` for a terminal, on one line: neither a model nor a character file gets to steer it with control codes."""
    return text.translate(_CONTROL_CODES)


def _cut(interrupted: bool) -> str:
    """The mark, on screen only, of a reply that was cut short. History carries no such mark."""
    return " —" if interrupted else ""
