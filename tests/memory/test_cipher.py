"""An encrypted memory: no word of it on the disk, no way in without its key, and never taken for a damaged one."""

import errno
import os
import random
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from memory import cipher, conversion, database, replaced
from memory.cipher import Key, looks_encrypted, read_key
from memory.conversion import decrypt, encrypt
from memory.errors import MemoryAccessError, MemoryBusyError, MemoryInputError, MemoryKeyError
from memory.exchange import export
from memory.forgetting import forget, wipe
from memory.importing import import_memory
from memory.messages import Turn
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.filling import all_bytes, fill
from tests.memory.making import recall, remember

pytest.importorskip("sqlcipher3", reason="SQLCipher, the extra `cipher`, is not installed")

REPOSITORY = Path(__file__).parents[2]


def key_file(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return read_key(key_file(tmp_path / "key", bytes(range(32))))


@pytest.mark.parametrize("content", [os.urandom(32), b"correct horse battery\n", b'it\'s \xe2\x82\xac 5, "quoted"\r\n'])
def test_nothing_that_is_remembered_can_be_read_without_the_key(tmp_path: Path, content: bytes) -> None:
    key = read_key(key_file(tmp_path / "key", content))
    path = tmp_path / "state" / "memory.db"
    with MemoryStore(path, key) as store:
        fill(store)
        found = all_bytes(path.parent)
        assert not [word for word in (b"sqlite", b"anna", b"mitten", b"xylophon", b"<embedding") if word in found]
        assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    with MemoryStore(path, read_key(tmp_path / "key")) as store:
        assert recall(store, "Anna", "Luna", "red mitten", 5)
        assert len(store.last_turns("Anna", "Luna", 9)) == 3
        assert store.notice is None
    assert b"mitten" not in all_bytes(path.parent)
    assert looks_encrypted(path)


def _without_key(path: Path, key: Key) -> None:
    MemoryStore(path)


def _with_another_key(path: Path, key: Key) -> None:
    MemoryStore(path, Key("'another one'"))


@pytest.mark.parametrize(
    ("opened", "said"),
    [
        (_without_key, "is encrypted; name the file of its key"),
        (_with_another_key, "this key does not open the memory"),
    ],
)
def test_without_the_right_key_it_stays_shut_and_where_it_is(
    tmp_path: Path, key: Key, opened: Callable[[Path, Key], None], said: str
) -> None:
    path = tmp_path / "state" / "memory.db"
    with MemoryStore(path, key) as store:
        fill(store)
    before = path.read_bytes()
    with pytest.raises(MemoryKeyError, match=said):
        opened(path, key)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*corrupt*"))
    with MemoryStore(path, key) as store:
        assert len(store.last_turns("Anna", "Luna", 9)) == 3


def test_a_key_for_a_plain_memory_is_a_mistake_that_is_said(tmp_path: Path, key: Key) -> None:
    path = tmp_path / "state" / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    before = path.read_bytes()
    with pytest.raises(MemoryKeyError, match=r"is not encrypted, but memory\.key_file names a key"):
        MemoryStore(path, key)
    assert path.read_bytes() == before
    assert not list(path.parent.glob("*corrupt*"))


def test_a_damaged_page_of_an_encrypted_memory_is_damage(tmp_path: Path, key: Key) -> None:
    path = tmp_path / "state" / "memory.db"
    with MemoryStore(path, key) as store:
        for n in range(40):
            remember(store, f"my secret {n}", "word " * 200)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 3 * 4096)
        file.write(b"\xff" * 8192)
    with MemoryStore(path, key) as store:
        assert store.notice is not None
        assert "was damaged" in store.notice
        remember(store, "we go on")
    (aside,) = path.parent.glob("*corrupt*")
    assert b"secret" not in all_bytes(path.parent)
    assert looks_encrypted(path)
    assert looks_encrypted(aside)


def test_all_else_works_as_in_a_plain_memory(tmp_path: Path, key: Key) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path, key) as store:
        fill(store)
        export(store, tmp_path / "out.json")
        forget(store, Selection(person="Anna"))
        wipe(store)
        assert import_memory(store, tmp_path / "out.json").turns == 4
        with pytest.raises(MemoryInputError, match="commit turns only to a conversation"):
            remember(store, "mine", person="Zoe", conversation_id=1)
        wrong = Turn(conversation_id=1, person="Anna", character="Luna", user_text="", reply_text="", said_at=1.0)
        assert store.commit_turn(wrong).turn_id
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            store._opened_file().execute("SELECT * FROM nowhere")


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        (b"correct horse battery\n", 0o644, "may be read by others; run: chmod 600"),
        (b"correct horse battery\n", 0o620, "may be read by others; run: chmod 600"),
        (b"", 0o600, "holds no key"),
        (b"short\n", 0o600, "holds no key"),
        (b"two lines\nof text\n", 0o600, "holds no key"),
        (b"\xff" * 40, 0o600, "holds no key"),
        (b"x" * 5000, 0o600, "holds no key"),
    ],
)
def test_what_is_no_key_is_said(tmp_path: Path, content: bytes, mode: int, said: str) -> None:
    path = key_file(tmp_path / "key", content, mode)
    with pytest.raises(MemoryKeyError, match=said) as caught:
        read_key(path)
    assert "horse" not in str(caught.value)


def test_a_key_that_is_not_there_is_said_and_one_that_is_is_never_shown(tmp_path: Path) -> None:
    with pytest.raises(MemoryKeyError, match="cannot be read: No such file"):
        read_key(tmp_path / "nowhere")
    assert "horse" not in repr(read_key(key_file(tmp_path / "key", b"correct horse battery")))


def test_without_sqlcipher_the_way_to_it_is_said(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlcipher3", None)
    monkeypatch.delitem(sys.modules, "memory.sqlcipher", raising=False)
    monkeypatch.delattr("memory.sqlcipher", raising=False)
    with pytest.raises(MemoryKeyError, match=r"SQLCipher is not installed: pip install 'familiar-companion\[cipher\]'"):
        MemoryStore(tmp_path / "memory.db", key)


def test_a_memory_is_encrypted_and_decrypted_in_place(tmp_path: Path, key: Key) -> None:
    path = tmp_path / "state" / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
        forget(store, Selection(turn_ids=(2,)))
        export(store, tmp_path / "before.json")
    encrypt(path, key)
    assert [file.name for file in path.parent.iterdir()] == ["memory.db"]
    assert b"mitten" not in all_bytes(path.parent)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with MemoryStore(path, key) as store:
        assert remember(store, "new").turn_id == 7
        assert recall(store, "Anna", "Luna", "red mitten", 5)
        forget(store, Selection(turn_ids=(7,)))
    with pytest.raises(MemoryKeyError, match="this key does not open"):
        decrypt(path, Key("'another one'"))
    decrypt(path, key)
    with MemoryStore(path) as store:
        export(store, tmp_path / "after.json")
    assert (tmp_path / "after.json").read_text() == (tmp_path / "before.json").read_text()


def test_what_cannot_be_converted_is_said(tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    path = tmp_path / "memory.db"
    with pytest.raises(MemoryAccessError, match="there is no memory"):
        encrypt(path, key)
    with MemoryStore(path) as store:
        fill(store)
    with pytest.raises(MemoryKeyError, match="is not encrypted"):
        decrypt(path, key)
    code = (
        "import sys; from pathlib import Path; from memory.store import MemoryStore\n"
        "store = MemoryStore(Path(sys.argv[1])); print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY
    ) as companion:
        assert companion.stdout is not None
        assert companion.stdout.readline() == "open\n"
        with pytest.raises(MemoryBusyError, match="end the companion first"):
            encrypt(path, key)
        companion.communicate()
    encrypt(path, key)
    with pytest.raises(MemoryKeyError, match="is encrypted"):
        encrypt(path, key)


def test_whoever_opened_the_file_that_was_replaced_meanwhile_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    (tmp_path / "new.db").write_bytes(path.read_bytes())

    def slow_to_connect(at: Path, key: Key | None, timeout_s: float) -> sqlite3.Connection:
        connection = cipher.connect(at, key, timeout_s)
        connection.execute("SELECT 1 FROM sqlite_master").fetchall()
        (tmp_path / "new.db").replace(path)
        return connection

    monkeypatch.setattr(database, "connect", slow_to_connect)
    with pytest.raises(MemoryBusyError, match="was just replaced by another program; try again"):
        MemoryStore(path)
    monkeypatch.undo()
    with MemoryStore(path) as store:
        assert len(store.last_turns("Anna", "Luna", 9)) == 3


@pytest.mark.parametrize("dies_in", ["_copy", "_put_in_place"])
def test_after_a_crash_the_next_opening_overwrites_what_was_plain(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch, dies_in: str
) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    with MemoryStore(path) as store:
        remember(store, "my secret is in the log")
        (tmp_path / "log").write_bytes(Path(f"{path}-wal").read_bytes())
    Path(f"{path}-wal").write_bytes((tmp_path / "log").read_bytes())
    (tmp_path / "log").unlink()
    opened = {name: os.open(tmp_path / name, os.O_RDONLY) for name in ("memory.db", "memory.db-wal")}
    if not (child := os.fork()):
        work = getattr(conversion, dies_in)

        def and_die(*args: object) -> None:
            work(*args)
            os._exit(9)

        conversion.__dict__[dies_in] = and_die
        encrypt(path, key)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    is_encrypted = dies_in == "_put_in_place"
    left = ["memory.db.converting-plain", "memory.db.converting-plain-wal"]
    assert {name for name in left if (tmp_path / name).exists()} == set(left)
    assert set(left) <= {copy.name for copy in database.copies_of(path)}
    with MemoryStore(path, key if is_encrypted else None) as store:
        assert store.notice is None
        assert len(store.last_turns("Anna", "Luna", 9)) == 4
        assert not [name for name in left if (tmp_path / name).exists()]
    words = {name: os.pread(descriptor, 1 << 20, 0) for name, descriptor in opened.items()}
    for descriptor in opened.values():
        os.close(descriptor)
    assert words["memory.db-wal"].strip(b"\0") == b""
    assert (words["memory.db"].strip(b"\0") == b"") == is_encrypted


def test_a_file_that_somebody_keeps_by_another_name_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    replaced.keep(path)
    os.link(path, tmp_path / "backup.db")
    path.unlink()
    with MemoryStore(path) as store:
        assert store.last_turns("Anna", "Luna", 9) == ()
    with MemoryStore(tmp_path / "backup.db") as store:
        assert len(store.last_turns("Anna", "Luna", 9)) == 3
    assert not list(tmp_path.glob("*.converting*"))


def test_where_there_are_no_second_names_a_memory_is_encrypted_and_that_is_said(
    tmp_path: Path, key: Key, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(old: Path, new: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
    monkeypatch.setattr(os, "link", refused)
    encrypt(path, key)
    assert "gets no second name (Operation not permitted)" in caplog.text
    assert looks_encrypted(path)


_CONVERTER = """
import sys
from pathlib import Path
from memory.cipher import read_key
from memory.conversion import encrypt
import sqlcipher3
key = read_key(Path(sys.argv[2]))
print("ready", flush=True)
encrypt(Path(sys.argv[1]), key)
"""


def test_kill_9_while_encrypting_leaves_one_whole_memory(tmp_path: Path, key: Key) -> None:
    template = tmp_path / "template.db"
    with MemoryStore(template) as store:
        fill(store)
        for n in range(100):
            remember(store, f"turn {n}", "word " * 200)
    chance = random.Random(5)
    deadline = time.monotonic() + 2.5
    n_encrypted = n_plain = 0
    for number in range(20):
        if time.monotonic() > deadline:
            break
        path = tmp_path / str(number) / "memory.db"
        path.parent.mkdir()
        path.write_bytes(template.read_bytes())
        command = [sys.executable, "-c", _CONVERTER, str(path), str(tmp_path / "key")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(chance.uniform(0.0, 0.1))  # not for anything to happen: the kill is to fall anywhere
            process.send_signal(signal.SIGKILL)
        is_plain = cipher.is_plain(path)
        n_encrypted, n_plain = n_encrypted + (not is_plain), n_plain + is_plain
        with MemoryStore(path, None if is_plain else key) as store:
            assert store.notice is None
            assert len(store.last_turns("Anna", "Luna", 999)) == 103
        if is_plain:
            encrypt(path, key)
        assert not database.copies_of(path)
        assert b"mitten" not in all_bytes(path.parent)
    assert n_encrypted + n_plain > 2
