"""Whether a memory is sound, and mending what can be: for a person who asks. The companion only opens it.

Nothing is set aside here. A check reads everything and builds the full-text index once more in RAM to compare: seconds
for a small memory, some ten for 100,000 turns.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from memory import index, rows, wiping
from memory.cipher import Key
from memory.database import copies_of, explained, is_damaged, is_index_damaged, open_database


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is not as it should be, and how to mend it. `is_loss`: only a back-up or an export brings it back.
    Never quotes what was said."""

    what: str
    mend: str
    is_loss: bool = False


_REPAIR = "familiar memory verify --repair"


def verify(path: Path, key: Key | None = None, *, repair: bool = False) -> tuple[Trouble, ...]:
    """What is wrong with the memory at `path`, an existing file. With `repair`, the index and rows that hang on nothing
    are mended first. A wiping that is due is made up for by opening.

    Raises what opening a memory raises, but for damage, which is told.
    """
    try:
        with closing(open_database(path, key)) as connection:
            _check_pages(connection)
            if repair:
                _repair(connection)
            return (*_of_index(connection), *_of_rows(connection), *_of_wiping(connection), *_of_copies(path))
    except sqlite3.DatabaseError as error:
        if not is_damaged(error):
            raise explained(error, path, "check the memory") from error
        mend = (
            "the next conversation sets the file aside and begins an empty memory; before that, a copy of the file can "
            "be given to `sqlite3 copy.db .recover`, or `familiar memory import` brings back an export"
        )
        return (Trouble(what=f"{path} is damaged: {error}", mend=mend, is_loss=True), *_of_copies(path))


def _check_pages(connection: sqlite3.Connection) -> None:
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if verdict != "ok":
        damage = sqlite3.DatabaseError(verdict.splitlines()[0])
        damage.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise damage


def _of_index(connection: sqlite3.Connection) -> Iterator[Trouble]:
    try:
        connection.execute("INSERT INTO utterances(utterances) VALUES ('integrity-check')")
        is_same = _terms(connection) == _terms_anew(connection)
    except sqlite3.DatabaseError as error:
        if not is_index_damaged(error):
            raise
        is_same = False
    if not is_same:
        yield Trouble(what="the full-text index is not that of the turns: recall may miss some", mend=_REPAIR)


def _terms(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    """Each term of the index, in how many rows it stands and how often."""
    connection.execute("CREATE VIRTUAL TABLE temp.all_terms USING fts5vocab(main, utterances, row)")
    try:
        return connection.execute("SELECT term, doc, cnt FROM temp.all_terms").fetchall()
    finally:
        connection.execute("DROP TABLE temp.all_terms")


def _terms_anew(connection: sqlite3.Connection) -> list[tuple[str, int, int]]:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as scratch:
        scratch.execute(index.CREATE)
        scratch.execute("BEGIN")
        index.rebuild(scratch, rows.all_turns(connection))
        scratch.execute("COMMIT")
        return _terms(scratch)


def _of_rows(connection: sqlite3.Connection) -> Iterator[Trouble]:
    dangling = len(connection.execute("PRAGMA foreign_key_check").fetchall())
    if dangling:
        what = f"{dangling} rows refer to something that is not there"
        yield Trouble(what=what, mend="export what is there, forget everything, and import it again", is_loss=True)
    (n_orphans,) = connection.execute(f"SELECT count(*) FROM {_ORPHANS}").fetchone()  # noqa: S608  named below
    if n_orphans:
        yield Trouble(what=f"{n_orphans} meanings are of turns that are not there", mend=_REPAIR)


def _of_wiping(connection: sqlite3.Connection) -> Iterator[Trouble]:
    if wiping.is_due(connection):
        what = "what was forgotten can still be read in the file: another program was in the way, or the disk is full"
        yield Trouble(what=what, mend="end the companion and look again: opening the memory makes up for it")


def _of_copies(path: Path) -> Iterator[Trouble]:
    for copy in copies_of(path):
        what = f"{copy.name} lies beside the memory and may hold words of it, forgotten ones too"
        yield Trouble(what=what, mend="familiar memory forget --copies")


_ORPHANS = "meanings WHERE utterance_id / 2 NOT IN (SELECT id FROM turns)"


def _repair(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute(f"DELETE FROM {_ORPHANS}").rowcount:  # noqa: S608  named above
            wiping.mark(connection)
        if any(_of_index(connection)):
            # Not 'delete-all': a damaged index may not even be emptied.
            connection.execute("DROP TABLE utterances")
            connection.execute(index.CREATE)
            index.rebuild(connection, rows.all_turns(connection))
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    if wiping.is_due(connection):
        wiping.wipe(connection)
