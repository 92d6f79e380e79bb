"""Putting turns that came in later among those that were there, by giving them and what follows them new numbers.

A turn's number tells its place: the newest has the highest. Numbers are never given twice, so everything from the first
misplaced turn on moves above all numbers there ever were, with whatever refers to it. The full-text index is left to
the caller. Works in the caller's transaction.
"""

import sqlite3
from collections.abc import Collection
from itertools import takewhile

from memory.rows import Pair

_REFERENCES = (
    ("turns", "id"),
    ("recalls", "turn_id"),
    ("fact_turns", "turn_id"),
    ("summaries", "first_turn_id"),
    ("summaries", "last_turn_id"),
)
_UNINDEXED = ("first_turn_id", "last_turn_id")


def put_in_order(connection: sqlite3.Connection, pair: Pair, added: Collection[int]) -> dict[int, int]:
    """Put those turns of the pair whose numbers are `added` among its others, by the time they were said.

    Both keep the order they have among themselves, whatever their clocks said. Returns the new numbers of those that
    have one, by the old.
    """
    turns = connection.execute(
        "SELECT id, said_at FROM turns WHERE person_id = ? AND character_id = ? ORDER BY id", pair
    ).fetchall()
    numbers = [number for number, _ in turns]
    ordered = _merged(
        [(said_at, number) for number, said_at in turns if number not in added],
        [(said_at, number) for number, said_at in turns if number in added],
    )
    n_in_place = sum(1 for _ in takewhile(lambda two: two[0] == two[1], zip(numbers, ordered, strict=True)))
    if n_in_place == len(numbers):
        return {}
    (highest,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'turns'").fetchone()
    renumbered = [(highest + place, number) for place, number in enumerate(ordered[n_in_place:], start=1)]
    connection.execute("PRAGMA defer_foreign_keys = ON")
    # Else SQLite reads all summaries for every turn that moves: 40 s where 20,000 turns meet as many, with these 3.
    for column in _UNINDEXED:
        connection.execute(f"CREATE INDEX renumbering_by_{column} ON summaries ({column})")
    for table, column in _REFERENCES:
        connection.executemany(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", renumbered)  # noqa: S608
    for column in _UNINDEXED:
        connection.execute(f"DROP INDEX renumbering_by_{column}")
    connection.executemany(
        "UPDATE meanings SET utterance_id = ? WHERE utterance_id = ?",
        [(2 * new + side, 2 * old + side) for new, old in renumbered for side in (0, 1)],
    )
    connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = 'turns'", (highest + len(renumbered),))
    # Work in idle time goes over what moved once more: some of it is new.
    last_in_place = numbers[n_in_place - 1] if n_in_place else 0
    connection.execute(
        "UPDATE progress SET turn_id = min(turn_id, ?) WHERE person_id = ? AND character_id = ?", (last_in_place, *pair)
    )
    return {old: new for new, old in renumbered}


def _merged(these: list[tuple[float, int]], those: list[tuple[float, int]]) -> list[int]:
    """The numbers of both in the order of time; the first of each is compared, so that neither's own order changes."""
    merged: list[int] = []
    left, right = these[::-1], those[::-1]
    while left and right:
        merged.append((left if left[-1][0] <= right[-1][0] else right).pop()[1])
    return merged + [number for _, number in reversed(left or right)]
