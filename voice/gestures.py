"""Telling `*wags tail*`, an act of the body, from `**very**` and `*really*`, which are words said with emphasis.

Pure functions, used by `voice.clauses` while a reply is still arriving; what a gesture does is the body's affair.
"""

import re
from dataclasses import dataclass

from voice.scripts import is_wide

MAX_GESTURE_CHARS = 120
"""Longer spans between asterisks are taken for stray asterisks: text behind an open one waits for its partner."""

_SPANS = {
    "*": re.compile(rf"\*(?![\s*])([^\n\r]{{0,{MAX_GESTURE_CHARS - 1}}}?[^\s*])\*(?!\*)"),
    "_": re.compile(rf"_(?![\s_])([^\n\r]{{0,{MAX_GESTURE_CHARS - 1}}}?[^\s_])_(?![_\w])"),
}
_INSIDE_ADDRESS = frozenset("/\\@#&=+%$^~<>|`")

GESTURE_MARKS = frozenset(_SPANS)


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureSpan:
    """A gesture in the text: what stands between its marks, and the index just past the closing one.

    `name` is empty for a gesture that the end of the reply cut short.
    """

    name: str
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NoGesture:
    """The mark opens nothing; look on at `resume`."""

    resume: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Not known before more text has come."""


def gesture_at(text: str, at: int, *, final: bool) -> GestureSpan | NoGesture | Wait:
    """What the `*` or `_` at `text[at]` opens. `final` says that no more text will come."""
    mark = text[at]
    run_end = at
    while run_end < len(text) and text[run_end] == mark:
        run_end += 1
    if run_end == len(text) and not final:
        return Wait()
    before = text[at - 1 : at]
    opens = run_end == at + 1 and not text[run_end : run_end + 1].isspace()
    if not opens or before.isalnum() or before in _INSIDE_ADDRESS:
        return NoGesture(resume=run_end)
    found = _SPANS[mark].match(text, at)
    if found is None:
        return _unclosed(text, at, final)
    if found.end() == len(text) and not final:
        return Wait()
    content = found[1]
    if not any(char.isalpha() for char in content):
        return NoGesture(resume=run_end)
    if _stands_in_sentence(before_text=text[:at], content=content):
        following = text[found.end() :].lstrip()[:1]
        if following == "" and not final:
            return Wait()
        if following.islower() or following.isdigit() or text[found.end() : found.end() + 1] in tuple(".,!?;:"):
            return NoGesture(resume=run_end)
    return GestureSpan(name=" ".join(content.replace(mark, " ").split()), end=found.end())


def _unclosed(text: str, at: int, final: bool) -> GestureSpan | NoGesture | Wait:
    rest = text[at + 1 :]
    if rest == "" or len(rest) > MAX_GESTURE_CHARS + 1 or any(char in rest for char in "\n\r"):
        return NoGesture(resume=at + 1)
    if not final:
        return Wait()
    return NoGesture(resume=at + 1) if text[at] in rest else GestureSpan(name="", end=len(text))


def _stands_in_sentence(*, before_text: str, content: str) -> bool:
    """Whether one marked word follows a word of the same sentence: then it is emphasis if the sentence goes on too."""
    if any(char.isspace() or is_wide(char) for char in content):
        return False
    before = before_text.rstrip()[-1:]
    return before.isalnum() or before == ","
