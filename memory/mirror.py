"""What recall keeps in RAM of each pair of a person and a character: when and what kind of thing was said, and the
signs of its meaning; some 200 bytes a turn.

Filled when a pair is first asked about, then kept in step: turns committed since are read at the next question,
meanings stored here are pointed out by `memory.meanings`. Anything that another process changed and anything forgotten
makes it begin anew. The file stays the only truth: whoever finds something here reads it there.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from memory import wiping
from memory.rows import Pair
from memory.vectors import SignIndex

_CHUNK = 4096
"""Meanings that are read at once: some 2 MiB."""

_ASKS = " OR ".join(f"instr({{0}}, '{mark}')" for mark in "?\uff1f\u061f\u037e")
_TURNS = f"""
    SELECT id, said_at, user_text <> '', {_ASKS.format("user_text")}, reply_text <> '', {_ASKS.format("reply_text")}
    FROM turns WHERE person_id = ? AND character_id = ? AND id > ? ORDER BY id
"""  # noqa: S608  columns from this module
_MEANINGS = """
    SELECT utterance_id, embedding FROM turns
    CROSS JOIN meanings ON utterance_id IN (2 * turns.id, 2 * turns.id + 1)
    WHERE person_id = ? AND character_id = ? AND encoder_id = ?
"""
_MEANING = "SELECT utterance_id, embedding FROM meanings WHERE utterance_id = ? AND encoder_id = ?"


@dataclass(slots=True, kw_only=True)
class Mirror:
    """The utterances of one pair, in their order; all arrays have one place for each.

    `ids` as in the full-text index: twice the id of the turn, one more for the reply. `signs`: of the meanings of one
    encoder, None where there are none.
    """

    ids: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    said_at: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0, np.float64))
    is_question: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    signs: SignIndex | None = None
    encoder_id: int | None = None
    unread: set[int] = field(default_factory=set)
    """Utterances whose meanings were stored since."""

    def positions(self, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Where the utterances of these ids, each given once, stand; sorted, without those that are another pair's."""
        ids = np.sort(ids)
        at = np.searchsorted(self.ids, ids)
        is_ours = at < len(self.ids)
        at, ids = at[is_ours], ids[is_ours]
        found: NDArray[np.intp] = at[self.ids[at] == ids]
        return found

    def read_turns(self, connection: sqlite3.Connection, pair: Pair) -> None:
        """Take in the turns that were committed since."""
        newest = int(self.ids[-1]) // 2 if len(self.ids) else 0
        ids, said_at, asks = [], [], []
        for turn_id, at, has_words, words_ask, has_reply, reply_asks in connection.execute(_TURNS, (*pair, newest)):
            for in_reply, is_there, is_question in ((0, has_words, words_ask), (1, has_reply, reply_asks)):
                if is_there:
                    ids.append(2 * turn_id + in_reply)
                    said_at.append(at)
                    asks.append(bool(is_question))
        if ids:
            self.ids = np.concatenate([self.ids, np.array(ids, np.int64)])
            self.said_at = np.concatenate([self.said_at, np.array(said_at, np.float64)])
            self.is_question = np.concatenate([self.is_question, np.array(asks, np.bool_)])

    def read_meanings(self, connection: sqlite3.Connection, pair: Pair, encoder_id: int) -> None:
        """Take in the meanings of this encoder that were stored since; all of them if it was another one before."""
        if encoder_id != self.encoder_id:
            self.signs, self.encoder_id = None, None
            self._take_in(connection.execute(_MEANINGS, (*pair, encoder_id)))
            self.encoder_id = encoder_id
        else:
            for utterance_id in self.unread:
                self._take_in(connection.execute(_MEANING, (utterance_id, encoder_id)))
        self.unread.clear()

    def _take_in(self, cursor: sqlite3.Cursor) -> None:
        while rows := cursor.fetchmany(_CHUNK):
            ids = np.array([row[0] for row in rows], np.int64)
            at = np.searchsorted(self.ids, ids)
            is_ours = (at < len(self.ids)) & (self.ids[np.minimum(at, len(self.ids) - 1)] == ids)
            if self.signs is None and is_ours.any():
                self.signs = SignIndex(len(rows[int(np.argmax(is_ours))][1]))
            if self.signs is not None:
                self.signs.put(at[is_ours], [row[1] for row, ours in zip(rows, is_ours, strict=True) if ours])


class Mirrors:
    """The mirrors of one store."""

    def __init__(self) -> None:
        """No mirror yet."""
        self._connection: sqlite3.Connection | None = None
        self._state: tuple[int, int] | None = None
        self._of: dict[Pair, Mirror] = {}

    def of(self, connection: sqlite3.Connection, pair: Pair, encoder_id: int | None) -> Mirror:
        """The mirror of this pair as the file is now; if an encoder is named, with all meanings that are of it.

        The first call for a pair reads all of it: 100,000 turns in about a second.
        """
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        state = (version, wiping.n_forgettings(connection))
        if state != self._state or connection is not self._connection:
            self._of.clear()
            self._state, self._connection = state, connection
        mirror = self._of.setdefault(pair, Mirror())
        mirror.read_turns(connection, pair)
        if encoder_id is not None:
            mirror.read_meanings(connection, pair, encoder_id)
        return mirror

    def meanings_stored(self, utterance_ids: Iterable[int]) -> None:
        """Meanings of these utterances were committed, by this process, after the last call of `of` or before."""
        ids = set(utterance_ids)
        for mirror in self._of.values():
            mirror.unread |= ids


def encoder_of(connection: sqlite3.Connection, fingerprint: str | None) -> int | None:
    """The row of the encoder with this fingerprint; of the newest meaning's without one; None if there is none."""
    if fingerprint is None:
        newest = "SELECT encoder_id FROM meanings ORDER BY utterance_id DESC LIMIT 1"
        found = connection.execute(newest).fetchone()
    else:
        found = connection.execute("SELECT id FROM encoders WHERE fingerprint = ?", (fingerprint,)).fetchone()
    return found[0] if found else None
