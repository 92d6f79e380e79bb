"""The SQL of people, characters, conversations and turns. Each function works in the transaction its caller has begun.

A pair, the ids of a person and a character, is what every question is about: there is no query for anything wider but
`all_turns`, from which the index is rebuilt.
"""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace

from memory import index
from memory.errors import MemoryInputError
from memory.messages import Turn
from memory.times import is_on_calendar
from memory.words import storable

Pair = tuple[int, int]
"""The row ids of a person and of a character."""

_TURNS = """
    SELECT turns.id, turns.conversation_id, people.name, characters.name, user_text, reply_text, said_at, interrupted
    FROM turns JOIN people ON people.id = turns.person_id JOIN characters ON characters.id = turns.character_id
"""
_ADD_TURN = """
    INSERT INTO turns (conversation_id, person_id, character_id, user_text, reply_text, said_at, interrupted)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""


def find_pair(connection: sqlite3.Connection, person: str, character: str) -> Pair | None:
    """The pair of these two names, or None if one of them was never met."""
    found: Pair | None = connection.execute(
        "SELECT people.id, characters.id FROM people, characters WHERE people.name = ? AND characters.name = ?",
        (storable(person), storable(character)),
    ).fetchone()
    return found


def ensure_pair(connection: sqlite3.Connection, person: str, character: str) -> Pair:
    """The pair of these two names, made known if it was not. Raises MemoryInputError if one is blank."""
    if not person.strip() or not character.strip():
        raise MemoryInputError("a person or a character has no name; name both before something is remembered")
    pair = find_pair(connection, person, character)
    if pair is None:
        connection.execute("INSERT OR IGNORE INTO people (name) VALUES (?)", (storable(person),))
        connection.execute("INSERT OR IGNORE INTO characters (name) VALUES (?)", (storable(character),))
        pair = find_pair(connection, person, character)
    assert pair is not None
    return pair


def newest_conversation(connection: sqlite3.Connection, pair: Pair) -> int | None:
    """The id of this pair's newest conversation."""
    newest = "SELECT max(id) FROM conversations WHERE person_id = ? AND character_id = ?"
    found: int | None = connection.execute(newest, pair).fetchone()[0]
    return found


def add_conversation(connection: sqlite3.Connection, pair: Pair) -> int:
    """The id of a new conversation of this pair."""
    row = connection.execute("INSERT INTO conversations (person_id, character_id) VALUES (?, ?)", pair).lastrowid
    assert row is not None
    return row


def readopt_conversation(connection: sqlite3.Connection, conversation_id: int, pair: Pair) -> None:
    """Make known, under the id it had, a conversation that was opened in a file set aside since."""
    known = "INSERT OR IGNORE INTO conversations (id, person_id, character_id) VALUES (?, ?, ?)"
    connection.execute(known, (conversation_id, *pair))


def add_turn(connection: sqlite3.Connection, pair: Pair, turn: Turn) -> Turn:
    """Append a turn to its conversation and to the index; returns it with its id. Raises MemoryInputError if it was
    said at no time that a calendar has: whatever counts days would stumble over it ever after."""
    if not is_on_calendar(turn.said_at):
        raise MemoryInputError(f"a turn cannot be said at {turn.said_at}; give the time since 1970 in seconds")
    newest = f"{_TURNS} WHERE turns.conversation_id = ? ORDER BY turns.id DESC LIMIT 1"
    before = next(_turns(connection.execute(newest, (turn.conversation_id,))), None)
    values = (turn.conversation_id, *pair, turn.user_text, turn.reply_text, turn.said_at, turn.interrupted)
    committed = replace(turn, turn_id=connection.execute(_ADD_TURN, values).lastrowid)
    index.add(connection, committed, before)
    return committed


def last_turns(connection: sqlite3.Connection, pair: Pair, limit: int) -> tuple[Turn, ...]:
    """The newest turns of this pair over all its conversations, oldest first."""
    newest = f"{_TURNS} WHERE turns.person_id = ? AND turns.character_id = ? ORDER BY turns.id DESC LIMIT ?"
    return tuple(_turns(connection.execute(newest, (*pair, limit))))[::-1]


def newest_turn_id(connection: sqlite3.Connection, pair: Pair, *, skip: int) -> int | None:
    """The id of the newest turn of this pair but `skip`, or None if there are no more."""
    newest = "SELECT id FROM turns WHERE person_id = ? AND character_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?"
    found: tuple[int] | None = connection.execute(newest, (*pair, skip)).fetchone()
    return found[0] if found else None


def turn(connection: sqlite3.Connection, turn_id: int) -> Turn:
    """The turn of this id. Raises MemoryInputError if there is none: another program may just have forgotten it."""
    found = next(_turns(connection.execute(f"{_TURNS} WHERE turns.id = ?", (turn_id,))), None)
    if found is None:
        raise MemoryInputError(f"turn {turn_id} is not there any more; ask again")
    return found


def all_turns(connection: sqlite3.Connection) -> Iterator[Turn]:
    """Every turn, conversation after conversation, oldest first. For the index only: it mixes people."""
    return _turns(connection.execute(f"{_TURNS} ORDER BY turns.conversation_id, turns.id"))


def _turns(cursor: sqlite3.Cursor) -> Iterator[Turn]:
    for turn_id, conversation_id, person, character, user_text, reply_text, said_at, interrupted in cursor:
        yield Turn(
            turn_id=turn_id,
            conversation_id=conversation_id,
            person=person,
            character=character,
            user_text=user_text,
            reply_text=reply_text,
            said_at=said_at,
            interrupted=bool(interrupted),
        )
