"""Retention: turns leave when they have become older than somebody wants to keep them.

`leave` takes out the oldest, some at a time, with everything that `memory.forgetting` takes out with a turn; the caller
(sleep, or a start) calls it until nothing is left to leave, and `forgetting.wipe` once at the end. Age is counted by
when a turn was said. A clock that runs behind, as on a board without a battery, lets nothing leave; one that runs far
ahead would let everything leave, so call it only with a clock that has been set.

A fact leaves with the last turn it was learned from: what is known without anybody having said it could be neither
explained nor doubted. Damaged copies that were set aside leave whole, by the time in their names: nobody can tell what
is in them. With `keep_cited` it is the other way round: turns that something still believed was learned from
stay, however old, so that a name is not forgotten on a birthday.
"""

from memory.forgetting import Forgotten, forget, remove_copies
from memory.selecting import Selection
from memory.store import MemoryStore

STEP_TURNS = 100
"""Turns that leave in one transaction: some 50 ms on a desktop core, during which nobody else can write."""

_OLD = "SELECT id FROM turns WHERE said_at < ? ORDER BY id LIMIT ?"
_OLD_UNCITED = """
    SELECT id FROM turns WHERE said_at < ? AND NOT EXISTS (
        SELECT 1 FROM fact_turns JOIN facts ON facts.id = fact_turns.fact_id
        WHERE fact_turns.turn_id = turns.id AND facts.recorded_to IS NULL
    ) ORDER BY id LIMIT ?
"""
_OLD_STIMULI = "DELETE FROM stimuli WHERE happened_at < ?"


def leave(store: MemoryStore, before: float, *, keep_cited: bool, limit: int = STEP_TURNS) -> Forgotten:
    """Let the oldest turns said before this time (seconds since 1970, UTC) leave, at most `limit`. With the last of
    them, what the body felt until then leaves too, and copies that were set aside before. Nothing is left to leave when
    the answer `is_nothing`. Raises MemoryAccessError where a copy cannot be removed, and what a store raises."""
    which = _OLD_UNCITED if keep_cited else _OLD
    ids = store.read(
        "look for old turns",
        lambda connection: tuple(number for (number,) in connection.execute(which, (before, limit))),
    )
    if ids:
        return forget(store, Selection(turn_ids=ids))
    remove_copies(store.path, before)
    if keep_cited:
        felt = store.write("forget", lambda connection: connection.execute(_OLD_STIMULI, (before,)).rowcount)
        return Forgotten(stimuli=felt)
    # No turn is left of that time: this is for what the body felt, and for facts that no turn supports.
    return forget(store, Selection(until=before))
