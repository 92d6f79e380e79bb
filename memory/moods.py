"""A character's mood over restarts, and what its body felt: two tables of numbers, functions over an open store.

A mood belongs to a character, whoever it is with; a stimulus names the person who was there, if anybody. What the
numbers mean is up to who computes them; here they are kept, one transaction for a mood and the stimuli since the last.
"""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import astuple, dataclass

from memory.errors import MemoryInputError
from memory.messages import Stimulus
from memory.store import MemoryStore
from memory.words import storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Mood:
    """What a character felt at `felt_at` (seconds since 1970): its mood, and an emotion as a step away from that."""

    pleasure: float
    arousal: float
    dominance: float
    emotion_pleasure: float
    emotion_arousal: float
    emotion_dominance: float
    felt_at: float


_LOAD = """
    SELECT pleasure, arousal, dominance, emotion_pleasure, emotion_arousal, emotion_dominance, felt_at
    FROM moods JOIN characters ON characters.id = moods.character_id WHERE characters.name = ?
"""
_SAVE = """
    INSERT OR REPLACE INTO moods (
        character_id, pleasure, arousal, dominance, emotion_pleasure, emotion_arousal, emotion_dominance, felt_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_STIMULI = """
    SELECT kind, strength, happened_at
    FROM stimuli JOIN characters ON characters.id = stimuli.character_id
    WHERE characters.name = ? ORDER BY stimuli.id DESC LIMIT ?
"""


def load_mood(store: MemoryStore, character: str) -> Mood | None:
    """The mood that was saved last of this character, None if none was."""

    def work(connection: sqlite3.Connection) -> Mood | None:
        row = connection.execute(_LOAD, (storable(character),)).fetchone()
        return Mood(**dict(zip(Mood.__slots__, row, strict=True))) if row else None

    return store.read("read the mood", work)


def save_mood(
    store: MemoryStore, character: str, mood: Mood, stimuli: Sequence[Stimulus] = (), person: str | None = None
) -> None:
    """Keep the mood in the place of the last one, and what the body felt since, with `person` there, if memory knows
    them: whoever was forgotten is not made known again by this.

    One transaction. Raises MemoryInputError for a name that is blank or a number that is none, and what
    `MemoryStore.write` raises.
    """
    numbers = (*astuple(mood), *(number for one in stimuli for number in (one.strength, one.happened_at)))
    if not character.strip() or not all(map(math.isfinite, numbers)):
        raise MemoryInputError("a mood needs a character with a name, and numbers")

    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO characters (name) VALUES (?)", (storable(character),))
        character_id = _id(connection, "SELECT id FROM characters WHERE name = ?", character)
        person_id = _id(connection, "SELECT id FROM people WHERE name = ?", person) if person else None
        connection.execute(_SAVE, (character_id, *astuple(mood)))
        connection.executemany(
            "INSERT INTO stimuli (character_id, person_id, kind, strength, happened_at) VALUES (?, ?, ?, ?, ?)",
            [(character_id, person_id, storable(one.kind), one.strength, one.happened_at) for one in stimuli],
        )

    store.write("store the mood", work)


def last_stimuli(store: MemoryStore, character: str, limit: int) -> tuple[Stimulus, ...]:
    """What this character's body felt last, at most `limit`, oldest first."""

    def work(connection: sqlite3.Connection) -> tuple[Stimulus, ...]:
        rows = connection.execute(_STIMULI, (storable(character), max(0, limit))).fetchall()
        return tuple(Stimulus(kind=kind, strength=strength, happened_at=at) for kind, strength, at in reversed(rows))

    return store.read("read what the body felt", work)


def _id(connection: sqlite3.Connection, query: str, name: str) -> int | None:
    row: tuple[int] | None = connection.execute(query, (storable(name),)).fetchone()
    return row[0] if row else None
