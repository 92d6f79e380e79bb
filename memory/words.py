"""Pure text work of recall: what is put before the FTS5 tokenizer, and which words of a query are worth a search.

FTS5's `unicode61` makes one token of a whole run of letters. That is right for scripts that put spaces between words
and useless for those that do not (Chinese, Japanese, Thai, ...) or glue particles to words (Korean). For these,
`segmented` spaces the characters out, so that each is a token, and `query_words` asks for pairs of neighbours as
phrases: the bigram scheme of Lucene's CJKAnalyzer, with an index that also finds a single character. FTS5's `trigram`
tokenizer was the other candidate; it cannot find words of two characters, which most Chinese words are.

Stemming, case and accents are left to FTS5. Stop words are English; in other languages BM25's own weighing of common
words has to do.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

MAX_QUERY_WORDS = 24
"""Only the first so many words of an utterance are searched for: each costs time, later ones hardly change a find."""

_UNSPACED_RANGES = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Burmese
    ("\u1780", "\u17ff"),  # Khmer
    ("\u3040", "\u30ff"),  # kana
    ("\u3400", "\u4dbf"),  # Han, as the next, and the last two
    ("\u4e00", "\u9fff"),
    ("\uac00", "\ud7af"),  # Hangul syllables
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)
# Letters and digits, and the combining accents and vowel signs that Python does not count as such. The classes are kept
# small: one that names the ranges above takes 8 ms to compile, at every start.
_LETTER = "[\\w\u0300-\u036f\u0900-\u109f\u1780-\u17ff]"
_WORD = re.compile(f"{_LETTER}+(?:['\u2019]{_LETTER}+)*")
_SURROGATE = re.compile("[\ud800-\udfff]")

_STOP_WORDS = frozenset(
    """
    a about after again all also always am an and any anything are aren't as ask at away be because been before being
    but by can can't could couldn't did didn't do does doesn't doing don't done else ever every for from get gets
    getting go goes going gonna gone got had has have haven't having he he'd he'll her here him his how i i'd i'll i'm
    i've if in into is isn't it its just know let like lot make me mean mine much my myself no not now of off oh ok
    okay on once one or other our out over please really remember right said say saying says she she'd she'll should
    so some something still such sure take talk tell than thank thanks that the their them then there these they
    they'd they'll they're thing things think this those to told too up us very want wanted was wasn't way we we'd
    we'll we're we've well went were what when where which while who whom whose why will with won't would wouldn't yeah
    yes you you'd you'll you're you've your yours hello hey hi
    """.split()  # noqa: SIM905  a list of 200 quoted words is no easier to read
)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryWord:
    """A word to search for: as people read it, and as an FTS5 phrase that nothing in the word can break out of.

    `is_pair`: two neighbours of an unspaced script, which may be a word or straddle two.
    """

    shown: str
    phrase: str
    is_pair: bool


def segmented(text: str) -> str:
    """`text` with every character of an unspaced script set apart. What the index stores and the query asks for."""
    if text.isascii():
        return text
    return "".join(f" {character} " if _is_unspaced(character) else character for character in text)


def storable(text: str) -> str:
    """`text` with lone surrogates, which no UTF-8 file can hold, as U+FFFD."""
    return _SURROGATE.sub("\ufffd", text)


def query_words(query: str) -> tuple[QueryWord, ...]:
    """The significant words of `query` in order, each once: stop words, single letters and punctuation left out."""
    words: dict[str, QueryWord] = {}
    for run in _WORD.finditer(query):
        for word in _words_of(run.group().lower().replace("\u2019", "'")):
            is_pair = len(word) == 2 and _is_unspaced(word[0])
            words.setdefault(word, QueryWord(shown=word, phrase=f'"{segmented(word)}"', is_pair=is_pair))
            if len(words) == MAX_QUERY_WORDS:
                return tuple(words.values())
    return tuple(words.values())


def _words_of(run: str) -> Iterator[str]:
    for is_unspaced, characters in groupby(run, _is_unspaced):
        part = "".join(characters)
        if is_unspaced and len(part) > 1:
            yield from map("".join, pairwise(part))
        elif is_unspaced or not _is_insignificant(part.removesuffix("'s")):
            yield part.removesuffix("'s")


def _is_unspaced(character: str) -> bool:
    return character >= "\u0e00" and any(first <= character <= last for first, last in _UNSPACED_RANGES)


def _is_insignificant(word: str) -> bool:
    return word in _STOP_WORDS or (len(word) == 1 and word.isascii() and not word.isdigit())
