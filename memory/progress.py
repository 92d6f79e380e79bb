"""How far each kind of work in idle time has come, for one pair: up to which turn. Within the caller's transaction."""

import sqlite3

from memory.rows import Pair

_DONE = "SELECT turn_id FROM progress WHERE work = ? AND person_id = ? AND character_id = ?"
_ADVANCE = """
    INSERT INTO progress (work, person_id, character_id, turn_id) VALUES (?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET turn_id = max(turn_id, excluded.turn_id)
"""


def done_up_to(connection: sqlite3.Connection, work: str, pair: Pair) -> int:
    """The newest turn that `work` is done with; 0 before the first."""
    row = connection.execute(_DONE, (work, *pair)).fetchone()
    return int(row[0]) if row else 0


def advance(connection: sqlite3.Connection, work: str, pair: Pair, turn_id: int) -> None:
    """`work` is done up to `turn_id`; it never goes back."""
    connection.execute(_ADVANCE, (work, *pair, turn_id))
