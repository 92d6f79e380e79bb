"""A memory of an older version is brought up to date with all that is in it, or left as it was."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memory import schema
from memory.errors import MemoryStoreError
from memory.schema import APPLICATION_ID, SCHEMA_VERSION
from memory.store import MemoryStore
from tests.memory.making import index_terms, recall, remember

# The statements of version 1 as they were released: the schema module may change them no more than this file.
VERSION_1 = """
CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE characters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY,
    person_id INTEGER NOT NULL REFERENCES people(id),
    character_id INTEGER NOT NULL REFERENCES characters(id),
    UNIQUE (id, person_id, character_id)
) STRICT;
CREATE INDEX conversations_by_pair ON conversations (person_id, character_id);
CREATE TABLE turns (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    conversation_id INTEGER NOT NULL,
    person_id INTEGER NOT NULL,
    character_id INTEGER NOT NULL,
    user_text TEXT NOT NULL,
    reply_text TEXT NOT NULL,
    said_at REAL NOT NULL,
    interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
    FOREIGN KEY (conversation_id, person_id, character_id) REFERENCES conversations (id, person_id, character_id)
) STRICT;
CREATE INDEX turns_by_pair ON turns (person_id, character_id);
CREATE INDEX turns_by_conversation ON turns (conversation_id);
CREATE VIRTUAL TABLE utterances USING fts5(speaker, body, previous, next, content='',
    tokenize='porter unicode61 remove_diacritics 2');
CREATE TABLE _sqlite_migrations (
    id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT
);
CREATE UNIQUE INDEX idx__sqlite_migrations_migration_set_name ON _sqlite_migrations (migration_set, name);
INSERT INTO _sqlite_migrations VALUES (1, 'familiar.memory', 'version_1', '2026-01-01 00:00:00+00:00');
INSERT INTO people VALUES (1, 'Anna');
INSERT INTO characters VALUES (1, 'Luna');
INSERT INTO conversations VALUES (1, 1, 1);
INSERT INTO turns VALUES (1, 1, 1, 1, 'I have a green dragon', 'How nice', 1.7e9, 0);
INSERT INTO turns VALUES (2, 1, 1, 1, 'He eats porridge', '', 1.7e9, 1);
INSERT INTO utterances(rowid, speaker, body, previous, next) VALUES
    (2, 'Anna', 'I have a green dragon', '', 'How nice'),
    (3, 'Luna', 'How nice', 'I have a green dragon', 'He eats porridge'),
    (4, 'Anna', 'He eats porridge', 'How nice', '');
PRAGMA user_version = 1;
"""


def _version_1(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"PRAGMA journal_mode = WAL; PRAGMA application_id = {APPLICATION_ID}; {VERSION_1}")


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_a_memory_of_version_1_is_brought_up_to_date_with_all_that_is_in_it(tmp_path: Path) -> None:
    path, fresh = tmp_path / "memory.db", tmp_path / "fresh.db"
    _version_1(path)
    with MemoryStore(path) as store:
        first, second = store.last_turns("Anna", "Luna", 9)
        assert (first.user_text, second.user_text, second.interrupted) == (
            "I have a green dragon",
            "He eats porridge",
            True,
        )
        assert recall(store, "Anna", "Luna", "a dragon", 5)[0].turn == first
        third = remember(store, "and honey", conversation_id=store.open_conversation("Anna", "Luna"))
        assert third.turn_id == 3
        assert store.notice is None
    assert _version(path) == SCHEMA_VERSION
    with MemoryStore(fresh) as store:
        for turn in (first, second, third):
            remember(store, turn.user_text, turn.reply_text)
    assert index_terms(path) == index_terms(fresh)


def test_an_old_memory_has_the_tables_of_a_new_one(tmp_path: Path) -> None:
    old, new = tmp_path / "old.db", tmp_path / "new.db"
    _version_1(old)
    tables = []
    for path in (old, new):
        MemoryStore(path).close()
        with closing(sqlite3.connect(path)) as connection:
            names = "SELECT name, type FROM sqlite_master WHERE name NOT LIKE '%sqlite%' ORDER BY name"
            tables.append(connection.execute(names).fetchall())
    assert tables[0] == tables[1]


def test_a_migration_that_fails_leaves_the_old_version_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "memory.db"
    _version_1(path)
    with monkeypatch.context() as failing:
        failing.setattr(schema, "_TABLES_2", (*schema._TABLES_2, "CREATE TABLE turns (twice)"))
        with pytest.raises(MemoryStoreError, match="cannot open the memory"):
            MemoryStore(path)
    assert _version(path) == 1
    with MemoryStore(path) as store:
        assert len(store.last_turns("Anna", "Luna", 9)) == 2
