"""Reading a large JSON object piece by piece: its members in order, the elements of arrays one at a time.

For files whose outermost value is an object of scalars and of arrays of records, such as an exported memory: a hundred
thousand records are read in the RAM of one. It is the standard library's decoder, fed with a window of the text. Pure:
the text comes from a function, and what is wrong with it is said by `JsonStreamError`.
"""

import json
import re
from collections.abc import Callable, Iterator

CHUNK_LETTERS = 1 << 16
MOST_LETTERS = 1 << 24
"""The longest single record: more is no memory but an attack on somebody's RAM."""

_BLANK = " \t\r\n"
_NUMBER_GOES_ON = re.compile(r"[-+.eE\d]*")
_LONGEST_WORD = len("-Infinity")


class JsonStreamError(ValueError):
    """The text is not what it should be; the message says what is the matter and about where."""


def members(read: Callable[[int], str]) -> Iterator[tuple[str, object]]:
    """The members of the object: `(name, value)`, of an array `(name, element)` for each element.

    `read` gives up to so many letters of the text, none at its end. Raises JsonStreamError.
    """
    text = _Window(read)
    text.take("{")
    while not text.has("}"):
        name = text.value()
        if not isinstance(name, str):
            raise text.error("a member has no name")
        text.take(":")
        if text.has("["):
            for element in _elements(text):
                yield name, element
        else:
            yield name, text.value()
        if not text.has(","):
            text.take("}")
            break
    text.end()


def _elements(text: "_Window") -> Iterator[object]:
    if text.has("]"):
        return
    yield text.value()
    while text.has(","):
        yield text.value()
    text.take("]")


class _Window:
    """The part of the text being looked at."""

    def __init__(self, read: Callable[[int], str]) -> None:
        self._read = read
        self._text = ""
        self._at = 0
        self._n_gone = 0
        self._is_all = False
        self._decoder = json.JSONDecoder()

    def error(self, what: str) -> JsonStreamError:
        return JsonStreamError(f"{what} (at letter {self._n_gone + self._at})")

    def has(self, letter: str) -> bool:
        """Whether this letter comes next, after blanks; if so, it is behind us now."""
        if self._next() != letter:
            return False
        self._at += 1
        return True

    def take(self, letter: str) -> None:
        if not self.has(letter):
            raise self.error("it is cut short" if not self._next() else f"there is no {letter!r} where one must be")

    def end(self) -> None:
        if self._next():
            raise self.error("something follows where it must end")

    def value(self) -> object:
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                # Wrong far from the end of the window, it does not become right by what follows.
                near_end = error.pos >= len(self._text) - _LONGEST_WORD or error.msg.startswith("Unterminated string")
                if not near_end or not self._more():
                    raise self.error("it is cut short" if near_end else f"no JSON: {error.msg}") from error
            except (ValueError, RecursionError) as error:  # a number of thousands of digits, a tower of brackets
                raise self.error("no JSON that a memory has") from error
            else:
                # A number at the end of the window may go on: "2" as "2.5", "2." too.
                if not isinstance(value, int | float) or not self._is_at_end(end) or not self._more():
                    self._at = end
                    return value

    def _is_at_end(self, end: int) -> bool:
        """Whether nothing but what may belong to a number stands between here and the end of the window."""
        found = _NUMBER_GOES_ON.match(self._text, end)
        return found is not None and found.end() == len(self._text)

    def _next(self) -> str:
        while True:
            while self._at < len(self._text) and self._text[self._at] in _BLANK:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._more():
                return ""

    def _more(self) -> bool:
        """Move the window on over what is behind us and read more into it; False at the end of the text."""
        if self._is_all:
            return False
        self._n_gone += self._at
        self._text, self._at = self._text[self._at :], 0
        if len(self._text) > MOST_LETTERS:
            raise self.error("a record is too long")
        piece = self._read(max(CHUNK_LETTERS, len(self._text)))
        self._text += piece
        self._is_all = not piece
        return not self._is_all
