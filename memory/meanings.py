"""Meanings in the store: what an encoder made of utterances, and which it has not read yet.

Written off the reply path, in batches and in any order; until then recall goes by words. Functions over an open store;
from an event loop, by `AsyncMemory.ask`. Running the encoder is left to `device`.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from memory.errors import MemoryInputError
from memory.messages import Meaning
from memory.mirror import encoder_of
from memory.store import MemoryStore

_UNREAD = """
    SELECT turns.id, {side}, {text} FROM turns
    LEFT JOIN meanings ON utterance_id = 2 * turns.id + {side} AND encoder_id = ?
    WHERE turns.id > ? AND {text} <> '' AND utterance_id IS NULL ORDER BY turns.id LIMIT ?
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Undescribed:
    """An utterance without a meaning: the person's words of a turn, or the reply."""

    turn_id: int
    in_reply: bool
    text: str


def undescribed(store: MemoryStore, limit: int, fingerprint: str, after: int = 0) -> tuple[Undescribed, ...]:
    """At most `limit` utterances, of all pairs, that the encoder of this fingerprint has not read, the oldest first.

    Of turns with an id above `after` only: who goes on after the last one they got does not look through what is done.
    """

    def work(connection: sqlite3.Connection) -> tuple[Undescribed, ...]:
        encoder_id = encoder_of(connection, fingerprint)
        found = [
            Undescribed(turn_id=turn_id, in_reply=bool(in_reply), text=text)
            for side, column in ((0, "user_text"), (1, "reply_text"))
            for turn_id, in_reply, text in connection.execute(
                _UNREAD.format(side=side, text=column), (encoder_id, after, limit)
            )
        ]
        return tuple(sorted(found, key=lambda each: (each.turn_id, each.in_reply))[:limit])

    return store.read("look for what was not read yet", work)


def store_meanings(store: MemoryStore, meanings: Sequence[Meaning], fingerprint: str) -> None:
    """Keep what the encoder of this fingerprint made of utterances, in place of what any made before. One transaction.

    Meanings of turns that were forgotten meanwhile are left out. Raises MemoryInputError for an empty fingerprint, or
    embeddings of different lengths.
    """
    if not meanings:
        return
    if not fingerprint or len({len(each.embedding) for each in meanings}) != 1 or not meanings[0].embedding:
        raise MemoryInputError("meanings need an encoder's fingerprint and embeddings of one length; give those of one")
    ids = [2 * each.turn_id + each.in_reply for each in meanings]

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO encoders (fingerprint) VALUES (?)", (fingerprint,))
        encoder_id = encoder_of(connection, fingerprint)
        connection.executemany(
            """INSERT OR REPLACE INTO meanings (utterance_id, encoder_id, embedding, feelings, importance)
            SELECT ?, ?, ?, ?, ? FROM turns WHERE id = ?""",
            [
                (utterance_id, encoder_id, each.embedding, each.feelings, each.importance, each.turn_id)
                for utterance_id, each in zip(ids, meanings, strict=True)
            ],
        )

    store.write("store what was meant", work)
    store.mirrors.meanings_stored(ids)
