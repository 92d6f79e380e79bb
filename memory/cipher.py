"""Encryption at rest: the key of a memory file, and a connection to the file with it or without.

Encrypted files are SQLCipher 4's (AES-256 and an HMAC for each page, in the database as in its write-ahead log), read
and written through the package `sqlcipher3`, the extra `cipher`. The key comes from a file that its owner alone may
read. How it gets there is no matter here: written by hand, by systemd's `LoadCredential=`, or unsealed from a TPM.

A file without a key and a key without its file are told apart from a damaged file, which is set aside; these never are.
"""

import os
import sqlite3
import stat
import zlib
from dataclasses import dataclass, field
from pathlib import Path

from memory.errors import MemoryKeyError

RAW_KEY_BYTES = 32
MOST_KEY_BYTES = 4096
FEWEST_LETTERS = 8

PAGE_BYTES = 4096
"""Of a database of ours, plain (SQLite's default) or encrypted (SQLCipher 4's)."""

_PLAIN_HEADER = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a memory, as a literal of SQL; never shown."""

    literal: str = field(repr=False)


def read_key(path: Path) -> Key:
    """The key in this file: 32 bytes are the key itself; else one line of text is a passphrase, of which SQLCipher
    derives the key (PBKDF2, 256,000 rounds, at every opening: 0.15 s on a desktop).

    Raises MemoryKeyError if the file cannot be read, holds neither, or may be read by others than its owner.
    """
    try:
        with path.open("rb") as file:
            _check_privacy(path, os.fstat(file.fileno()))
            content = file.read(MOST_KEY_BYTES + 1)
    except OSError as error:
        raise MemoryKeyError(f"the key file {path} cannot be read: {error.strerror}") from error
    if len(content) == RAW_KEY_BYTES:
        return Key(f"\"x'{content.hex()}'\"")
    line = content.removesuffix(b"\n").removesuffix(b"\r")
    try:
        passphrase = line.decode()
    except UnicodeDecodeError:
        passphrase = ""
    if not FEWEST_LETTERS <= len(passphrase) <= MOST_KEY_BYTES or not passphrase.isprintable():
        raise MemoryKeyError(
            f"the key file {path} holds no key: it must hold {RAW_KEY_BYTES} bytes, such as "
            f"`head -c {RAW_KEY_BYTES} /dev/urandom` makes, or one line of at least {FEWEST_LETTERS} letters"
        )
    return Key("'" + passphrase.replace("'", "''") + "'")


def connect(path: Path, key: Key | None, timeout_s: float) -> sqlite3.Connection:
    """A connection in autocommit mode to the database at `path`, which may be empty, or not be there yet.

    With a key it is SQLCipher's, which behaves as one of `sqlite3` and raises the errors of `sqlite3`. Raises
    MemoryKeyError where key and file do not belong together, or where SQLCipher is not installed.
    """
    _check_kind(path, key)
    if key is None:
        return sqlite3.connect(path, timeout=timeout_s, isolation_level=None)
    connection = connect_by_sqlcipher(path, key, timeout_s)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.DatabaseError as error:
        connection.close()
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_NOTADB:
            raise
        raise MemoryKeyError(
            f"this key does not open the memory {path}: it is another one's (or the file's first page is damaged); "
            "name the right one in memory.key_file; the file was left as it is"
        ) from error
    return connection


def connect_by_sqlcipher(path: Path, key: Key | None, timeout_s: float) -> sqlite3.Connection:
    """SQLCipher's connection to a file, a plain one too; not read yet. Raises MemoryKeyError if it is not installed."""
    try:
        from memory import sqlcipher
    except ImportError as error:
        raise MemoryKeyError(
            f"the memory {path} is encrypted or to be so, and SQLCipher is not installed: "
            "pip install 'familiar-companion[cipher]'"
        ) from error
    return sqlcipher.connect(path, key.literal if key else None, timeout_s)


def is_plain(path: Path) -> bool:
    """Whether the file is a database that anybody can read."""
    return _beginning(path).startswith(_PLAIN_HEADER)


def looks_encrypted(path: Path) -> bool:
    """Whether the file is whole pages, of which the first is noise. A page of SQLite's own is never that, and damage
    rarely: it leaves zeros, or parts of other files, or half a file."""
    page = _beginning(path)
    is_whole = len(page) == PAGE_BYTES and path.stat().st_size % PAGE_BYTES == 0
    return is_whole and len(zlib.compress(page)) > PAGE_BYTES


def _check_kind(path: Path, key: Key | None) -> None:
    if key is None and looks_encrypted(path):
        raise MemoryKeyError(
            f"the memory {path} is encrypted; name the file of its key in memory.key_file; the file was left as it is"
        )
    if key is not None and is_plain(path):
        raise MemoryKeyError(
            f"the memory {path} is not encrypted, but memory.key_file names a key for it; run `familiar memory "
            "encrypt` once, or take the key out of the settings"
        )


def _check_privacy(path: Path, status: os.stat_result) -> None:
    # systemd hands credentials to a service as files of root's; the bit of the group stands for the service's user.
    is_roots = status.st_uid == 0 and os.geteuid() != 0
    allowed = stat.S_IRWXU | (stat.S_IRGRP if is_roots else 0)
    if stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) & ~allowed:
        raise MemoryKeyError(f"the key file {path} may be read by others; run: chmod 600 {path}")


def _beginning(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(PAGE_BYTES)
    except FileNotFoundError:
        return b""
