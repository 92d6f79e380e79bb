"""Patterns of words: what the guard's rules are written in, and how they are found in a text.

A pattern is a row of parts with spaces between them:

    kill            this word, as `models.guard_words` writes it
    kill|hurt       one of these words
    mom_and_dad     these words in a row; may stand in an alternative
    @family         one of the words of the class "family"
    #               a number in digits
    maybe?          a part that may be absent
    ~3              up to three words, whatever they are, within the sentence
    ^  $            the beginning, the end of a sentence; may stand in an alternative

Text in a script without spaces is one word per character; in a pattern it is written as one would write it.
A pattern is looked for where its rarest word stands; from there, parts are walked through with the set of places that
can be reached. So the work is at most the places times the parts, never a choice of ways: no text can make it explode.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from models.guard_words import STOP, Words, folded, is_whole_word

_NUMBER = "#"
_BORDERS = frozenset("^$")
_MOST_GAP = 8

Option = tuple[str, ...]
"""Words in a row."""
_Entry = TypeVar("_Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One part: options, also by their first and their last word, or a gap. `optional`: it may be absent; `border`: it
    may be absent at a border of a sentence."""

    options: tuple[Option, ...] = ()
    by_first: Mapping[str, Sequence[Option]]
    by_last: Mapping[str, Sequence[Option]]
    optional: bool = False
    gap: int = 0
    border: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """A pattern as it was written, and its parts."""

    source: str
    parts: tuple[_Part, ...]

    def words(self) -> Iterator[str]:
        """Every word that it names."""
        for part in self.parts:
            for option in part.options:
                yield from option


@dataclass(frozen=True, slots=True)
class Span:
    """Words `start` to `end`, the latter excluded."""

    start: int
    end: int

    def touches(self, other: "Span") -> bool:
        """Whether they share a word."""
        return self.start < other.end and other.start < self.end


def parse_classes(written: Mapping[str, Sequence[str]]) -> Mapping[str, tuple[Option, ...]]:
    """Classes of words, each written as alternatives, which may name classes above it. Raises ValueError."""
    classes: dict[str, tuple[Option, ...]] = {}
    for name, alternatives in written.items():
        classes[name] = tuple(option for one in alternatives for option in _options(one, classes))
    return classes


def parse_pattern(source: str, classes: Mapping[str, tuple[Option, ...]]) -> Pattern:
    """The pattern that is written so. Raises ValueError, naming it and what is wrong."""
    try:
        parts = tuple(_parsed(part, classes) for part in source.split())
    except ValueError as error:
        raise ValueError(f"pattern {source!r}: {error}") from error
    if not any(map(_must_be_there, parts)):
        raise ValueError(f"pattern {source!r} has no word that must be there")
    return Pattern(source=source, parts=parts)


def _must_be_there(part: _Part) -> bool:
    return bool(part.options) and not part.optional and not part.border


def _parsed(part: str, classes: Mapping[str, tuple[Option, ...]]) -> _Part:
    if part.startswith("~"):
        if not part[1:].isdecimal() or not 1 <= int(part[1:]) <= _MOST_GAP:
            raise ValueError(f"{part!r} must be ~ and a number from 1 to {_MOST_GAP}")
        return _Part(by_first={}, by_last={}, gap=int(part[1:]))
    alternatives = part.removesuffix("?").split("|")
    options = [option for one in alternatives if one not in _BORDERS for option in _options(one, classes)]
    by_first: dict[str, list[Option]] = {}
    by_last: dict[str, list[Option]] = {}
    for option in options:
        by_first.setdefault(option[0], []).append(option)
        by_last.setdefault(option[-1], []).append(option)
    return _Part(
        options=tuple(options),
        by_first=by_first,
        by_last=by_last,
        optional=part.endswith("?"),
        border=not _BORDERS.isdisjoint(alternatives),
    )


def _options(alternative: str, classes: Mapping[str, tuple[Option, ...]]) -> tuple[Option, ...]:
    if alternative.startswith("@"):
        if alternative[1:] not in classes:
            raise ValueError(f"there is no class {alternative!r}")
        return classes[alternative[1:]]
    words: list[str] = []
    for word in map(folded, alternative.split("_")):
        words += [word] if word.isascii() else _spread(word)
    if not words or not all(words):
        raise ValueError(f"{alternative!r} lacks a word")
    return (tuple(words),)


def _spread(word: str) -> list[str]:
    return list(word) if any(map(is_whole_word, word)) else [word]


class PatternSet:
    """Patterns that are looked for together. Each has a number, its place in `patterns`."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        frequency = Counter(word for pattern in self._patterns for word in pattern.words())
        self._by_word: dict[str, list[tuple[int, int, Option]]] = {}
        for number, pattern in enumerate(self._patterns):
            anchor = min(
                (at for at, part in enumerate(pattern.parts) if _must_be_there(part)),
                key=lambda at: sum(frequency[option[0]] for option in pattern.parts[at].options),
            )
            for option in pattern.parts[anchor].options:
                self._by_word.setdefault(option[0], []).append((number, anchor, option))

    def find(self, words: Words, chosen: frozenset[int] | None = None) -> Iterator[tuple[int, Span]]:
        """Every pattern that is found (of those `chosen`), and where, as tightly as it can be read."""
        texts = words.texts
        for at, word in enumerate(texts):
            for number, anchor, option in _named(self._by_word, word):
                if chosen is not None and number not in chosen:
                    continue
                if len(option) > 1 and texts[at : at + len(option)] != option:
                    continue
                parts = self._patterns[number].parts
                starts = _walk_back(texts, at, parts[:anchor])
                ends = _walk_on(texts, at + len(option), parts[anchor + 1 :]) if starts else ()
                if starts and ends:
                    yield number, Span(max(starts), min(ends))


def _named(table: Mapping[str, Sequence[_Entry]], word: str) -> Sequence[_Entry]:
    """What a table by words has for `word`, which may be a number."""
    named = table.get(word, ())
    if word[0].isdigit() and _NUMBER in table:
        return [*named, *table[_NUMBER]]
    return named


def _walk_on(texts: Sequence[str], start: int, parts: Sequence[_Part]) -> set[int]:
    """Where `parts`, read from `start` on, may end."""
    places = {start}
    for part in parts:
        if part.gap:
            places |= {further for at in places for further in _over_gap(texts, at, part.gap)}
        else:
            reached = _without(part, texts, places)
            for at in places:
                if at < len(texts):
                    for option in _named(part.by_first, texts[at]):
                        if len(option) == 1 or tuple(texts[at : at + len(option)]) == option:
                            reached.add(at + len(option))
            places = reached
        if not places:
            break
    return places


def _walk_back(texts: Sequence[str], end: int, parts: Sequence[_Part]) -> set[int]:
    """Where `parts`, read backwards from `end` on, may begin."""
    places = {end}
    for part in reversed(parts):
        if part.gap:
            places |= {further for at in places for further in _back_over_gap(texts, at, part.gap)}
        else:
            reached = _without(part, texts, places)
            for at in places:
                if at > 0:
                    for option in _named(part.by_last, texts[at - 1]):
                        if len(option) == 1 or (at >= len(option) and tuple(texts[at - len(option) : at]) == option):
                            reached.add(at - len(option))
            places = reached
        if not places:
            break
    return places


def _without(part: _Part, texts: Sequence[str], places: set[int]) -> set[int]:
    """Those of `places` at which `part` may be absent."""
    if part.optional:
        return set(places)
    if part.border:
        return {at for at in places if at in (0, len(texts)) or STOP in texts[at - 1 : at + 1]}
    return set()


def _over_gap(texts: Sequence[str], at: int, gap: int) -> Iterator[int]:
    for further in range(at, min(at + gap, len(texts))):
        if texts[further] == STOP:
            return
        yield further + 1


def _back_over_gap(texts: Sequence[str], at: int, gap: int) -> Iterator[int]:
    for further in range(at - 1, max(at - gap, 0) - 1, -1):
        if texts[further] == STOP:
            return
        yield further
