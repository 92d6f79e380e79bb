"""Learning by rule from what was said: every turn of a pair once, in order, in one transaction with how far it came.

Called off the reply path, after a turn is committed or when idle: a few milliseconds a turn, with the write. A crash
before it costs nothing, since what was not looked at yet is looked at next time. The model's half is
`memory.extraction`.
"""

import sqlite3
from datetime import datetime, tzinfo

from memory import facts, progress, rows
from memory.beliefs import beliefs_said
from memory.fact_rules import facts_said
from memory.messages import Fact, Turn
from memory.store import MemoryStore
from memory.times import is_on_calendar

MAX_TURNS = 50
"""In one transaction: some 50 ms, so that nobody who wants to commit a turn meanwhile has to wait long."""

_WORK = "rules"
_NEXT = "SELECT id FROM turns WHERE person_id = ? AND character_id = ? AND id > ? ORDER BY id LIMIT ?"
_BEFORE = "SELECT id FROM turns WHERE person_id = ? AND character_id = ? AND id <= ? ORDER BY id DESC LIMIT 1"


def learn(store: MemoryStore, person: str, character: str, zone: tzinfo, at: float) -> int:
    """Take facts and beliefs out of turns of this pair that were not looked at yet; `zone` is where the person lives,
    `at` is now, in seconds since 1970. Returns how many turns were looked at: MAX_TURNS if there may be more."""

    def work(connection: sqlite3.Connection) -> int:
        pair = rows.find_pair(connection, person, character)
        if pair is None:
            return 0
        done = progress.done_up_to(connection, _WORK, pair)
        turns = _turns(connection, connection.execute(_NEXT, (*pair, done, MAX_TURNS)))
        before = next(iter(_turns(connection, connection.execute(_BEFORE, (*pair, done)))), None)
        for turn in turns:
            # An older version took in turns of no time at all; nothing is learned from them.
            if is_on_calendar(turn.said_at):
                facts.record_within(connection, person, character, _said(turn, before, zone), at)
            before = turn
        if turns and turns[-1].turn_id is not None:
            progress.advance(connection, _WORK, pair, turns[-1].turn_id)
        return len(turns)

    # Without anything new, which is most often when idle, no transaction is begun.
    return store.write("learn from what was said", work) if _has_next(store, person, character) else 0


def _has_next(store: MemoryStore, person: str, character: str) -> bool:
    def work(connection: sqlite3.Connection) -> bool:
        pair = rows.find_pair(connection, person, character)
        if pair is None:
            return False
        return (
            connection.execute(_NEXT, (*pair, progress.done_up_to(connection, _WORK, pair), 1)).fetchone() is not None
        )

    return store.read("look for what was said", work)


def _turns(connection: sqlite3.Connection, found: sqlite3.Cursor) -> list[Turn]:
    return [rows.turn(connection, turn_id) for (turn_id,) in found.fetchall()]


def _said(turn: Turn, before: Turn | None, zone: tzinfo) -> tuple[Fact, ...]:
    assert turn.turn_id is not None
    at = datetime.fromtimestamp(turn.said_at, zone)
    same_talk = before is not None and before.conversation_id == turn.conversation_id
    previous = (before.turn_id, before.user_text) if same_talk and before and before.turn_id is not None else None
    return (
        *facts_said(turn.user_text, at, turn.turn_id),
        *beliefs_said(turn.user_text, at, turn.turn_id, previous=previous),
    )
