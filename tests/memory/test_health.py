"""A memory that is sound is told to be, and of one that is not it is told what is wrong and how to mend it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memory import overview
from memory.errors import MemoryFormatError
from memory.forgetting import forget
from memory.health import verify
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.filling import HOUR_S, STARTED_AT, all_bytes, fill
from tests.memory.making import recall, remember


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    return path


def tampered(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_sound_memory_has_no_troubles(path: Path) -> None:
    assert verify(path) == ()


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("INSERT INTO utterances(rowid, body) VALUES (8, 'a ghost')", "index is not that of the turns"),
        ("INSERT INTO utterances(utterances) VALUES ('delete-all')", "index is not that of the turns"),
        ("DELETE FROM utterances_data WHERE id > 10", "index is not that of the turns"),
        ("INSERT INTO meanings VALUES (998, 1, x'00', x'00', 0.5)", "1 meanings are of turns that are not there"),
    ],
)
def test_what_can_be_mended_is_mended(path: Path, statement: str, told: str) -> None:
    tampered(path, statement)
    (trouble,) = verify(path)
    assert told in trouble.what
    assert "--repair" in trouble.mend
    assert not trouble.is_loss
    assert verify(path, repair=True) == ()
    assert verify(path) == ()
    with MemoryStore(path) as store:
        assert recall(store, "Anna", "Luna", "red mitten", 5)


def test_what_cannot_be_mended_is_told(path: Path) -> None:
    tampered(path, "DELETE FROM people WHERE name = 'Ben'")
    (trouble,) = verify(path, repair=True)
    assert "rows refer to something that is not there" in trouble.what
    assert trouble.is_loss


def test_a_damaged_file_is_told_and_left_where_it_is(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 40960)
    damaged = path.read_bytes()
    (trouble,) = verify(path)
    assert trouble.is_loss
    assert "is damaged" in trouble.what
    assert path.read_bytes() == damaged
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]
    path.with_name("memory.corrupt-20260101T000000.000000Z.db").touch()
    assert [told.what.partition(" ")[0] for told in verify(path)] == [
        str(path),
        "memory.corrupt-20260101T000000.000000Z.db",
    ]


def test_another_programs_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    tampered(path, "CREATE TABLE bookmarks (url)")
    with pytest.raises(MemoryFormatError):
        verify(path)


def test_looking_completes_a_wiping_and_names_copies(path: Path) -> None:
    with MemoryStore(path) as store:
        forget(store, Selection(person="Anna"))
    copy = path.with_name("memory.corrupt-20260101T000000.000000Z.db")
    copy.touch()
    (trouble,) = verify(path)
    assert trouble.what.startswith(copy.name)
    assert b"xylophon" not in all_bytes(path.parent)


def test_who_is_known_is_told_with_what_is_kept(path: Path) -> None:
    with MemoryStore(path) as store:
        store.open_conversation("Zoe", "Luna")
        found = overview.acquaintances(store)
        assert [(one.person, one.character, one.n_turns, one.n_facts, one.n_summaries) for one in found] == [
            ("Anna", "Luna", 3, 2, 1),
            ("Anna", "Rex", 1, 0, 0),
            ("Ben", "Luna", 2, 2, 1),
            ("Zoe", "Luna", 0, 0, 0),
        ]
        assert (found[0].first_at, found[0].last_at) == (STARTED_AT, STARTED_AT + 2 * HOUR_S)
        assert found[3].first_at is None
        assert [one.character for one in overview.acquaintances(store, person="Anna")] == ["Luna", "Rex"]
        assert overview.names(store) == (("Anna", "Ben", "Zoe"), ("Luna", "Rex"))
        assert [each.text for each in overview.summaries(store, "Ben", "Luna")] == ["Of thunder and marmalade"]
        assert overview.summaries(store, "Nobody", "Luna") == ()
        turn = remember(store, "hello")
        assert turn.turn_id is not None
        assert overview.turns(store, "Anna", "Luna", (turn.turn_id, turn.turn_id)) == (turn,)
        assert overview.turns(store, "Ben", "Luna", (turn.turn_id, 5)) == store.last_turns("Ben", "Luna", 2)[:1]
        assert overview.turns(store, "Nobody", "Luna", (turn.turn_id,)) == ()
