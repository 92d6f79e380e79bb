"""Where a reply may be cut for speaking: at a sentence's end, at a pause, or not at a full stop of another kind.

Pure functions of the text so far and a position in it. A reply arrives in pieces, so each answer may be "wait": it
hangs on text that has not come. An answer other than "wait" never changes when more text comes; this is what makes the
clauses of a reply independent of how it was cut into pieces. How long clauses become is decided in `voice.clauses`.
"""

# ruff: noqa: RUF001  characters that resemble others are the subject here

import re
from dataclasses import dataclass
from enum import Enum

from voice.lexicon import lexicon_for
from voice.scripts import is_pictograph


class Strength(Enum):
    """What stands at a position of the text."""

    NONE = "no border"
    PAUSE = "a pause inside a sentence"
    SENTENCE = "the end of a sentence or line"
    WAIT = "not known before more text has come"


@dataclass(frozen=True, slots=True, kw_only=True)
class Border:
    """What stands at a position. `end` is where the clause before ends, and where to look on if it is not cut."""

    strength: Strength
    end: int


_SPACED_STOPS = frozenset(".!?")
"""Stops that end a sentence only before white space: 3.14, 10.0.0.1, example.com and Yahoo!Mail are words."""

_FREE_STOPS = frozenset("…。．｡！？؟۔।॥።፧፨։၊။។៕༎෴᠃᠉꘎꘏‼⁇⁈⁉\u037e")
"""Stops that need no space behind them: of Chinese, Arabic, Urdu, Hindi, Amharic, Armenian, Burmese, Khmer and more."""

_ELLIPSES = ("..", "…")
_SPACED_PAUSES = frozenset(",;:")
_FREE_PAUSES = frozenset("，、､；：؛،՝፣፤፥᠂༔")
_LONG_DASHES = frozenset("—―⸺")
_SHORT_DASHES = frozenset("-–")
_CLOSERS = frozenset("\"'”’“»›)]}】」』）》〉*_~`")
"""What closes behind a stop belongs to its sentence. “ closes in German; * and _ close emphasis."""

_LINE_ENDS = frozenset("\n\r\v\f\u0085\u2028\u2029")
_CANDIDATES = _SPACED_STOPS | _FREE_STOPS | _SPACED_PAUSES | _FREE_PAUSES | _LONG_DASHES | _SHORT_DASHES | _LINE_ENDS

_WORD_BEFORE_STOP = re.compile(r"[^\s\"'“”‘’«»„(\[{*_]+$")
_DOTTED_LETTERS = re.compile(r"(?:[^\W\d_]{1,2}\.)+[^\W\d_]{1,2}")
_LIST_NUMBER = re.compile(r"(?:^|[\n\r])[ \t]*\d{1,3}$")
_LONGEST_ABBREVIATION = 24


def ends_sentence(text: str) -> bool:
    """Whether the last thing in `text`, closing quotes and brackets aside, is the stop of a sentence in any script."""
    last = text.rstrip("".join(_CLOSERS) + " ")[-1:]
    return last in _SPACED_STOPS or last in _FREE_STOPS


def border_at(text: str, at: int, *, language: str, final: bool) -> Border:
    """What stands at `text[at]`, where `text` begins at a border. `final` says that no more text will come."""
    char = text[at]
    if char in _CANDIDATES:
        if char in _LINE_ENDS:
            return Border(strength=Strength.SENTENCE, end=at)
        if char in _SPACED_STOPS or char in _FREE_STOPS or char == lexicon_for(language).question_mark:
            return _at_stop(text, at, language, final)
        if char in _SPACED_PAUSES or char in _FREE_PAUSES:
            return _at_pause(text, at, final)
        return _at_dash(text, at, final)
    if is_pictograph(char):
        return _at_pictograph(text, at, final)
    return Border(strength=Strength.NONE, end=at + 1)


def _at_stop(text: str, at: int, language: str, final: bool) -> Border:
    lexicon = lexicon_for(language)
    stops = _SPACED_STOPS | _FREE_STOPS | frozenset(lexicon.question_mark)
    end = _skip(text, at, stops)
    close = _skip(text, end, _CLOSERS)
    next_at = _skip_space(text, close)
    if next_at == len(text) and not final:
        return Border(strength=Strength.WAIT, end=at)
    run, following = text[at:end], text[next_at : next_at + 1]
    spaced = next_at > close or following == ""
    if not spaced and (run[-1] not in _FREE_STOPS or _is_between_digits(text, at, following)):
        return Border(strength=Strength.NONE, end=end)
    if run == "." and _is_inside_sentence(text, at, following, language):
        return Border(strength=Strength.NONE, end=end)
    goes_on = following != "" and not following.isupper()
    if goes_on and any(ellipsis in run for ellipsis in _ELLIPSES):
        return Border(strength=Strength.PAUSE, end=close)
    # A quotation inside a sentence: "Hi!" he said.
    if close > end and (following.islower() or (following != "" and not spaced)):
        return Border(strength=Strength.PAUSE, end=close)
    return Border(strength=Strength.SENTENCE, end=close)


def _is_between_digits(text: str, at: int, following: str) -> bool:
    """A full-width point or comma between digits belongs to their number."""
    return following.isdigit() and text[at - 1 : at].isdigit()


def _is_inside_sentence(text: str, dot: int, following: str, language: str) -> bool:
    """Whether the single full stop at `dot` belongs to an abbreviation, an initial, an ordinal or a list's number."""
    lexicon = lexicon_for(language)
    found = _WORD_BEFORE_STOP.search(text[max(0, dot - _LONGEST_ABBREVIATION) : dot])
    word = found[0] if found else ""
    if word.isdigit():
        return (lexicon.ordinal_dot and len(word) <= 2) or _LIST_NUMBER.search(text[:dot]) is not None
    if len(word) == 1 and word.lower() != word.upper():
        return word not in lexicon.one_letter_words
    folded = word.casefold()
    return (
        folded in lexicon.abbreviations
        or (folded in lexicon.numbered and following.isdigit())
        or _DOTTED_LETTERS.fullmatch(word) is not None
    )


def _at_pause(text: str, at: int, final: bool) -> Border:
    char = text[at]
    close = _skip(text, at + 1, _CLOSERS)
    if close == len(text) and not final:
        return Border(strength=Strength.WAIT, end=at)
    following = text[close : close + 1]
    is_free = char in _FREE_PAUSES and not _is_between_digits(text, at, following)
    if following == "" or following.isspace() or is_free:
        return Border(strength=Strength.PAUSE, end=close)
    return Border(strength=Strength.NONE, end=at + 1)


def _at_dash(text: str, at: int, final: bool) -> Border:
    end = _skip(text, at, _LONG_DASHES | _SHORT_DASHES)
    if end == len(text) and not final:
        return Border(strength=Strength.WAIT, end=at)
    before, after = text[at - 1 : at], text[end : end + 1]
    # One short dash is a hyphen, a minus or a bullet unless it stands free behind a word; two make a long one.
    is_long = text[at] in _LONG_DASHES or end - at == 2
    is_free = before.isspace() and (after == "" or after.isspace()) and _has_word_on_line(text, at)
    return Border(strength=Strength.PAUSE if is_long or is_free else Strength.NONE, end=end)


def _has_word_on_line(text: str, at: int) -> bool:
    for char in reversed(text[:at]):
        if char in _LINE_ENDS:
            return False
        if not char.isspace():
            return True
    return False


def _at_pictograph(text: str, at: int, final: bool) -> Border:
    """An emoji stands in for a full stop where a capital follows ("I love dogs 😀 Do you?")."""
    end = at
    while end < len(text) and is_pictograph(text[end]):
        end += 1
    next_at = _skip_space(text, end)
    if next_at == len(text) and not final:
        return Border(strength=Strength.WAIT, end=at)
    is_end = text[next_at : next_at + 1].isupper()
    return Border(strength=Strength.SENTENCE if is_end else Strength.NONE, end=end)


def _skip(text: str, at: int, chars: frozenset[str]) -> int:
    while at < len(text) and text[at] in chars:
        at += 1
    return at


def _skip_space(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at
