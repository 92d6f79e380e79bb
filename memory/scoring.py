"""How much each utterance has to do with what is asked: a sum of what speaks for it. Pure; time is passed in.

Every part lies between 0 and 1 and has one weight; sums of normalised scores, never fusion of ranks (on LoCoMo bm25 and
cosine summed find 77 % of the evidence among ten, their ranks fused 70 %). Words count by whether they are said, not by
how often or in how many others, so that no utterance loses by its length; a word counts less in the utterances around,
but hardly less in the answer to a question. What is found by is `memory.recall`'s business; here is what it is worth.

The weights were fitted with a linear model to two of three conversations of LoCoMo and measured on the third, in turn;
then rounded. Half or twice of any of them costs less than 0.02 of the evidence found among ten.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from memory.messages import Strategy

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]
Positions = NDArray[np.intp]

N_EMOTIONS = 28
"""GoEmotions' labels, in the order of `Meaning.feelings`."""

_DAY_S = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What each part of a score is worth. The sources of a part that is worth 0 are not looked at."""

    words: float = 1.0
    meaning: float = 0.8
    asked_about: float = 0.15
    """Said by whom the question is about."""
    statement: float = 0.15
    """Not a question: those seldom hold what is asked for."""
    answer: float = 0.3
    """Holds what could be the answer: a time where it is asked when, a number where it is asked how many."""
    time: float = 0.3
    """Said in the time asked about, or within a week after, when one tells of it."""
    recency: float = 0.05
    importance: float = 0.05
    feeling: float = 0.7
    answered: float = 0.8
    """What a word counts, of its whole, in the utterance after the question that has it."""
    beside: float = 0.6
    """And in one right before or after."""
    near: float = 0.4
    """And two before or after."""


USUAL = Weights()

RECENCY_S = 30 * _DAY_S
"""In this time recency falls to 1/e, and importance in `_FADING_S`, later if it was recalled. Chosen, not measured."""

_FADING_S = 365 * _DAY_S

TOLD_S = 600.0
"""What was recalled is held back for some ten minutes: by `_TOLD` at first, which leaves what is asked for directly."""

_TOLD = 0.3

RELATIVE_EVIDENCE = 0.5
"""What has less than this share of the evidence of the best one has too little to do with the question."""

_FIRST = 10
"""Above any plain score."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidates:
    """What is known of n utterances, one row for each. Arrays of shape (n,)."""

    words: Floats
    """The share of the question's words that are said in or around it, each weighing its rarity."""
    meaning: Floats
    """The cosine with the question, NaN where no encoder has read one of them."""
    is_by_asked: Bools
    is_statement: Bools
    holds_answer: Bools
    is_in_time: Bools
    age_s: NDArray[np.float64]
    """Seconds since it was said; negative where the clock ran backwards."""
    importance: Floats
    feeling: Floats
    """How far it was said in the mood of the question, see `congruence`."""
    n_recalls: NDArray[np.int64]
    told_s: NDArray[np.float64]
    """Seconds since it was last recalled, infinite if never."""


def scores(each: Candidates, weights: Weights, strategy: Strategy, limit: int) -> Floats:
    """(n,) scores of at least 0.

    "c-a" adds feelings, "c-m" multiplies by them (0.5 to 1, so that indifference leaves something). The sequences put
    some of what has to do with the question before the rest: "s-c" the 2 x limit best by meaning, in the order of
    feeling; "s-s" the 2 x limit most alike in feeling, none less than half as much as the first, in the order of
    meaning. Feelings count in steps of a tenth there, so that a shade more does not outweigh any meaning.
    """
    plain = _plain(each, weights)
    match strategy:
        case "none":
            return plain
        case "c-a":
            return plain + np.float32(weights.feeling) * each.feeling
        case "c-m":
            return plain * (np.float32(0.5) + np.float32(0.5) * each.feeling)
    felt = np.round(each.feeling, 1)
    has_to_do = is_relevant(each, weights)
    by_feeling: Floats = np.where(has_to_do, _FIRST * (1 + felt) + plain, plain)
    if strategy == "s-c":
        return np.where(_is_among_best(np.where(has_to_do, plain, 0), 2 * limit), by_feeling, plain)
    is_alike = has_to_do & (felt >= felt[has_to_do].max(initial=0) / 2)
    return np.where(is_alike & _is_among_best(by_feeling, 2 * limit), _FIRST + plain, plain)


def is_relevant(each: Candidates, weights: Weights) -> Bools:
    """(n,) whether there is at least RELATIVE_EVIDENCE as much evidence as for the best."""
    found = evidence(each, weights)
    least = RELATIVE_EVIDENCE * float(found.max(initial=0))
    return np.greater_equal(found, np.float32(least))


def evidence(each: Candidates, weights: Weights) -> Floats:
    """(n,) the part of the scores that speaks for having to do with the question at all."""
    meaning = np.nan_to_num(np.clip(each.meaning, 0, 1), nan=0.0)
    return (weights.words * each.words + weights.meaning * meaning).astype(np.float32)


def congruence(query: Floats, feelings: Floats) -> Floats:
    """(n,) from 0 to 1: how far (n, 28) feelings are those of the (28,) query; 0 for what is felt by neither.

    Compared are joy, anger, disgust, fear, sadness, and that something is unpleasant at all: surprise, curiosity and
    the like are no mood, and a question that is merely curious must not prefer what was asked in curiosity.
    """
    asked, said = _moods(query[None, :])[0], _moods(feelings)
    strength = asked[:-1].max() * said[:, :-1].max(axis=1)
    weighed = asked * _AXES
    lengths = np.linalg.norm(said * _AXES, axis=1) * np.linalg.norm(weighed)
    cosine = np.divide((said * _AXES) @ weighed, lengths, out=np.zeros(len(said), np.float32), where=lengths > 0)
    result: Floats = cosine * strength
    return result


def rarity(n_with: float, n_all: float) -> float:
    """The weight of a word that is said in `n_with` of `n_all` utterances: BM25's, never below 0."""
    return math.log1p((max(n_all, n_with) - n_with + 0.5) / (n_with + 0.5))


def word_scores(
    said_in: Sequence[Positions], rarities: Sequence[float], is_question: Bools, weights: Weights
) -> tuple[Floats, Floats]:
    """Two arrays (n,) for the n utterances of a conversation in their order: the share of the words that are said in or
    around each, and the share said in it or right beside it, without any discount.

    `said_in`: for each word, positions of the utterances that have it, each once.
    """
    n, total = len(is_question), sum(rarities)
    shares, beside = np.zeros(n, np.float32), np.zeros(n, np.float32)
    if total <= 0:
        return shares, beside
    credit = np.zeros(n, np.float32)
    for own, rarity_of_word in zip(said_in, rarities, strict=True):
        next_to = np.concatenate([own, _moved(own, -1, n), _moved(own, 1, n)])
        touched = np.concatenate([next_to, _moved(own, -2, n), _moved(own, 2, n)])
        # From the least to the most: what is assigned later stands.
        credit[touched] = weights.near
        credit[next_to] = weights.beside
        credit[_moved(own[is_question[own]], 1, n)] = weights.answered
        credit[own] = 1
        weight = np.float32(rarity_of_word / total)
        # A position that stands in `touched` twice is still counted once: both times from the same old value.
        shares[touched] += weight * credit[touched]
        beside[next_to] += weight
        credit[touched] = 0
    return shares, beside


def _plain(each: Candidates, weights: Weights) -> Floats:
    age_s = np.maximum(each.age_s, 0)
    recency = np.exp(-age_s / RECENCY_S)
    fading = np.exp(-age_s / (_FADING_S * (1 + each.n_recalls)))
    told = _TOLD * np.exp(-np.maximum(each.told_s, 0) / TOLD_S)
    plain = (
        evidence(each, weights)
        + weights.asked_about * each.is_by_asked
        + weights.statement * each.is_statement
        + weights.answer * each.holds_answer
        + weights.time * each.is_in_time
        + weights.recency * recency
        + weights.importance * np.clip(each.importance, 0, 1) * fading
        - told
    )
    result: Floats = np.maximum(plain, 0).astype(np.float32)
    return result


def _is_among_best(values: Floats, count: int) -> Bools:
    """True for the `count` highest, and for what equals the last of them."""
    if count >= len(values):
        return np.ones(len(values), np.bool_)
    least = float(np.partition(values, len(values) - count)[len(values) - count])
    return np.greater_equal(values, least)


def _moved(positions: Positions, by: int, n: int) -> Positions:
    moved: Positions = positions + by
    inside: Positions = moved[(moved >= 0) & (moved < n)]
    return inside


_JOY = (0, 1, 5, 8, 13, 15, 17, 18, 20, 21, 23)
_UNPLEASANT = ((2, 3, 10), (11,), (14, 19), (9, 12, 16, 24, 25))
"""Places in GoEmotions' order: Ekman's groups as its paper has them, but for "approval", which is no mood."""

_AXES = np.array([1, 1, 1, 1, 1, 1.5], np.float32)
"""The last one, unpleasant at all, counts half as much again: sad and angry are nearer to each other than to glad."""

_BY_GROUP = [place for group in (_JOY, *_UNPLEASANT) for place in group]
_GROUP_STARTS = np.cumsum([0, len(_JOY), *(len(group) for group in _UNPLEASANT[:-1])])


def _moods(feelings: Floats) -> Floats:
    """(n, 28) -> (n, 6): the strongest of each group, and of all that is unpleasant."""
    groups: Floats = np.maximum.reduceat(feelings[:, _BY_GROUP], _GROUP_STARTS, axis=1)
    unpleasant: Floats = groups[:, 1:].max(axis=1, keepdims=True)
    return np.concatenate([groups, unpleasant], axis=1)
