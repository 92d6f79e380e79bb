"""What a memory holds, for people who want to see it: who is known, and what is kept of whom. Reads only.

Facts are read by `memory.facts`, turns by the store; here is what nobody needs but a person who looks.
"""

import json
import sqlite3
from dataclasses import dataclass

from memory import rows
from memory.messages import Summary, Turn
from memory.store import MemoryStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Acquaintance:
    """A person and a character who know each other, and how much is kept of that. Times in seconds since 1970, None
    where nothing was said."""

    person: str
    character: str
    n_turns: int
    n_facts: int
    n_summaries: int
    first_at: float | None
    last_at: float | None


_KNOWN = """
    SELECT people.name, characters.name,
        (SELECT count(*) FROM turns WHERE person_id = people.id AND character_id = characters.id),
        (SELECT count(*) FROM facts WHERE person_id = people.id AND character_id = characters.id),
        (SELECT count(*) FROM summaries WHERE person_id = people.id AND character_id = characters.id),
        (SELECT min(said_at) FROM turns WHERE person_id = people.id AND character_id = characters.id),
        (SELECT max(said_at) FROM turns WHERE person_id = people.id AND character_id = characters.id)
    FROM (SELECT DISTINCT person_id, character_id FROM conversations) AS known
    JOIN people ON people.id = known.person_id JOIN characters ON characters.id = known.character_id
    ORDER BY people.name, characters.name
"""
_SUMMARIES = """
    SELECT id, first_turn_id, last_turn_id, text, made_at FROM summaries
    WHERE person_id = ? AND character_id = ? ORDER BY last_turn_id
"""
_THEIRS = """
    SELECT id FROM turns WHERE id IN (SELECT value FROM json_each(?)) AND person_id = ? AND character_id = ?
    ORDER BY id
"""


def acquaintances(
    store: MemoryStore, person: str | None = None, character: str | None = None
) -> tuple[Acquaintance, ...]:
    """Who knows whom, of this person or character or of all, in the order of their names."""
    found = store.read("look who is known", lambda connection: connection.execute(_KNOWN).fetchall())
    known = (
        Acquaintance(
            person=one,
            character=other,
            n_turns=n_turns,
            n_facts=n_facts,
            n_summaries=n_summaries,
            first_at=first_at,
            last_at=last_at,
        )
        for one, other, n_turns, n_facts, n_summaries, first_at, last_at in found
    )
    return tuple(each for each in known if person in (None, each.person) and character in (None, each.character))


def names(store: MemoryStore) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of all people, and of all characters, that are known."""

    def work(connection: sqlite3.Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
        people, characters = (
            tuple(name for (name,) in connection.execute(f"SELECT name FROM {table} ORDER BY name"))  # noqa: S608
            for table in ("people", "characters")
        )
        return people, characters

    return store.read("look who is known", work)


def summaries(store: MemoryStore, person: str, character: str) -> tuple[Summary, ...]:
    """What the episodes of this pair were about, oldest first."""

    def work(connection: sqlite3.Connection) -> tuple[Summary, ...]:
        pair = rows.find_pair(connection, person, character)
        found = connection.execute(_SUMMARIES, pair) if pair else ()
        return tuple(
            Summary(summary_id=number, first_turn_id=first, last_turn_id=last, text=text, made_at=made_at)
            for number, first, last, text, made_at in found
        )

    return store.read("read the summaries", work)


def turns(store: MemoryStore, person: str, character: str, turn_ids: tuple[int, ...]) -> tuple[Turn, ...]:
    """Those of these turns that are this pair's, in the order of their numbers."""

    def work(connection: sqlite3.Connection) -> tuple[Turn, ...]:
        pair = rows.find_pair(connection, person, character)
        found = connection.execute(_THEIRS, (json.dumps(turn_ids), *pair)).fetchall() if pair else ()
        return tuple(rows.turn(connection, number) for (number,) in found)

    return store.read("read turns", work)
