"""The store: verbatim turns in one SQLite file, per person and per character, and what of them to recall now.

Turns come from the conversation once the playback cursor has told what was heard of the reply. A committed turn is on
the disk, with its rows in the full-text index, in one transaction. The hot path is plain sqlite3. Blocking, and for one
thread: `memory.worker` owns a store for an event loop.

What else is remembered (facts, meanings, summaries, moods) lives in modules of functions that take an open store and
use its `read` and `write`.

A damaged file costs the memory, not the companion: it is set aside under a name with the time, `notice` says so, and an
empty memory begins, at the start as well as in the middle of a conversation. Where somebody renames or removes the file
under an open store, it goes on with what has the name then. Commands do neither (`begins_anew`).
"""

import logging
import math
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from memory import index, recall, rows
from memory.cipher import Key
from memory.database import explained, has_write_ahead_log, is_damaged, is_index_damaged, open_database, set_aside
from memory.errors import MemoryBusyError, MemoryDamagedError, MemoryInputError
from memory.messages import Query, Recalled, Turn
from memory.mirror import Mirrors
from memory.words import storable

_LOG = logging.getLogger(__name__)

_Result = TypeVar("_Result")
_Work = Callable[[sqlite3.Connection], _Result]


class MemoryStore:
    """An open memory file. Every error is a MemoryStoreError; after one the store stays usable.

    Names of people and characters are compared exactly. What one person said to one character is never seen by another
    person or another character.
    """

    def __init__(self, path: Path, key: Key | None = None, *, begins_anew: bool = True) -> None:
        """Open the memory at `path`, creating it (file mode 600, directory mode 700) if there is none. With a key it is
        encrypted (`memory.cipher`).

        With `begins_anew` a damaged file is set aside and an empty memory takes its place; that another program has the
        damaged one open is a MemoryDamagedError, and the next call tries again. Without, as for a command that looks,
        every damage that cannot be mended is a MemoryDamagedError, and the file stays where it is.

        Raises MemoryAccessError, MemoryFullError, MemoryBusyError, MemoryKeyError, MemoryFormatError or
        MemoryDamagedError.
        """
        self.path = path.absolute()
        self._key = key
        self._begins_anew = begins_anew
        self.notice: str | None = None
        """A sentence for people about the newest damage that was found and what was done about it, or about a place
        that makes commits less safe; None when all is well."""
        self._opened: dict[int, tuple[str, str]] = {}
        """The pairs of the conversations opened here, which go on even when their file is set aside or forgotten."""
        self.mirrors = Mirrors()
        """What recall keeps in RAM of the file, for the functions of this package."""
        self._file_id: tuple[int, int] | None = None
        self._connection: sqlite3.Connection | None = self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. Everything committed is on the disk already."""
        if self._connection is not None:
            self._connection.close()

    def open_conversation(self, person: str, character: str) -> int:
        """The id of this pair's newest conversation, which goes on; of their first one if they never spoke."""

        def work(connection: sqlite3.Connection) -> int:
            pair = rows.ensure_pair(connection, person, character)
            newest = rows.newest_conversation(connection, pair)
            return rows.add_conversation(connection, pair) if newest is None else newest

        conversation_id = self.write("open a conversation", work)
        self._opened[conversation_id] = (storable(person), storable(character))
        return conversation_id

    def commit_turn(self, turn: Turn) -> Turn:
        """Store a turn of an opened conversation; when this returns it is on the disk. Returns it with its `turn_id`.

        One transaction: after an error nothing of it is stored, and it can be committed again. Lone surrogates, which
        no file can hold, become U+FFFD. Raises MemoryFullError, MemoryBusyError, MemoryAccessError, MemoryStoreError,
        or MemoryInputError if the conversation is not this pair's or the turn has an id already.
        """
        if turn.turn_id is not None:
            raise MemoryInputError(f"turn {turn.turn_id} is committed already; commit a turn without a turn_id")
        if not math.isfinite(turn.said_at):
            raise MemoryInputError(f"a turn cannot be said at {turn.said_at}; give the time since 1970 in seconds")
        turn = replace(
            turn,
            person=storable(turn.person),
            character=storable(turn.character),
            user_text=storable(turn.user_text),
            reply_text=storable(turn.reply_text),
        )

        def work(connection: sqlite3.Connection) -> Turn:
            pair = rows.ensure_pair(connection, turn.person, turn.character)
            if self._opened.get(turn.conversation_id) == (turn.person, turn.character):
                rows.readopt_conversation(connection, turn.conversation_id, pair)
            return rows.add_turn(connection, pair, turn)

        return self.write("store a turn", work)

    def last_turns(self, person: str, character: str, limit: int) -> tuple[Turn, ...]:
        """The newest `limit` turns of this pair over all their conversations, oldest first."""

        def work(connection: sqlite3.Connection) -> tuple[Turn, ...]:
            pair = rows.find_pair(connection, person, character)
            return rows.last_turns(connection, pair, limit) if pair and limit > 0 else ()

        return self.read("read the last turns", work)

    def recall(self, person: str, character: str, query: Query) -> tuple[Recalled, ...]:
        """At most `query.limit` memories of this pair that have to do with `query`, best first; often none."""
        return recall.recall(self, person, character, query)

    def write(self, doing: str, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work` in one transaction: all of it is on the disk when this returns, or nothing of it after an error.

        `doing` is what a person is told that could not be done, such as "store a turn". `work` may be run twice: when
        the file turns out to be damaged or gone, the second time on the mended or new one.
        """
        result = self.read(doing, lambda connection: _in_transaction(connection, work))
        if not self._is_moved():
            return result
        # Asked after the commit: what was committed under another name is not acknowledged.
        self._leave_moved()
        return self.read(doing, lambda connection: _in_transaction(connection, work))

    def read(self, doing: str, work: Callable[[sqlite3.Connection], _Result]) -> _Result:
        """Run `work`, which changes nothing or keeps its own transactions. Otherwise as `write`."""
        try:
            try:
                return work(self._opened_file())
            except sqlite3.DatabaseError as error:
                if not (is_damaged(error) or self._is_moved()):
                    raise
                self._survive(error)
            return work(self._opened_file())
        except sqlite3.Error as error:
            raise explained(error, self.path, doing) from error

    def _opened_file(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        try:
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if not is_damaged(error):
                    raise
                self._refuse_damage(error)
                return self._connect_anew(set_aside(self.path))
        except sqlite3.Error as error:
            raise explained(error, self.path, "open the memory") from error

    def _connect(self) -> sqlite3.Connection:
        connection = open_database(self.path, self._key)
        self._file_id = _identity(self.path)
        self._check_place(connection)
        return connection

    def _connect_anew(self, aside: Path) -> sqlite3.Connection:
        self._tell(f"the memory {self.path} was damaged; it is kept as {aside.name}, and an empty one begins")
        return self._connect()

    def _check_place(self, connection: sqlite3.Connection) -> None:
        if not has_write_ahead_log(connection):
            self._tell(
                f"the memory {self.path} lies where SQLite can keep no write-ahead log: a power failure may cost the "
                "newest turn; move it to a local disk"
            )

    def _survive(self, error: sqlite3.DatabaseError) -> None:
        """Go on with the file that has the name now, if this one has it no more. Mend the index if that is all that is
        damaged; else go on with an empty memory."""
        if self._is_moved():
            self._leave_moved()
            return
        if is_index_damaged(error) and self._index_rebuilt():
            self._tell(f"the full-text index of {self.path} was damaged; it was rebuilt, nothing is lost")
            return
        self._refuse_damage(error)
        self._let_go()
        self._connection = self._connect_anew(set_aside(self.path))

    def _refuse_damage(self, error: sqlite3.DatabaseError) -> None:
        if not self._begins_anew:
            raise MemoryDamagedError(
                f"the memory {self.path} is damaged and was left as it is: `familiar memory verify` tells more; the "
                "next conversation keeps it aside and begins an empty one, which can take in an export (`familiar "
                "memory import`)"
            ) from error

    def _is_moved(self) -> bool:
        """Whether the file that is open is no more the one of this name. Some microseconds."""
        try:
            return self._file_id is not None and _identity(self.path) != self._file_id
        except FileNotFoundError:
            return True
        except OSError:
            return False  # nobody can tell

    def _leave_moved(self) -> None:
        if not self._begins_anew:
            raise MemoryBusyError(f"the memory {self.path} was just renamed or removed by another program; try again")
        if self._connection is not None:
            with suppress(sqlite3.Error):
                # The log keeps the old name: what was committed goes with the file it belongs to, not into the new one.
                self._connection.execute("PRAGMA busy_timeout = 0")
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        self._let_go()
        self._tell(
            f"the memory {self.path} was renamed or removed while it was open; it goes on with what has that name now, "
            "or with an empty one"
        )

    def _let_go(self) -> None:
        """Close the file; whoever needs it next opens what is there then."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._file_id = None

    def _index_rebuilt(self) -> bool:
        try:
            _in_transaction(
                self._opened_file(), lambda connection: index.rebuild(connection, rows.all_turns(connection))
            )
        except sqlite3.DatabaseError as error:
            if not is_damaged(error):
                raise
            return False
        return True

    def _tell(self, notice: str) -> None:
        self.notice = notice
        _LOG.warning("%s", notice)


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _in_transaction(connection: sqlite3.Connection, work: _Work[_Result]) -> _Result:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    finally:
        # SQLite itself has rolled back after some errors, such as a full disk.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return result
