"""How much an utterance matters before anybody has recalled it: a pure function of its words and the feelings in it.

`importance` is what `Meaning.importance` holds. It stays as it was given but for one change: `memory.sleep` sets it to
`SAID_AGAIN` when the same was said again later. Nothing rewrites it with time: how it fades is a closed form of age and
recalls that scoring computes when it is asked.

Words that tell of oneself are listed for the languages of `_FIRST_PERSON`; in others feelings, names and numbers
decide. Names are told by capitals: writing systems without them have none here, and German has too many.
"""

import re

from memory.words import query_words

SAID_AGAIN = 0.0
"""The importance of what was said again later, in the same words or nearly: recall prefers the newer one."""

LEAST = 0.05
"""The importance of chit-chat. Above SAID_AGAIN, so that the two cannot be confused."""

_USUAL = 0.25
_OF_ONESELF = 0.2
_NAMED = 0.15
_COUNTED = 0.05
_FACTUAL = 0.2
_FELT = 0.4
_ASKED_SHARE = 0.5
"""A question keeps this share: what was asked says less of a person than what they told."""

_FIRST_PERSON = frozenset(
    word
    for words in (
        "i i'm i've i'll i'd me my mine we our us",  # English
        "ich mir mich mein meine meinen meiner meinem wir unser unsere uns",  # German
        "je j'ai moi mon ma mes nous notre nos",  # French
        "yo mi mis mí nosotros nuestro nuestra",  # Spanish; `mi` is Italian as well
        "io mio mia miei mie noi nostro nostra",  # Italian
        "ja mój moja moje mnie mam jestem my nasz",  # Polish
        "я мой моя моё мои мне меня мы наш наша",  # Russian
    )
    for word in words.split()
)
_WEIGHTS = {
    "admiration": 0.4, "amusement": 0.4, "anger": 0.9, "annoyance": 0.5, "approval": 0.1, "caring": 0.5,
    "confusion": 0.2, "curiosity": 0.1, "desire": 0.6, "disappointment": 0.7, "disapproval": 0.3, "disgust": 0.7,
    "embarrassment": 0.8, "excitement": 0.8, "fear": 1.0, "gratitude": 0.5, "grief": 1.0, "joy": 0.8, "love": 1.0,
    "nervousness": 0.8, "optimism": 0.4, "pride": 0.8, "realization": 0.3, "relief": 0.6, "remorse": 0.9,
    "sadness": 0.9, "surprise": 0.5, "neutral": 0.0,
}  # fmt: skip
"""What a feeling is worth to memory when it is certain, in GoEmotions' order. Chosen, not measured: what moves people
stays with them."""

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_QUESTION_MARKS = ("?", "\uff1f", "\u061f", "\u037e")


def importance(text: str, feelings: bytes | None = None, *, is_factual: bool = False) -> float:
    """How much `text` matters, from LEAST to 1.

    `feelings`: one uint8 for each of GoEmotions' 28 emotions in its order, 255 for certain; None where no encoder is.
    `is_factual`: whether a fact was found in it.
    """
    felt = _strongest(feelings or b"")
    if not query_words(text) and not is_factual:
        return round(LEAST + _FELT * felt / 2, 4)
    words = _WORD.findall(text)
    score = _USUAL + _FELT * felt
    if any(word.lower().replace("\u2019", "'") in _FIRST_PERSON for word in words):
        score += _OF_ONESELF
    if any(_is_name(word) for word in words[1:]):
        score += _NAMED
    if any(word[0].isdigit() for word in words):
        score += _COUNTED
    if is_factual:
        score += _FACTUAL
    if text.rstrip().endswith(_QUESTION_MARKS):
        score *= _ASKED_SHARE
    return round(min(1.0, max(LEAST, score)), 4)


def _strongest(feelings: bytes) -> float:
    weighed = (value / 255 * weight for value, weight in zip(feelings, _WEIGHTS.values(), strict=False))
    return max(weighed, default=0.0)


def _is_name(word: str) -> bool:
    return len(word) > 1 and word[0].isupper() and word.lower() not in _FIRST_PERSON
