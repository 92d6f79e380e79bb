"""What was acknowledged is there whatever happens: a full disk, a damaged file, no permission, versions."""

import logging
import os
import random
import resource
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memory import database
from memory.errors import MemoryAccessError, MemoryBusyError, MemoryFormatError, MemoryFullError, MemoryStoreError
from memory.schema import SCHEMA_VERSION
from memory.sleep import take_step
from memory.store import MemoryStore
from tests.memory.making import recall, remember


def _garble(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(5_000))


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _garble_one_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 4096)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize("damage", [_garble, _cut_short, _garble_one_page])
def test_a_damaged_file_is_set_aside_loudly_and_an_empty_memory_begins(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[Path], None]
) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"my secret {n}", "word " * 200)
    damage(path)
    damaged = path.read_bytes()
    with MemoryStore(path) as store:
        (aside,) = tmp_path.glob("memory.corrupt-*Z.db")
        assert store.notice is not None
        assert aside.name in store.notice
        assert [(record.levelno, record.message) for record in caplog.records] == [(logging.WARNING, store.notice)]
        assert "secret" not in caplog.text
        assert store.last_turns("Anna", "Luna", 99) == ()
        remember(store, "we go on")
    assert aside.read_bytes() == damaged
    with MemoryStore(path) as store:
        assert [turn.user_text for turn in store.last_turns("Anna", "Luna", 99)] == ["we go on"]
        assert store.notice is None


def test_damage_in_the_middle_of_a_conversation_does_not_stop_it(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(20):
            remember(store, f"before {n}", "word " * 200)
        conversation = store.open_conversation("Anna", "Luna")
        with closing(sqlite3.connect(path)) as other:  # its commit makes the store read pages anew
            other.execute("INSERT INTO people (name) VALUES ('Zoe')")
            other.commit()
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        _garble_pages_but_the_first(path)
        turn = remember(store, "after", conversation_id=conversation)
        assert store.notice is not None
        assert store.last_turns("Anna", "Luna", 9) == (turn,)
        assert store.open_conversation("Anna", "Luna") == conversation
    assert len(list(tmp_path.glob("memory.corrupt-*Z.db"))) == 1
    with MemoryStore(path) as store:
        assert store.last_turns("Anna", "Luna", 9) == (turn,)


def test_a_place_without_a_write_ahead_log_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "memory.db"
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def connect_without_shared_memory(name: Path, **settings: Any) -> sqlite3.Connection:
        return connect(f"file:{name}?vfs=unix-none", uri=True, **settings)

    monkeypatch.setattr(sqlite3, "connect", connect_without_shared_memory)
    with MemoryStore(path) as store:
        remember(store, "hello")
        assert store.notice is not None
        assert "no write-ahead log" in store.notice
        assert [record.message for record in caplog.records] == [store.notice]
    monkeypatch.undo()
    with MemoryStore(path) as store:
        assert [turn.user_text for turn in store.last_turns("Anna", "Luna", 9)] == ["hello"]
        assert store.notice is None


def _garble_pages_but_the_first(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def test_a_damaged_index_is_rebuilt_and_no_turn_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(5):
            remember(store, f"dragon number {n}", "Roar")
        before = recall(store, "Anna", "Luna", "dragons", 9)
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE utterances_data SET block = x'ffffffffffffffff' WHERE id > 1")
            other.commit()
        assert recall(store, "Anna", "Luna", "dragons", 9) == before
        assert store.notice is not None
        assert "rebuilt" in store.notice
        assert len(store.last_turns("Anna", "Luna", 9)) == len(before) == 5
    assert list(tmp_path.glob("memory.corrupt-*")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_refuses_the_turn_and_takes_it_once_there_is_space(tmp_path: Path) -> None:
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(tmp_path)], check=False)
    if mounted.returncode:
        pytest.skip("this machine allows no mounts")
    try:
        with MemoryStore(tmp_path / "memory.db") as store:
            first = remember(store, "first")
            ballast = tmp_path / "ballast"
            with pytest.raises(OSError, match="No space left"):
                ballast.write_bytes(bytes(1 << 20))
            with pytest.raises(MemoryFullError, match="no space is left"):
                remember(store, "second " * 2_000)
            assert store.last_turns("Anna", "Luna", 9) == (first,)
            assert [each.turn for each in recall(store, "Anna", "Luna", "first", 9)] == [first]
            ballast.unlink()
            second = remember(store, "second " * 2_000)
            assert store.last_turns("Anna", "Luna", 9) == (first, second)
            assert store.notice is None
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_failed_write_refuses_the_turn_and_takes_it_once_writing_works(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        first = remember(store, "first")
        with _files_no_larger_than(Path(f"{path}-wal").stat().st_size + 100):
            with pytest.raises(MemoryStoreError, match=r"cannot store a turn in .*memory\.db"):
                remember(store, "second " * 2_000)
            assert store.last_turns("Anna", "Luna", 9) == (first,)
        second = remember(store, "second " * 2_000)
        assert store.last_turns("Anna", "Luna", 9) == (first, second)


def test_a_sleep_that_cannot_be_written_changes_nothing_and_is_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    at = datetime.fromtimestamp(1_700_100_000, UTC)
    with MemoryStore(path) as store:
        for n in range(30):
            remember(store, f"I saw {n} red kites above the lake.", said_at=1_700_000_000.0 + 3600 * n)
        with _files_no_larger_than(Path(f"{path}-wal").stat().st_size + 100):
            with pytest.raises(MemoryStoreError, match=r"cannot put memories in order in .*memory\.db"):
                take_step(store, at)
            assert _count(path, "summaries") == _count(path, "progress") == 0
        while take_step(store, at):
            pass
    assert _count(path, "summaries") == 30


def _count(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


@contextmanager
def _files_no_larger_than(n_bytes: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_file_or_directory_that_cannot_be_written_is_said_at_the_start() -> None:
    with tempfile.TemporaryDirectory() as name, _as_an_ordinary_user(Path(name)):
        directory = Path(name) / "state"
        path = directory / "memory.db"
        with MemoryStore(path) as store:
            remember(store, "hello")
        path.chmod(0o400)
        with pytest.raises(MemoryAccessError, match=r"memory\.db: Permission denied; make .* writable"):
            MemoryStore(path)
        path.chmod(0o600)
        directory.chmod(0o500)
        with pytest.raises(MemoryAccessError, match=r"memory\.db.*writable"):
            MemoryStore(path)
        with pytest.raises(MemoryAccessError, match=r"other\.db: Permission denied"):
            MemoryStore(directory / "other.db")
        directory.chmod(0o700)
        path.write_bytes(b"damaged" * 1000)
        directory.chmod(0o500)
        with pytest.raises(MemoryAccessError, match=r"is damaged and could not be renamed .* writable"):
            MemoryStore(path)
        directory.chmod(0o700)
        with pytest.raises(MemoryAccessError, match="Is a directory"):
            MemoryStore(directory)


@contextmanager
def _as_an_ordinary_user(directory: Path) -> Iterator[None]:
    """Root may write everywhere: become nobody for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(directory, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_memory_of_a_newer_version_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    MemoryStore(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(MemoryFormatError, match=r"memory\.db was written by a newer version .* update Familiar"):
        MemoryStore(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "bookmarks.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE bookmarks (url)")
    before = path.read_bytes()
    with pytest.raises(MemoryFormatError, match=r"bookmarks\.db is another program's database"):
        MemoryStore(path)
    assert path.read_bytes() == before


def test_a_program_that_holds_the_memory_is_waited_for_and_then_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store, closing(sqlite3.connect(path, isolation_level=None)) as other:
        conversation = store.open_conversation("Anna", "Luna")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(MemoryBusyError, match="another program"):
            remember(store, "hello", conversation_id=conversation)
        other.execute("ROLLBACK")
        assert remember(store, "hello", conversation_id=conversation).turn_id == 1


def test_opening_a_memory_of_today_does_not_load_the_migration_library(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    MemoryStore(path).close()
    probe = (
        "import sys; from pathlib import Path; from memory.store import MemoryStore\n"
        "MemoryStore(Path(sys.argv[1])).close(); sys.exit('sqlite_utils' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", probe, str(path)], cwd=Path(__file__).parents[2], check=True)
