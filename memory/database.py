"""The file that the memory lives in: opened durably and privately, judged sound or not, set aside when it is not.

Knows SQLite's settings and error codes; leaves tables to `memory.schema` and turns to `memory.store`.
"""

import errno
import fcntl
import logging
import os
import re
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from memory import replaced, wiping
from memory.cipher import Key, connect
from memory.errors import (
    MemoryAccessError,
    MemoryBusyError,
    MemoryDamagedError,
    MemoryFormatError,
    MemoryFullError,
    MemoryInputError,
    MemoryStoreError,
)
from memory.schema import ensure_schema

_LOG = logging.getLogger(__name__)

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another program (`familiar memory forget`, a back-up) before giving up."""

CHECKED_BYTES = 4 << 20
"""Files up to this size (some 4,000 turns) are checked page by page at every start: 2 ms per MiB on a desktop. In
larger ones damage shows when a damaged page is read, and the store then does the same as at the start."""

LOG_PAGES = 4_000
"""The write-ahead log goes into the file when it has so many pages, 16 MB, and before that whenever memory sleeps. With
SQLite's 1,000 one commit in eighty does it, and is the slowest of a hundred: 12 ms in place of 1.3, measured."""

_SIDECARS = ("-wal", "-shm")
_ASIDE = ".corrupt-"
_MOMENT = "%Y%m%dT%H%M%S.%fZ"

_SHARED_LOCK = (510, 0x40000002)
"""Length and start of the bytes on which SQLite keeps its SHARED lock, as its file format says. In WAL mode everybody
who has the file open holds one on some of them all the time."""


def open_database(path: Path, key: Key | None = None) -> sqlite3.Connection:
    """The database at `path` with today's schema, created for its owner's eyes only if there is none.

    Every commit is on the disk when it returns (WAL, synchronous=FULL; but see `has_write_ahead_log`). Raises
    `sqlite3.Error` (see `is_damaged`, `explained`), MemoryAccessError, MemoryKeyError, MemoryFormatError, or
    MemoryBusyError if another program is replacing the file.
    """
    _create_privately(path)
    file_id = path.stat().st_ino
    connection = connect(path, key, BUSY_TIMEOUT_S)
    with ExitStack() as undo:
        undo.callback(connection.close)
        # A flipped bit in a word costs a letter, not every answer that holds it; and sqlite3's error would quote it.
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES}")
        if path.stat().st_size <= CHECKED_BYTES:
            _check(connection)
        try:
            ensure_schema(connection)
        except MemoryFormatError as error:
            raise MemoryFormatError(f"{path} {error}") from error
        connection.execute("PRAGMA journal_mode = WAL")
        # A read-only file or directory is better found out now than with the first turn.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        if path.stat().st_ino != file_id:  # encrypted or decrypted meanwhile: this connection has the file it was
            raise MemoryBusyError(f"the memory {path} was just replaced by another program; try again")
        _wipe_if_due(connection, path)
        replaced.finish(path)
        undo.pop_all()
    return connection


def has_write_ahead_log(connection: sqlite3.Connection) -> bool:
    """False where the file system allows none: SQLite then keeps a rollback journal, without complaint."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return bool(mode == "wal")


def is_alone(connection: sqlite3.Connection) -> bool:
    """Whether no other connection has the file open now, of this program or another. Outside of a transaction."""
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        # Only the last connection of all can leave the write-ahead log.
        alone = connection.execute("PRAGMA journal_mode = DELETE").fetchall() != [("wal",)]
    except sqlite3.OperationalError as error:
        if _code(error) != sqlite3.SQLITE_BUSY:
            raise
        alone = False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000:.0f}")
    connection.execute("PRAGMA journal_mode = WAL")
    return alone


def is_damaged(error: sqlite3.DatabaseError) -> bool:
    """True if the error means that the file itself is not, or no longer, a sound database."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_index_damaged(error: sqlite3.DatabaseError) -> bool:
    """True if only the full-text index contradicts itself; it can be rebuilt from the turns."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT_VTAB


def set_aside(path: Path) -> Path:
    """Rename a damaged database and its sidecars to `name.corrupt-<UTC time>.db`, and return that path.

    Close your own connections first. Raises MemoryDamagedError, and leaves the file, while another program has it open:
    what that one commits would be lost with the name. Raises MemoryAccessError if the directory does not allow it.
    """
    moment = datetime.now(UTC).strftime(_MOMENT)
    aside = path.with_name(f"{path.stem}{_ASIDE}{moment}{path.suffix or '.db'}")
    try:
        with path.open("r+b") as file:
            _lock_out_others(file.fileno(), path)
            # Sidecars first: a write-ahead log left beside a new database would be replayed into it.
            for sidecar in _SIDECARS:
                beside = Path(f"{path}{sidecar}")
                if beside.exists():
                    beside.rename(f"{aside}{sidecar}")
            path.rename(aside)
    except OSError as error:
        raise MemoryAccessError(
            f"{path} is damaged and could not be renamed to {aside.name}: {error.strerror}; make {path.parent} writable"
        ) from error
    return aside


def aside_at(copy: Path) -> float | None:
    """When a file that `copies_of` names was set aside, in seconds since 1970; None where its name does not tell."""
    found = re.search(re.escape(_ASIDE) + r"(\d{8}T\d{6}\.\d{6}Z)", copy.name, re.ASCII)
    try:
        return datetime.strptime(found[1], _MOMENT).replace(tzinfo=UTC).timestamp() if found else None
    except ValueError:
        return None


def copies_of(path: Path) -> tuple[Path, ...]:
    """Files beside the memory at `path` that hold words of it: damaged ones that were set aside, and what a conversion
    (`memory.conversion`) that was broken off left behind."""
    aside = f"{path.stem}{_ASIDE}"
    begun = beside_for_conversion(path).name
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return ()
    return tuple(path.with_name(name) for name in names if name.startswith((aside, begun)))


def beside_for_conversion(path: Path) -> Path:
    """Where a converted copy of the memory at `path` grows until it takes its place."""
    return path.with_name(f"{path.name}.converting")


def explained(error: sqlite3.Error, path: Path, doing: str) -> MemoryStoreError:
    """What `error` means to a person: what was being done, where, and how to mend it."""
    where = f"cannot {doing} in {path}"
    match _code(error):
        case sqlite3.SQLITE_FULL:
            return MemoryFullError(f"{where}: no space is left; free some, nothing that was stored is lost")
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return MemoryBusyError(f"{where}: another program has held it for {BUSY_TIMEOUT_S:g} s; end that program")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM | sqlite3.SQLITE_AUTH:
            return MemoryAccessError(f"{where}: {error}; make the file and its directory writable for this user")
        case sqlite3.SQLITE_IOERR:
            return MemoryStoreError(f"{where}: {error}; look at the disk: full, worn out or taken out")
        case sqlite3.SQLITE_CONSTRAINT | sqlite3.SQLITE_TOOBIG | sqlite3.SQLITE_MISMATCH:
            return MemoryInputError(f"{where}: {error}; commit turns only to a conversation opened with that pair")
        case _:
            return MemoryStoreError(f"{where}: {error}")


def _code(error: sqlite3.Error) -> int:
    """The primary result code: extended codes carry it in their low byte. Errors of the Python module have none."""
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def _create_privately(path: Path) -> None:
    """SQLite gives the sidecars the file's own permissions, so setting them once, before a word is in it, is enough."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise MemoryFullError(f"cannot open the memory {path}: no space is left; free some") from error
        raise MemoryAccessError(
            f"cannot open the memory {path}: {error.strerror}; make the file and its directory writable for this user"
        ) from error


def _lock_out_others(descriptor: int, path: Path) -> None:
    """Until the file is closed nobody else can open it as a database. Asked of the file's locks: of a damaged one
    SQLite cannot tell who has it open."""
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, *_SHARED_LOCK)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise MemoryDamagedError(
                f"{path} is damaged, and another program has it open: end that one, so that the file can be kept aside "
                "and an empty memory begin"
            ) from error
        _LOG.warning("%s lies where files cannot be locked: %s", path, error.strerror)


def _wipe_if_due(connection: sqlite3.Connection, path: Path) -> None:
    """Make up for a wiping that was broken off; where it cannot be done now, the next opening will try again."""
    try:
        if wiping.is_due(connection):
            wiping.wipe(connection)
    except sqlite3.OperationalError as error:  # damage is a DatabaseError of no narrower kind, and goes on
        _LOG.warning("what was forgotten could not be wiped from the disk yet: %s", explained(error, path, "wipe"))


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        damage = sqlite3.DatabaseError("quick_check failed")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
