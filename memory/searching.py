"""The search behind recall: the few utterances of a pair that may have to do with a question, and what is known of it.

Words, meanings and times each bring their own; what promises most is read from the file. Every step is bounded, so that
a life of talk costs little more than a week of it: sweeps over one number for each utterance, and at most SHORTLIST
rows of the file. What is asked comes from `memory.asking`; what is worth saying of what was found is decided in
`memory.recall`.
"""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memory import index
from memory.asking import Asked, Names, holds
from memory.messages import Query
from memory.mirror import Mirror
from memory.scoring import N_EMOTIONS, Bools, Candidates, Floats, Positions, Weights, congruence, rarity, word_scores
from memory.vectors import cosines, unpacked_shares
from memory.words import QueryWord

SHORTLIST = 64
"""Utterances whose meanings are read and scored exactly."""

_MOST_BY_WORDS = 384
_NEAREST = 64
_NEWEST_OF_A_TIME = 64
_FEWEST_UTTERANCES = 500
"""Words are weighed as if there were at least so many, or a store of a few turns would find every word common."""

_USUAL_IMPORTANCE = 0.25
"""Of what no encoder has read: that of any plain statement in `memory.importance`."""

_DETAILS = """
    SELECT embedding, feelings, importance, encoder_id, n, last_at FROM json_each(?) AS wanted
    LEFT JOIN meanings ON utterance_id = wanted.value LEFT JOIN recalls ON recalls.turn_id = wanted.value / 2
    ORDER BY wanted.key
"""
_TEXTS = """
    SELECT iif(wanted.value % 2, reply_text, user_text) FROM json_each(?) AS wanted
    JOIN turns ON turns.id = wanted.value / 2 ORDER BY wanted.key
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where is searched: the first n utterances of a mirror, those of these two names. `share`: how much of all that
    the file holds is this pair's, from 0 to 1."""

    mirror: Mirror
    n: int
    names: Names
    share: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shortlist:
    """Utterances that may be worth saying: their places in the mirror, one row of `each` for each place."""

    at: Positions
    each: Candidates
    beside: Floats
    """The share of the question's words said in it or right beside it."""
    feelings: Sequence[bytes | None]
    words: tuple[str, ...]
    said_in: Sequence[Positions]
    """Where each of the question's words was said, in order."""

    def words_around(self, row: int) -> tuple[str, ...]:
        """The words of the question that are said there or right beside it."""
        place = self.at[row]
        first = (int(np.searchsorted(said_in, place - 1)) for said_in in self.said_in)
        return tuple(
            word
            for word, said_in, number in zip(self.words, self.said_in, first, strict=True)
            if number < len(said_in) and said_in[number] <= place + 1
        )


def find(connection: sqlite3.Connection, query: Query, asked: Asked, scope: Scope, weights: Weights) -> Shortlist:
    """What may have to do with the question, at most SHORTLIST utterances, oldest first."""
    is_question = scope.mirror.is_question[: scope.n]
    is_in_time = _is_in_time(asked, scope) if weights.time else np.zeros(scope.n, np.bool_)
    # Of a time in which nothing was said, such as "when I was little", somebody may have told.
    words = (asked.topic if is_in_time.any() else asked.words) if weights.words else ()
    said_in, rarities = _said_in(connection, words, scope)
    shares, beside = word_scores(said_in, rarities, is_question, weights)
    near = _Nearness(query, scope, weights)
    at = _promising(shares, is_in_time, near)
    promise = (
        weights.words * shares[at]
        + weights.meaning * near.promised(at)
        + weights.asked_about * _is_by_asked(asked, scope, at)
        + weights.statement * ~is_question[at]
        + weights.time * is_in_time[at]
    )
    at = np.sort(at[_highest(promise, SHORTLIST)])
    ids = scope.mirror.ids[at].tolist()
    details = connection.execute(_DETAILS, (json.dumps(ids),)).fetchall()
    feelings = [row[1] for row in details]
    each = Candidates(
        words=shares[at],
        meaning=_meanings(query, scope, details) if near.at.size else np.full(len(at), np.nan, np.float32),
        is_by_asked=_is_by_asked(asked, scope, at),
        is_statement=~is_question[at],
        holds_answer=_holds_answer(connection, asked, scope, weights, ids),
        is_in_time=is_in_time[at],
        age_s=query.at.timestamp() - scope.mirror.said_at[at],
        importance=np.array([_USUAL_IMPORTANCE if row[2] is None else row[2] for row in details], np.float32),
        feeling=_alike(query, weights, feelings),
        n_recalls=np.array([row[4] or 0 for row in details], np.int64),
        told_s=query.at.timestamp() - np.array([-np.inf if row[5] is None else row[5] for row in details]),
    )
    return Shortlist(
        at=at,
        each=each,
        beside=beside[at],
        feelings=feelings,
        words=tuple(word.shown for word in words),
        said_in=said_in,
    )


def _promising(shares: Floats, is_in_time: Bools, near: "_Nearness") -> Positions:
    """Places, in order, that words, meanings or times speak for; of too many, the best, and the newest of those."""
    spoken = np.flatnonzero(shares > 0)
    if len(spoken) > _MOST_BY_WORDS:
        newer = np.linspace(0, 1e-4, len(spoken), dtype=np.float32)
        spoken = spoken[_highest(shares[spoken] + newer, _MOST_BY_WORDS)]
    is_promising = np.zeros(len(shares), np.bool_)
    for places in (spoken, np.flatnonzero(is_in_time)[-_NEWEST_OF_A_TIME:], near.at):
        is_promising[places] = True
    return np.flatnonzero(is_promising)


class _Nearness:
    """Whose meaning is near that of the question, as far as signs tell; nothing where there is no meaning."""

    def __init__(self, query: Query, scope: Scope, weights: Weights) -> None:
        signs = scope.mirror.signs if weights.meaning else None
        self._embedding = query.embedding or b""
        self._signs = signs if signs is not None and len(self._embedding) == signs.n_dimensions else None
        self.at: Positions = np.zeros(0, np.intp)
        if self._signs is not None:
            self.at = self._signs.nearest(self._embedding, scope.n, _NEAREST)

    def promised(self, at: Positions) -> Floats:
        if self._signs is None:
            return np.zeros(len(at), np.float32)
        return np.maximum(self._signs.promised(self._embedding, at), 0)


def _said_in(
    connection: sqlite3.Connection, words: Sequence[QueryWord], scope: Scope
) -> tuple[list[Positions], list[float]]:
    """Where each of the words was said, and how much it weighs."""
    mirror, n = scope.mirror, scope.n
    found = index.said_in(connection, words, person=scope.names[0], share=scope.share, newest_id=int(mirror.ids[n - 1]))
    places, rarities = [], []
    for word, each in zip(words, found, strict=True):
        own = mirror.positions(each.ids)
        if each.after_it.size or each.before_it.size:
            beside = [mirror.positions(each.after_it) - 1, mirror.positions(each.before_it) + 1]
            own = np.unique(np.concatenate([own, *beside]))
            own = own[(own >= 0) & (own < n)]
        n_with = float(len(own))
        if not each.is_all and len(own):
            n_with *= n / (n - float(own[0]))  # as often before the oldest that was asked for as after it
        weight = rarity(n_with, max(n, _FEWEST_UTTERANCES))
        # About half of all pairs straddle two words; one that was never said is likely such a pair.
        rarities.append(weight / 2 if word.is_pair and not len(own) else weight)
        places.append(own)
    return places, rarities


def _is_in_time(asked: Asked, scope: Scope) -> Bools:
    said_at = scope.mirror.said_at[: scope.n]
    result = np.zeros(scope.n, np.bool_)
    for span in asked.spans:
        result |= (said_at >= span.start.timestamp()) & (said_at < span.end.timestamp())
    return result


def _is_by_asked(asked: Asked, scope: Scope, at: Positions) -> Bools:
    if asked.about is None:
        return np.zeros(len(at), np.bool_)
    is_reply: Bools = scope.mirror.ids[at] % 2 == 1
    return is_reply if asked.about == "character" else ~is_reply


def _meanings(query: Query, scope: Scope, details: Sequence[tuple]) -> Floats:  # type: ignore[type-arg]
    assert query.embedding is not None
    return cosines(query.embedding, [row[0] if row[3] == scope.mirror.encoder_id else None for row in details])


def _alike(query: Query, weights: Weights, feelings: Sequence[bytes | None]) -> Floats:
    if not weights.feeling or query.strategy == "none" or query.feelings is None:
        return np.zeros(len(feelings), np.float32)
    return congruence(unpacked_shares([query.feelings], N_EMOTIONS)[0], unpacked_shares(feelings, N_EMOTIONS))


def _holds_answer(
    connection: sqlite3.Connection, asked: Asked, scope: Scope, weights: Weights, ids: Sequence[int]
) -> Bools:
    if not asked.answers or not weights.answer:
        return np.zeros(len(ids), np.bool_)
    texts = connection.execute(_TEXTS, (json.dumps(ids),))
    return np.array([holds(text, asked.answers, scope.names) for (text,) in texts], np.bool_)


def _highest(values: Floats, count: int) -> Positions:
    """Places of the `count` highest, in no order."""
    if count >= len(values):
        return np.arange(len(values))
    return np.argpartition(values, len(values) - count)[len(values) - count :]
