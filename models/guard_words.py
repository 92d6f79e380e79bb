"""Text as the guard's rules see it: plain words with their places, whatever the spelling.

Case, accents, apostrophes, stretched letters, digits for letters, stars in words and letters set apart are undone, but
only where a word of the rules comes out of it; everything else stays as it was written. One pass and a bounded amount
of work for each letter: no text can make it slow. What the words mean is for `models.guard_patterns`; letters that only
look alike (Cyrillic for Latin) are not undone.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

STOP = "."
"""The word that stands for the end of a sentence. No gap of a pattern reaches across it."""

_MARKS = "\u0300-\u036f"
_INVISIBLE = "\u00ad\u200b-\u200d\u2060\ufeff"
_LETTER = rf"[^\W_]|[{_MARKS}]"
# Either alternative begins with another character, and so does each part of a word: nothing is ever tried twice.
_STOPS = ".!?;:\n\u2026\u3002\uff01\uff1f\uff1b"
_TOKEN = re.compile(rf"[@$]?(?:{_LETTER})+(?:['\u2019\u02bc*#@${_INVISIBLE}]+(?:{_LETTER})+)*|[{_STOPS}]+")
_STRETCHED = re.compile(r"(.)\1\1+")
_DROPPED = re.compile(f"[{_MARKS}{_INVISIBLE}]")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})
_LOOKALIKES = str.maketrans("013457@$", "oieastas")
_LONE_ONE = str.maketrans("1", "l")
_MASKS = frozenset("*#")

_MOST_STRETCHED = 3
_FEWEST_SPACED = 4
_MOST_SPACED = 48
_LONGEST_WORD = 24
"""Words of the rules are shorter; a longer one is not looked through for tricks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelling:
    """What is known of a language's spelling.

    `vocabulary`: the words of its rules. `whole`: spellings and what they are taken for, several words perhaps
    ("dont": "do not"). `endings`: what may stand behind an apostrophe ("n't" counts as such), and its word.
    `masked`: words that people put stars into. `pairs`: two words that are one ("my self": "myself"), as those who
    listen and children write them.
    """

    vocabulary: frozenset[str] = frozenset()
    whole: Mapping[str, tuple[str, ...]]
    endings: Mapping[str, tuple[str, ...]]
    masked: tuple[str, ...] = ()
    pairs: Mapping[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """The words of a text; `starts` and `ends` are offsets in code points of that text. A spelling that stands for
    several words gives each of them the whole of its place."""

    texts: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


_Placed = tuple[str, int, int]


def words_of(text: str, spelling: Spelling) -> Words:
    """The words of `text`, in order, with STOP where a sentence ends."""
    placed: list[_Placed] = []
    spaced: list[_Placed] = []
    for word in _plain_words(text, spelling):
        if len(word[0]) == 1 and word[0].isalpha() and not is_whole_word(word[0]):
            spaced.append(word)
            continue
        placed += _joined(spaced, spelling)
        spaced = []
        placed.append(word)
    placed = _paired([*placed, *_joined(spaced, spelling)], spelling.pairs)
    return Words(
        texts=tuple(word for word, _, _ in placed),
        starts=tuple(start for _, start, _ in placed),
        ends=tuple(end for _, _, end in placed),
    )


def folded(word: str) -> str:
    """`word` without case, accents and what cannot be seen."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word.translate(_APOSTROPHES)).casefold()
    return unicodedata.normalize("NFC", _DROPPED.sub("", decomposed))


def is_whole_word(character: str) -> bool:
    """Whether this is kana or Han, written without spaces: each such character counts as a word."""
    return "\u3040" <= character <= "\u30ff" or "\u3400" <= character <= "\u9fff"


def _plain_words(text: str, spelling: Spelling) -> Iterator[_Placed]:
    for found in _TOKEN.finditer(text):
        start, end = found.span()
        token = found[0]
        if token[0] in _STOPS:
            if not _is_inside_word(text, start, end):
                yield STOP, start, end
            continue
        word = folded(token)
        if not word.isascii() and any(map(is_whole_word, word)):
            yield from _characters(word, start, end)
            continue
        for part in _expanded(word, spelling):
            yield part, start, end


def _is_inside_word(text: str, start: int, end: int) -> bool:
    """A point or colon between two letters or digits ends no sentence: "3.14", "s.u.n", "7:30"."""
    before, after = text[max(0, start - 1) : start], text[end : end + 1]
    return end - start == 1 and text[start] in ".:" and before.isalnum() and after.isalnum()


def _characters(word: str, start: int, end: int) -> Iterator[_Placed]:
    """A run of an unspaced script: each character is a word. Runs of other letters within it stay together."""
    if len(word) != end - start:  # something was dropped: all have the place of the whole
        for character in word:
            yield character, start, end
        return
    begun = 0
    for at, character in enumerate(word):
        if is_whole_word(character):
            if begun < at:
                yield word[begun:at], start + begun, start + at
            yield character, start + at, start + at + 1
            begun = at + 1
    if begun < len(word):
        yield word[begun:], start + begun, end


def _expanded(word: str, spelling: Spelling) -> tuple[str, ...]:
    """The words that one spelling stands for."""
    if (known := spelling.whole.get(word)) is not None:
        return known
    if "'" in word:
        if word.endswith("n't") and "n't" in spelling.endings:
            return (*_expanded(word[:-3], spelling), *spelling.endings["n't"])
        stem, _, ending = word.rpartition("'")
        if ending in spelling.endings:
            return (*_expanded(stem, spelling), *spelling.endings[ending])
        word = word.replace("'", "")
        return spelling.whole.get(word, (word,))
    if word.isascii() and word.isalpha() and not _STRETCHED.search(word):
        return (word,)
    undone = _without_tricks(word, spelling)
    return spelling.whole.get(undone, (undone,))


def _without_tricks(word: str, spelling: Spelling) -> str:
    """The word of the rules that `word` is a disguise of; `word` itself if it is none."""
    if word in spelling.vocabulary or (len(word) > _LONGEST_WORD and not _STRETCHED.search(word)):
        return word
    if not _MASKS.isdisjoint(word):
        return next((known for known in spelling.masked if _fits(word, known)), word)
    candidates = [word]
    if any(map(str.isalpha, word)) and not word.isalpha():
        candidates += [word.translate(_LOOKALIKES), word.translate(_LONE_ONE).translate(_LOOKALIKES)]
    for candidate in candidates:
        for spelt in _shortened(candidate):
            if spelt in spelling.vocabulary or spelt in spelling.whole:
                return spelt
    return word


def _shortened(word: str) -> Iterator[str]:
    """The word with each stretched letter twice or once, in all ways; beyond a few stretched letters, once."""
    between = _STRETCHED.split(word)
    letters, rest = between[1::2], between[2::2]
    few = min(len(letters), _MOST_STRETCHED)
    for counts in product((2, 1), repeat=few):
        lengths = (*counts, *(1,) * (len(letters) - few))
        yield between[0] + "".join(
            letter * length + plain for letter, length, plain in zip(letters, lengths, rest, strict=True)
        )


def _fits(masked: str, known: str) -> bool:
    if len(masked) != len(known):
        return False
    return all(one in _MASKS or one == two for one, two in zip(masked, known, strict=True))


def _joined(spaced: list[_Placed], spelling: Spelling) -> list[_Placed]:
    """Letters that were set apart, as the words they spell, if they spell words of the rules and nothing else."""
    if len(spaced) < _FEWEST_SPACED or len(spaced) > _MOST_SPACED:
        return spaced
    letters = "".join(letter for letter, _, _ in spaced)
    begun = {0: 0}  # for so many letters that are words: where the last of these begins
    for end in range(1, len(letters) + 1):
        for begin in range(max(0, end - _LONGEST_WORD), end):
            if begin in begun and letters[begin:end] in spelling.vocabulary:
                begun[end] = begin
                break
    if len(letters) not in begun:
        return spaced
    words: list[_Placed] = []
    end = len(letters)
    while end > 0:
        begin = begun[end]
        words.append((letters[begin:end], spaced[begin][1], spaced[end - 1][2]))
        end = begin
    return words[::-1]


def _paired(placed: list[_Placed], pairs: Mapping[tuple[str, str], str]) -> list[_Placed]:
    """`placed` with what is one word joined. STOP is a word: nothing is joined across it."""
    if not pairs:
        return placed
    words: list[_Placed] = []
    for word, start, end in placed:
        if words and (one := pairs.get((words[-1][0], word))) is not None:
            words[-1] = (one, words[-1][1], end)
        else:
            words.append((word, start, end))
    return words
