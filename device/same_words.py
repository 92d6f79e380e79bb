"""Whether two texts are the same words, in any script: what decides if a reply to the one may answer the other."""

import unicodedata

_APOSTROPHES = str.maketrans({"\u2019": "'", "\u02bc": "'"})


def same_words(one: str, other: str) -> bool:
    """Whether two texts are the same but for case, spaces, and punctuation around words. Marks that make another word
    of it count ("दो" and "दी", "were" and "we're"), as do points and signs of numbers and pictures."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKC", text).casefold().translate(_APOSTROPHES)
    return [word for word in map(_bare, plain.split()) if word]


def _bare(word: str) -> str:
    """The word without the punctuation around it; a sign before a number is no punctuation."""
    start, end = 0, len(word)
    while start < end and _is_punctuation(word[start]) and not _is_sign(word, start):
        start += 1
    while end > start and _is_punctuation(word[end - 1]):
        end -= 1
    return word[start:end]


def _is_sign(word: str, at: int) -> bool:
    return word[at] in "-\u2212+.," and word[at + 1 : at + 2].isdigit()


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PZC"
