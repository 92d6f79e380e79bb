"""Wiping: what was deleted leaves the file as well, and not only the tables.

A deleted row can still be read in a file in several places: in pages that are free now or were moved, in the
write-ahead log, in the samples of the query planner, and in the full-text index, whose deletions are marks beside the
words until its segments are merged. `wipe` merges them, drops the samples, writes the database anew and empties the
log; a search of the files' bytes then finds nothing. What a flash card keeps of blocks written earlier is beyond any
program: for that there is encryption (`memory.cipher`).

Whoever deletes marks the database in the same transaction (`mark`), so that a wiping that never happened, because the
power went or another program was reading, is made up for at the next opening.
"""

import sqlite3
import threading

_LOOKS_EVERY = 1_000
"""Instructions of SQLite's machine between two looks whether to stop: some tenths of a millisecond."""

SMALL_BYTES = 64 << 20
"""Up to this size the copy that VACUUM makes stands in RAM. That of a larger database stands in a temporary file, which
has no name and is freed at the end, but not overwritten."""


def mark(connection: sqlite3.Connection, *, is_due: bool = True) -> None:
    """Say, in the transaction that deletes something, that something was forgotten and is to be wiped; or, if nothing
    `is_due`, only that rows which were there before are others now."""
    connection.execute(
        "INSERT INTO forgettings (id, n, wiping_due) VALUES (1, 1, :due) "
        "ON CONFLICT (id) DO UPDATE SET n = n + 1, wiping_due = max(wiping_due, :due)",
        {"due": is_due},
    )


def is_due(connection: sqlite3.Connection) -> bool:
    """Whether something was deleted that may still be read in the files."""
    return connection.execute("SELECT 1 FROM forgettings WHERE wiping_due").fetchone() is not None


def n_forgettings(connection: sqlite3.Connection) -> int:
    """How often something was forgotten, or came in from elsewhere. When it rises, whatever was read before may be of
    words that are gone."""
    (n,) = connection.execute("SELECT coalesce(max(n), 0) FROM forgettings").fetchone()
    return int(n)


def wipe(connection: sqlite3.Connection, stop: threading.Event | None = None) -> None:
    """Rewrite database and index without what was deleted, and empty the write-ahead log. Outside of a transaction.
    Once `stop` is set, by another thread, it breaks off within some milliseconds, but for the merging of the index.

    Works beside other connections as long as none of them is in the middle of reading or writing for longer than the
    busy timeout. Needs free space of about twice the file's size. Broken off anywhere, it can be begun again. Raises
    `sqlite3.OperationalError`: SQLITE_BUSY where another connection was in the way, SQLITE_FULL, SQLITE_INTERRUPT.
    """
    if stop is not None:
        connection.set_progress_handler(stop.is_set, _LOOKS_EVERY)
    try:
        _rewrite(connection)
    finally:
        connection.set_progress_handler(None, 0)


def _rewrite(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT INTO utterances(utterances) VALUES ('optimize')")
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_stat4'").fetchone():
        # Of a SQLite built with STAT4, the planner's samples hold names of people. The next ANALYZE takes them anew.
        connection.execute("DELETE FROM sqlite_stat4")
    # SQLCipher gives the size of a page as text.
    n_pages, page_bytes = (int(connection.execute(f"PRAGMA page_{what}").fetchone()[0]) for what in ("count", "size"))
    if n_pages * page_bytes <= SMALL_BYTES:
        connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("VACUUM")
    _empty_log(connection)
    connection.execute("UPDATE forgettings SET wiping_due = 0")


def _empty_log(connection: sqlite3.Connection) -> None:
    # Without a write-ahead log the answer is (0, -1, -1): the rollback journal is gone with its transaction.
    (is_busy, _n_frames, _n_moved) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if is_busy:
        busy = sqlite3.OperationalError("somebody reads the write-ahead log")
        busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise busy
