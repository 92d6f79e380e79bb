"""A memory with something in every table, for tests of what goes over all of them."""

import sqlite3
from pathlib import Path

from memory.messages import Turn
from memory.store import MemoryStore
from tests.memory.making import remember

STARTED_AT = 1_700_000_000.0
HOUR_S = 3600.0

SAID = (
    ("Anna", "Luna", "My kitten Schnurri wears a red mitten", "Kittens sparkle"),
    ("Anna", "Luna", "We were flying to Zanzibar with my brother Quentin", "What a journey"),
    ("Anna", "Luna", "My brother Quentin lost his xylophones", "Oh no, poor Quentin"),
    ("Anna", "Rex", "The xylophones were found by Schnurri", "Woof"),
    ("Ben", "Luna", "I am afraid of thunderstorms", "I hold your hand"),
    ("Ben", "Luna", "Do you like marmalade", "With toast"),
)
"""Who said what to whom, an hour apart."""


def embedding_of(utterance_id: int) -> bytes:
    """Bytes that stand nowhere else."""
    return f"<embedding {utterance_id:07d}>".encode() * 4


def fill(store: MemoryStore) -> tuple[Turn, ...]:
    """Remember SAID, and with it everything that can be made of it. Returns the turns, with ids from 1 on."""
    turns = tuple(
        remember(store, said, heard, person=person, character=character, said_at=STARTED_AT + number * HOUR_S)
        for number, (person, character, said, heard) in enumerate(SAID)
    )
    store.write("fill", lambda connection: _derive(connection, turns))
    return turns


def _derive(connection: sqlite3.Connection, turns: tuple[Turn, ...]) -> None:
    connection.execute("INSERT INTO encoders VALUES (1, 'encoder-1')")
    for turn in turns:
        assert turn.turn_id is not None
        for utterance_id in (2 * turn.turn_id, 2 * turn.turn_id + 1):
            meaning = (utterance_id, embedding_of(utterance_id), bytes(range(28)))
            connection.execute("INSERT INTO meanings VALUES (?, 1, ?, ?, 0.5)", meaning)
        connection.execute("INSERT INTO recalls VALUES (?, 2, ?)", (turn.turn_id, turn.said_at + 60))
    for number, person, character, fact, of_turns in (
        (1, "Anna", "Luna", ("speaker", "pet", "kitten called Schnurri"), (1,)),
        (2, "Anna", "Luna", ("speaker", "people", "brother called Quentin"), (2, 3)),
        (3, "Ben", "Luna", ("speaker", "fears", "thunderstorms"), (5,)),
        (4, "Ben", "Luna", ("father", "likes", "rhubarb compote"), ()),
    ):
        connection.execute(
            "INSERT INTO facts (id, person_id, character_id, subject, relation, object, day, valid_from, recorded_from,"
            " source) SELECT ?, people.id, characters.id, ?, ?, ?, '04-01', 1.5, ?, 'rule' FROM people, characters"
            " WHERE people.name = ? AND characters.name = ?",
            (number, *fact, STARTED_AT, person, character),
        )
        connection.executemany("INSERT INTO fact_turns VALUES (?, ?)", [(number, turn_id) for turn_id in of_turns])
    for person_id, character_id, first, last, text in (
        (1, 1, 1, 2, "The kitten flew to Zanzibar"),
        (2, 1, 5, 6, "Of thunder and marmalade"),
    ):
        connection.execute(
            "INSERT INTO summaries (person_id, character_id, first_turn_id, last_turn_id, text, made_at)"
            " VALUES (?, ?, ?, ?, ?, 2e9)",
            (person_id, character_id, first, last, text),
        )
        connection.execute("INSERT INTO progress VALUES ('summaries', ?, ?, ?)", (person_id, character_id, last))
    connection.execute("INSERT INTO stimuli VALUES (1, 1, 1, 'tickled', 0.5, ?)", (STARTED_AT + 60,))
    connection.execute("INSERT INTO stimuli VALUES (2, 1, NULL, 'darkness', 1.0, ?)", (STARTED_AT + 2 * HOUR_S,))
    connection.execute("INSERT INTO moods VALUES (1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, ?)", (STARTED_AT,))


def all_bytes(folder: Path) -> bytes:
    """All that the files of this folder hold, lower case, one after the other."""
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()).lower()


def contents(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table but the index's own, by table."""
    connection = sqlite3.connect(path)
    try:
        tables = [
            name
            for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            if not name.startswith(("utterances", "sqlite_", "_sqlite"))
        ]
        return {name: sorted(connection.execute(f"SELECT * FROM {name}"), key=repr) for name in tables}
    finally:
        connection.close()
