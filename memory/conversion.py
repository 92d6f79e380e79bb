"""Encrypting a memory that is there, and decrypting it: in place, so that a crash leaves the one or the other whole.

The whole database is written anew beside the old one (`memory.database.beside_for_conversion`), checked, and renamed
over it. A plain file and its write-ahead log are then overwritten with zeros before their last names are gone, after a
crash by the next opening (`memory.replaced`); what a flash card keeps of them below the file system nobody can
overwrite, so encrypt before the first word. Nobody else may have the memory open meanwhile.
"""

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from memory import database, replaced
from memory.cipher import Key, connect_by_sqlcipher
from memory.database import beside_for_conversion, explained, open_database
from memory.errors import MemoryAccessError, MemoryBusyError, MemoryFullError, MemoryStoreError

_COUNTED = ("turns", "facts", "summaries", "meanings")
_NO_KEY = "''"


def encrypt(path: Path, key: Key) -> None:
    """Encrypt the plain memory at `path` with this key.

    Raises MemoryKeyError, MemoryBusyError while another program has it open, MemoryFullError, and what opening raises.
    """
    _convert(path, None, key, "encrypt the memory")


def decrypt(path: Path, key: Key) -> None:
    """Decrypt the memory at `path`, which this key opens. Raises what `encrypt` raises."""
    _convert(path, key, None, "decrypt the memory")


def _convert(path: Path, key: Key | None, new_key: Key | None, doing: str) -> None:
    if not path.is_file():
        raise MemoryAccessError(f"there is no memory {path}; nothing is to be converted")
    new = beside_for_conversion(path)
    new.unlink(missing_ok=True)
    try:
        with closing(open_database(path, key)):  # today's schema, wiped if that is due, and the key fits
            if key is None:
                replaced.keep(path)
        with closing(connect_by_sqlcipher(path, key, database.BUSY_TIMEOUT_S)) as connection:
            _lock(connection, path)
            os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
            _copy(connection, new, new_key)
            with path.open("r+b") as old:
                _put_in_place(new, path)
                if key is None:
                    replaced.overwrite(old.fileno())
                # Whoever waits for the lock finds an empty file, and sees by its number that it is not the memory.
                os.ftruncate(old.fileno(), 0)
    except sqlite3.Error as error:
        new.unlink(missing_ok=True)
        raise explained(error, path, doing) from error
    except OSError as error:
        new.unlink(missing_ok=True)
        kind = MemoryFullError if error.errno == errno.ENOSPC else MemoryAccessError
        raise kind(f"cannot {doing} in {path}: {error.strerror}") from error
    finally:
        replaced.finish(path)


def _lock(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that nobody has the memory open, or opens it before the connection is closed."""
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    try:
        connection.execute("PRAGMA journal_mode = DELETE").fetchone()
        connection.execute("BEGIN EXCLUSIVE")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        raise MemoryBusyError(f"{path} is open in another program: end the companion first") from error


def _copy(connection: sqlite3.Connection, new: Path, new_key: Key | None) -> None:
    connection.execute(f"ATTACH DATABASE ? AS new KEY {new_key.literal if new_key else _NO_KEY}", (str(new),))
    connection.execute("SELECT sqlcipher_export('new')").fetchall()
    for name in ("application_id", "user_version"):
        (value,) = connection.execute(f"PRAGMA main.{name}").fetchone()
        connection.execute(f"PRAGMA new.{name} = {value}")
    found = connection.execute("PRAGMA new.integrity_check(1)").fetchone()
    for table in _COUNTED:
        n_old, n_new = (
            connection.execute(f"SELECT count(*) FROM {side}.{table}").fetchone()  # noqa: S608  names of ours
            for side in ("main", "new")
        )
        if found != ("ok",) or n_old != n_new:
            raise MemoryStoreError(f"the converted copy of the memory, {new}, came out wrong; the memory is as it was")
    connection.execute("DETACH DATABASE new")


def _put_in_place(new: Path, path: Path) -> None:
    with new.open("rb") as file:
        os.fsync(file.fileno())
    new.replace(path)
    replaced.sync_folder(path.parent)
