"""SQLCipher's connections dressed as those of `sqlite3`.

The package `sqlcipher3` is Python's own `sqlite3` module built upon SQLCipher, but its errors are of classes of its own
that no `except sqlite3.Error` catches. Here they become those of `sqlite3`, with their codes, so that whoever works on
a connection need not know what kind it is. Imported only where there is a key (`memory.cipher`).

Not there are `Connection.blobopen` and the other additions of Python 3.11.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

from sqlcipher3 import dbapi2

_Result = TypeVar("_Result")


def connect(path: Path, key_literal: str | None, timeout_s: float) -> sqlite3.Connection:
    """An autocommitting connection to the file at `path`, without a key if it is a plain one. The file is not read yet:
    a wrong key shows later."""
    connection = _translating(dbapi2.connect, str(path), timeout=timeout_s, isolation_level=None, factory=_Connection)
    connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to stderr what is raised as an error anyway
    if key_literal is not None:
        connection.execute(f"PRAGMA key = {key_literal}")
    return cast("sqlite3.Connection", connection)


class _Cursor(dbapi2.Cursor):  # type: ignore[misc]  # the package publishes no types
    def execute(self, *arguments: Any) -> Any:
        return _translating(super().execute, *arguments)

    def executemany(self, *arguments: Any) -> Any:
        return _translating(super().executemany, *arguments)

    def fetchone(self) -> Any:
        return _translating(super().fetchone)

    def fetchmany(self, *arguments: Any, **named: Any) -> Any:
        return _translating(super().fetchmany, *arguments, **named)

    def fetchall(self) -> Any:
        return _translating(super().fetchall)

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except dbapi2.Error as error:
            raise _as_sqlite3(error) from error


class _Connection(dbapi2.Connection):  # type: ignore[misc]  # the package publishes no types
    def cursor(self, factory: Any = _Cursor) -> Any:
        """What `execute` and `executemany` of a connection go through as well."""
        return _translating(super().cursor, factory)

    def commit(self) -> None:
        _translating(super().commit)

    def rollback(self) -> None:
        _translating(super().rollback)


def _translating(call: Callable[..., _Result], *arguments: Any, **named: Any) -> _Result:
    try:
        return call(*arguments, **named)
    except dbapi2.Error as error:
        raise _as_sqlite3(error) from error


def _as_sqlite3(error: Exception) -> sqlite3.Error:
    kind = getattr(sqlite3, type(error).__name__, sqlite3.DatabaseError)
    same = kind(*error.args)
    for name in ("sqlite_errorcode", "sqlite_errorname"):
        if hasattr(error, name):
            setattr(same, name, getattr(error, name))
    assert isinstance(same, sqlite3.Error)
    return same
