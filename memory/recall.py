"""Recall: from what is being said now to what of the past is worth saying, with the reason for each.

`memory.asking` tells what is asked for, `memory.searching` finds what may have to do with it, `memory.scoring` what
that is worth. Here is the gate (what has too little to do with the question is left out, and of a turn the better half
is enough), and the facts and summaries that belong to what was found (`memory.known`), facts before the turns that they
are from.

Called by `MemoryStore.recall`.
"""

import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from memory import known, rows, scoring
from memory.asking import Asked, asked
from memory.errors import MemoryStoreError
from memory.messages import Query, Recalled
from memory.mirror import encoder_of
from memory.rows import Pair
from memory.scoring import USUAL, Positions, Weights
from memory.searching import Scope, Shortlist, find

if TYPE_CHECKING:
    from memory.store import MemoryStore

MIN_COVERAGE = 0.35
"""An utterance is worth saying if this share of the question's words, each weighing its rarity, is said in or beside
it, and its meaning is not far from it."""

MIN_COSINE = 0.5
"""Or if its meaning is as near as this to the question's."""

FAR_COSINE = 0.15
"""What shares words with the question, but is no nearer than this, only happens to share them.

Of questions about three conversations of LoCoMo, the right utterance passes in 87 % where it is among the first three,
by words alone in 84 %; of questions about another family that are given this family's names, for 32 % something passes,
by words alone for 33 %."""

_ABOVE = 0.01
"""By how much a fact stands above the turn it was found by."""

_FELT_ALIKE = 0.25
"""From which congruence on a mood is given as a reason."""


def recall(
    store: "MemoryStore", person: str, character: str, query: Query, weights: Weights = USUAL
) -> tuple[Recalled, ...]:
    """See `MemoryStore.recall`. Other weights are for measuring what each part is worth."""

    def work(connection: sqlite3.Connection) -> tuple[Recalled, ...]:
        # One view of the file, whatever another process forgets meanwhile; and one lock in place of thirty.
        connection.execute("BEGIN")
        try:
            return answer(connection)
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def answer(connection: sqlite3.Connection) -> tuple[Recalled, ...]:
        pair = rows.find_pair(connection, person, character)
        newest = rows.newest_turn_id(connection, pair, skip=max(0, query.exclude_newest)) if pair else None
        if pair is None or newest is None or query.limit <= 0:
            return ()
        encoder_id = encoder_of(connection, query.encoder) if query.embedding and weights.meaning else None
        mirror = store.mirrors.of(connection, pair, encoder_id)
        scope = Scope(
            mirror=mirror,
            n=int(np.searchsorted(mirror.ids, 2 * newest + 2)),
            names=(person, character),
            share=len(mirror.ids) / _n_utterances(connection),
        )
        question = asked(query.text, scope.names, query.at)
        return _Answer(connection=connection, pair=pair, query=query, asked=question, scope=scope).items(weights)

    return store.read("recall", work)


def warm(store: "MemoryStore", person: str, character: str, encoder: str | None) -> None:
    """Read what recall keeps in RAM of this pair, so that the first question need not wait for it (0.7 s at 100,000
    turns). `encoder` is the fingerprint of what reads questions, None for none. Never raises MemoryStoreError: a
    memory that fails is told of when it is asked."""

    def work(connection: sqlite3.Connection) -> None:
        if pair := rows.find_pair(connection, person, character):
            store.mirrors.of(connection, pair, encoder_of(connection, encoder) if encoder else None)

    with suppress(MemoryStoreError):
        store.read("warm the memory up", work)


def recalled(store: "MemoryStore", turn_ids: Iterable[int], at: float) -> None:
    """Note that these turns were brought back at `at` (seconds since 1970): what was just told is held back for a
    while, and what is recalled often fades more slowly."""
    values = [(at, turn_id) for turn_id in set(turn_ids)]

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(
            """INSERT INTO recalls (turn_id, n, last_at) SELECT id, 1, ? FROM turns WHERE id = ?
            ON CONFLICT (turn_id) DO UPDATE SET n = n + 1, last_at = excluded.last_at""",
            values,
        )

    if values:
        store.write("note what was recalled", work)


def _n_utterances(connection: sqlite3.Connection) -> int:
    """Of everybody, about: counting them would read the whole index of turns."""
    (newest,) = connection.execute("SELECT coalesce(max(id), 0) FROM turns").fetchone()
    return max(1, 2 * int(newest))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What is said to one question."""

    connection: sqlite3.Connection
    pair: Pair
    query: Query
    asked: Asked
    scope: Scope

    def items(self, weights: Weights) -> tuple[Recalled, ...]:
        is_chat = not self.asked.words and not self.asked.spans
        if self.scope.n == 0 or (self.query.gate and is_chat):
            return ()
        shortlist = find(self.connection, self.query, self.asked, self.scope, weights)
        scores = scoring.scores(shortlist.each, weights, self.query.strategy, self.query.limit)
        ids = self.scope.mirror.ids[shortlist.at]
        order = np.lexsort((ids % 2, -(ids // 2), -scores))  # among equals the newer turn, and of it the person's words
        if self.query.gate:
            order = self._once_a_turn(shortlist, order[self._is_worth_saying(shortlist, weights)[order]])
        found = [self._item(shortlist, int(row), float(scores[row])) for row in order[: self.query.limit]]
        return self._with_what_is_known(found)

    def _is_worth_saying(self, shortlist: Shortlist, weights: Weights) -> scoring.Bools:
        each = shortlist.each
        if not self.asked.topic and each.is_in_time.any():
            return each.is_in_time
        shares_words = (shortlist.beside >= MIN_COVERAGE) & ~(each.meaning < FAR_COSINE)  # NaN: not known to be far
        has_to_do = shares_words | (each.meaning >= MIN_COSINE)
        return has_to_do & scoring.is_relevant(each, weights) & bool(shortlist.words)

    def _once_a_turn(self, shortlist: Shortlist, order: Positions) -> Positions:
        """Of a turn the better half is enough: whoever tells it has both."""
        _, first = np.unique(self.scope.mirror.ids[shortlist.at[order]] // 2, return_index=True)
        return order[np.sort(first)]

    def _item(self, shortlist: Shortlist, row: int, score: float) -> Recalled:
        utterance_id = int(self.scope.mirror.ids[shortlist.at[row]])
        turn, in_reply = rows.turn(self.connection, utterance_id // 2), bool(utterance_id % 2)
        return Recalled(
            text=turn.reply_text if in_reply else turn.user_text,
            turn=turn,
            in_reply=in_reply,
            said_at=turn.said_at,
            score=score,
            why=self._why(shortlist, row, turn.character if in_reply else turn.person),
            feelings=shortlist.feelings[row],
        )

    def _why(self, shortlist: Shortlist, row: int, speaker: str) -> str:
        each = shortlist.each
        words = ", ".join(shortlist.words_around(row))
        reasons = [f"{words}: around what {speaker} said"] if words else []
        if each.meaning[row] >= MIN_COSINE:
            reasons.append(f"meant alike ({each.meaning[row]:.2f})")
        if each.is_in_time[row]:
            reasons.append(f"said at that time ({', '.join(span.words for span in self.asked.spans)})")
        if each.feeling[row] >= _FELT_ALIKE:
            reasons.append("felt alike")
        return "; ".join(reasons) or f"{speaker} said it; the nearest there is"

    def _with_what_is_known(self, found: list[Recalled]) -> tuple[Recalled, ...]:
        """Facts before the turns they were found by, summaries after the last turn of their episode."""
        scores: dict[int, float] = {}
        for item in found:
            if item.turn is not None and item.turn.turn_id is not None:
                scores.setdefault(item.turn.turn_id, item.score)
        words = [word.shown for word in self.asked.words]
        facts = known.facts_of(self.connection, self.pair, tuple(scores), self.query.at.date())
        for fact in facts:
            if known.shares_a_word(fact.text, words):
                why = (
                    "what holds now, in place of what was said then"
                    if fact.was_otherwise
                    else "known from what was said then"
                )
                score = scores[fact.turn_id] + _ABOVE
                found.append(Recalled(kind="fact", text=fact.text, said_at=fact.known_from, score=score, why=why))
        for episode in known.episodes_of(self.connection, self.pair, tuple(scores)):
            score = min(scores[turn_id] for turn_id in episode.turn_ids)
            why = f"{len(episode.turn_ids)} of what was found is of this talk"
            found.append(Recalled(kind="summary", text=episode.text, said_at=episode.made_at, score=score, why=why))
        return tuple(sorted(found, key=lambda item: -item.score)[: self.query.limit])
