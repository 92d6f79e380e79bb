"""What an episode was about, in a sentence that can be recalled: pure text work for `memory.sleep`.

An episode is a run of turns without a long pause. Its summary is extractive: the most important and most central
sentences the person said, word for word, so that nothing can be made up, and the same turns always give the same
summary. The character's replies count for what the episode was about, but are not quoted: a small model takes its own
old words for new ones to say.

Centrality is the cosine to the mean of all meanings where there are any, else how usual a sentence's words are in the
episode (SumBasic: Nenkova and Vanderwende 2005). The frame around the quotation is English; quotations are in whatever
language was spoken.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from memory.importance import importance
from memory.words import query_words

EPISODE_GAP_S = 30 * 60.0
"""A pause of more than this ends an episode. So does a clock set back or forth by more than this."""

MAX_LETTERS = 200
MAX_SENTENCES = 3

WORTH_TELLING = 0.25
"""An episode without a sentence of this importance, that of any plain statement, has no summary: greetings and
questions alone."""

_REPEATED_SHARE = 0.5
"""A sentence is not quoted beside another if this share of its significant words stands in that one."""

# Not strftime's names, which are those of the machine's locale.
_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?\u2026])[\s]+|(?<=[\u3002\uff01\uff1f])|\n+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """One side of a turn. `embedding` and `feelings` are packed as in `Meaning`, or None; those of one episode are all
    of the same encoder."""

    text: str
    by_person: bool
    embedding: bytes | None = None
    feelings: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    text: str
    place: int
    score: float


def is_new_episode(before_s: float, after_s: float) -> bool:
    """Whether something said at `after_s` no longer belongs with what was said at `before_s`, just before it."""
    return abs(after_s - before_s) > EPISODE_GAP_S


def summary(person: str, utterances: Sequence[Utterance], day: date | None) -> str | None:
    """At most MAX_LETTERS letters about an episode, or None if nothing in it is worth telling.

    `utterances` are in the order spoken; `day` is None if nobody knows when that was.
    """
    opening = f"On {day.day} {_MONTHS[day.month - 1]} {day.year} we talked" if day else "Once we talked"
    opening = f"{opening}, and {person[:40]} said:"
    sentences = _sentences(utterances)
    if not sentences:
        return None
    chosen = _chosen(sentences, room=MAX_LETTERS - len(opening))
    return " ".join([opening, *(f'"{each.text}"' for each in sorted(chosen, key=lambda each: each.place))])


def _sentences(utterances: Sequence[Utterance]) -> list[_Sentence]:
    """The sentences worth telling, best first."""
    closeness = _closeness(utterances)
    has_meanings = any(each is not None for each in closeness)
    n_with = Counter(word for each in utterances for word in _significant(each.text)) if not has_meanings else Counter()
    found: dict[str, _Sentence] = {}
    for utterance, close in zip(utterances, closeness, strict=True):
        for text in _BETWEEN_SENTENCES.split(utterance.text) if utterance.by_person else ():
            quoted = " ".join(text.replace('"', "'").split())
            worth = importance(quoted, utterance.feelings)
            if worth < WORTH_TELLING:
                continue
            centrality = _usualness(quoted, n_with) if close is None else close
            # Of a sentence said twice the later one stands: it is what was left in the end.
            found[quoted.casefold()] = _Sentence(text=quoted, place=len(found), score=worth * (1.0 + centrality))
    return sorted(found.values(), key=lambda each: (-each.score, each.place))


def _usualness(sentence: str, n_with: Mapping[str, int]) -> float:
    """How often its words are said, on average, as a share of the most frequent word; 0 where nothing was counted."""
    words = _significant(sentence)
    most = max(n_with.values(), default=0)
    return sum(n_with[word] for word in words) / len(words) / most if words and most else 0.0


def _chosen(sentences: Sequence[_Sentence], room: int) -> list[_Sentence]:
    chosen: list[_Sentence] = []
    told: list[frozenset[str]] = []
    for sentence in sentences:
        n_letters = len(sentence.text) + 3  # a blank and two quotation marks
        if n_letters > room:
            continue
        words = _significant(sentence.text)
        if all(len(words & others) < _REPEATED_SHARE * len(words) for others in told):
            chosen.append(sentence)
            told.append(words)
            room -= n_letters
        if len(chosen) == MAX_SENTENCES:
            break
    return chosen or [replace(sentences[0], text=_cut(sentences[0].text, room - 3))]


def _cut(text: str, n_letters: int) -> str:
    """The beginning of `text`, whole words where there are blanks. Without dots: a small model would imitate them."""
    cut = text[:n_letters]
    whole_words = cut.rpartition(" ")[0]
    return whole_words if len(whole_words) > n_letters // 2 else cut


def _closeness(utterances: Sequence[Utterance]) -> list[float | None]:
    """The cosine of each utterance's meaning to the mean of all; None where it has none, or one of another length than
    the last, which a damaged file may hold."""
    length = next((len(each.embedding) for each in reversed(utterances) if each.embedding), 0)
    packed = [
        (number, each.embedding)
        for number, each in enumerate(utterances)
        if each.embedding and len(each.embedding) == length
    ]
    closeness: list[float | None] = [None] * len(utterances)
    if packed:
        vectors = np.stack([np.frombuffer(embedding, dtype=np.int8) for _, embedding in packed]).astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
        mean = vectors.mean(axis=0)
        cosines = vectors @ (mean / max(float(np.linalg.norm(mean)), 1e-9))
        for (number, _), cosine in zip(packed, cosines, strict=True):
            closeness[number] = max(0.0, float(cosine))
    return closeness


def _significant(text: str) -> frozenset[str]:
    return frozenset(word.shown for word in query_words(text))
