"""The file that the memory lives in: opened durably and privately, judged sound or not, set aside when it is not.

Knows SQLite's settings and error codes; leaves tables to `memory.schema` and turns to `memory.store`.
"""

import errno
import os
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from memory.errors import (
    MemoryAccessError,
    MemoryBusyError,
    MemoryFormatError,
    MemoryFullError,
    MemoryInputError,
    MemoryStoreError,
)
from memory.schema import ensure_schema

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another program (`familiar memory forget`, a back-up) before giving up."""

CHECKED_BYTES = 4 << 20
"""Files up to this size (some 4,000 turns) are checked page by page at every start: 2 ms per MiB on a desktop. In
larger ones damage shows when a damaged page is read, and the store then does the same as at the start."""

_SIDECARS = ("-wal", "-shm")


def open_database(path: Path) -> sqlite3.Connection:
    """The database at `path` with today's schema, created for its owner's eyes only if there is none.

    Every commit is on the disk when it returns (WAL, synchronous=FULL; but see `has_write_ahead_log`). Raises
    `sqlite3.Error` (see `is_damaged`, `explained`), MemoryAccessError or MemoryFormatError.
    """
    _create_privately(path)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)
    with ExitStack() as undo:
        undo.callback(connection.close)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
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
        undo.pop_all()
    return connection


def has_write_ahead_log(connection: sqlite3.Connection) -> bool:
    """False where the file system allows none: SQLite then keeps a rollback journal, without complaint."""
    (mode,) = connection.execute("PRAGMA journal_mode").fetchone()
    return bool(mode == "wal")


def is_damaged(error: sqlite3.DatabaseError) -> bool:
    """True if the error means that the file itself is not, or no longer, a sound database."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_index_damaged(error: sqlite3.DatabaseError) -> bool:
    """True if only the full-text index contradicts itself; it can be rebuilt from the turns."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_CORRUPT_VTAB


def set_aside(path: Path) -> Path:
    """Rename a damaged database and its sidecars to `name.corrupt-<UTC time>.db`, and return that path.

    May be called with the database open. Raises MemoryAccessError if the directory does not allow it.
    """
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.stem}.corrupt-{moment}{path.suffix or '.db'}")
    try:
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


def _check(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        damage = sqlite3.DatabaseError("quick_check failed")
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage
