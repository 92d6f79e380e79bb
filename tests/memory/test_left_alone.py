"""A damaged file that others have open, or that somebody only looks at, and a file that is taken away while it is open.

What a store does with damage that is its own to deal with is in `test_durability` and `test_damage`.
"""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from memory import database
from memory.errors import MemoryBusyError, MemoryDamagedError
from memory.exchange import export
from memory.store import MemoryStore
from tests.memory.filling import fill
from tests.memory.making import remember


def _garble(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(5_000))


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garble_one_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096)
        file.write(b"\xff" * 4096)


def _garble_pages_but_the_first(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [_garble, _cut_short, _garble_one_page])
def test_who_only_looks_is_told_of_damage_and_leaves_the_file(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"my secret {n}", "word " * 200)
    damage(path)
    damaged = path.read_bytes()
    with pytest.raises(MemoryDamagedError, match="was left as it is"):
        MemoryStore(path, begins_anew=False)
    assert path.read_bytes() == damaged
    assert not list(tmp_path.glob("memory.corrupt-*"))


def test_who_only_looks_is_told_of_damage_that_shows_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", 0)
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"my secret {n}", "word " * 200)
    with closing(sqlite3.connect(path)) as connection:
        (number,) = connection.execute("SELECT max(pageno) FROM dbstat WHERE name = 'turns'").fetchone()
    with path.open("r+b") as file:
        file.seek(4096 * (number - 1))
        file.write(b"\xff" * 4096)
    with MemoryStore(path, begins_anew=False) as store:
        for _ in range(2):
            with pytest.raises(MemoryDamagedError, match="was left as it is"):
                store.last_turns("Anna", "Luna", 99)
    assert [entry.name for entry in tmp_path.glob("memory*.db")] == ["memory.db"]


_COMPANION = """
import sys
from pathlib import Path
from memory.store import MemoryStore
store = MemoryStore(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""


@contextmanager
def _companion(path: Path) -> Iterator[None]:
    """Another program that has the memory open."""
    command = [sys.executable, "-c", _COMPANION, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        try:
            yield
        finally:
            process.communicate()


def test_a_damaged_file_is_not_taken_from_under_another_program(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"my secret {n}", "word " * 200)
    with _companion(path):
        _garble_pages_but_the_first(path)
        with pytest.raises(MemoryDamagedError, match="another program has it open"):
            MemoryStore(path)
        assert not list(tmp_path.glob("memory.corrupt-*"))
    with MemoryStore(path) as store:
        assert remember(store, "we go on").turn_id == 1
    assert len(list(tmp_path.glob("memory.corrupt-*Z.db"))) == 1


def test_damage_in_the_middle_waits_for_another_program_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", 0)
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"my secret {n}", "word " * 200)
        conversation = store.open_conversation("Anna", "Luna")
        with _companion(path):
            store.read("empty the log", lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
            store.close()
            _garble_pages_but_the_first(path)
            store._connection = None
            for _ in range(2):
                with pytest.raises(MemoryDamagedError, match="another program has it open"):
                    remember(store, "now", conversation_id=conversation)
        turn = remember(store, "now", conversation_id=conversation)
        assert store.last_turns("Anna", "Luna", 9) == (turn,)


def _rename(path: Path) -> None:
    path.rename(path.with_name("elsewhere.db"))


def _remove(path: Path) -> None:
    path.unlink()


def _replace(path: Path) -> None:
    with MemoryStore(path.with_name("back-up.db")) as store:
        remember(store, "of the back-up")
    path.with_name("back-up.db").replace(path)


@pytest.mark.parametrize("move", [_rename, _remove, _replace])
def test_what_is_acknowledged_is_under_the_name_even_if_the_file_is_taken_away(
    tmp_path: Path, move: Callable[[Path], None]
) -> None:
    path = tmp_path / "memory.db"
    there = ["of the back-up"] if move is _replace else []
    with MemoryStore(path) as store:
        remember(store, "before")
        conversation = store.open_conversation("Anna", "Luna")
        move(path)
        turn = remember(store, "after", conversation_id=conversation)
        assert store.notice is not None
        assert "was renamed or removed while it was open" in store.notice
        assert [each.user_text for each in store.last_turns("Anna", "Luna", 9)] == [*there, "after"]
        store.notice = None
        assert remember(store, "later").turn_id == (turn.turn_id or 0) + 1
        assert store.notice is None
        with MemoryStore(path) as other:
            assert [each.user_text for each in other.last_turns("Anna", "Luna", 9)] == [*there, "after", "later"]
    with MemoryStore(path) as store:
        assert [each.user_text for each in store.last_turns("Anna", "Luna", 9)] == [*there, "after", "later"]
    if move is _rename:
        with MemoryStore(tmp_path / "elsewhere.db") as store:
            assert store.last_turns("Anna", "Luna", 9)[0].user_text == "before"


def test_a_command_whose_file_is_taken_away_says_so(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path, begins_anew=False) as store:
        remember(store, "before")
        _rename(path)
        with pytest.raises(MemoryBusyError, match="was just renamed or removed"):
            remember(store, "after")
    assert not path.exists()


def test_a_damaged_memory_replaces_no_good_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", 0)
    path, out = tmp_path / "memory.db", tmp_path / "out.json"
    with MemoryStore(path) as store:
        fill(store)
        export(store, out)
        pages = "SELECT pageno FROM dbstat WHERE name = 'summaries'"
        (number,) = store.read("look", lambda connection: connection.execute(pages).fetchone())
    good = out.read_bytes()
    with path.open("r+b") as file:
        file.seek(4096 * (number - 1))
        file.write(b"\xff" * 4096)
    with MemoryStore(path) as store, pytest.raises(MemoryDamagedError, match="nothing is exported"):
        export(store, out)
    assert out.read_bytes() == good
    assert not list(tmp_path.glob(".out*"))
