"""The tables of the memory and the migrations that lead to them.

`ensure_schema` brings a database that the store has opened to today's version. Migrations are sqlite-utils', whose
import takes 0.3 s, so `PRAGMA user_version` is looked at first with plain sqlite3 and the library is imported only when
there is something to migrate. A migration and the version it leads to are one transaction: a power cut leaves
either version whole.
"""

import sqlite3
from typing import TYPE_CHECKING

from memory import index
from memory.errors import MemoryFormatError

if TYPE_CHECKING:
    from sqlite_utils import Database

SCHEMA_VERSION = 2

APPLICATION_ID = 0x464D4C52
"""`FMLR` in the file's header: tells our databases from everybody else's (see `man file`)."""

_TABLES_1 = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    "CREATE TABLE characters (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT",
    """CREATE TABLE conversations (
        id INTEGER PRIMARY KEY,
        person_id INTEGER NOT NULL REFERENCES people(id),
        character_id INTEGER NOT NULL REFERENCES characters(id),
        UNIQUE (id, person_id, character_id)
    ) STRICT""",
    "CREATE INDEX conversations_by_pair ON conversations (person_id, character_id)",
    # Person and character stand in each turn too, tied to its conversation's: one index then serves all that is asked,
    # and no turn can come to belong to another person. AUTOINCREMENT: the id of a forgotten turn is never given again.
    """CREATE TABLE turns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        conversation_id INTEGER NOT NULL,
        person_id INTEGER NOT NULL,
        character_id INTEGER NOT NULL,
        user_text TEXT NOT NULL,
        reply_text TEXT NOT NULL,
        said_at REAL NOT NULL,
        interrupted INTEGER NOT NULL CHECK (interrupted IN (0, 1)),
        FOREIGN KEY (conversation_id, person_id, character_id) REFERENCES conversations (id, person_id, character_id)
    ) STRICT""",
    "CREATE INDEX turns_by_pair ON turns (person_id, character_id)",
    "CREATE INDEX turns_by_conversation ON turns (conversation_id)",
    index.CREATE,
)

_TABLES_2 = (
    # What an encoder made of an utterance. Vectors of different encoders cannot be compared.
    "CREATE TABLE encoders (id INTEGER PRIMARY KEY, fingerprint TEXT NOT NULL UNIQUE) STRICT",
    # utterance_id as in the full-text index: twice the turn's id, one more for the reply.
    """CREATE TABLE meanings (
        utterance_id INTEGER PRIMARY KEY,
        encoder_id INTEGER NOT NULL REFERENCES encoders(id),
        embedding BLOB NOT NULL,
        feelings BLOB NOT NULL,
        importance REAL NOT NULL
    ) STRICT""",
    # How often a turn was brought back, and when last: what was just told is not told again.
    """CREATE TABLE recalls (
        turn_id INTEGER PRIMARY KEY REFERENCES turns(id) ON DELETE CASCADE,
        n INTEGER NOT NULL,
        last_at REAL NOT NULL
    ) STRICT""",
    # Bi-temporal: valid_* is when it was so, recorded_* from when to when it was believed. NULL: open.
    # ended_by: the fact that put an end to it, if one did; when that is forgotten, it holds again. Told at the end of
    # the transaction only, since a fact that comes in may have been ended by one that comes after it.
    # day: 'MM-DD' comes back every year, 'YYYY-MM-DD' once.
    """CREATE TABLE facts (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        person_id INTEGER NOT NULL REFERENCES people(id),
        character_id INTEGER NOT NULL REFERENCES characters(id),
        subject TEXT NOT NULL,
        relation TEXT NOT NULL,
        object TEXT NOT NULL,
        day TEXT,
        valid_from REAL,
        valid_to REAL,
        recorded_from REAL NOT NULL,
        recorded_to REAL,
        source TEXT NOT NULL CHECK (source IN ('rule', 'model', 'person')),
        ended_by INTEGER REFERENCES facts(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED
    ) STRICT""",
    "CREATE INDEX facts_by_end ON facts (ended_by) WHERE ended_by IS NOT NULL",
    "CREATE INDEX facts_by_pair ON facts (person_id, character_id)",
    # What comes back on its day is asked for on every turn.
    "CREATE INDEX facts_by_day ON facts (person_id, character_id, day) WHERE day IS NOT NULL",
    """CREATE TABLE fact_turns (
        fact_id INTEGER NOT NULL REFERENCES facts(id) ON DELETE CASCADE,
        turn_id INTEGER NOT NULL REFERENCES turns(id) ON DELETE CASCADE,
        PRIMARY KEY (fact_id, turn_id)
    ) STRICT, WITHOUT ROWID""",
    "CREATE INDEX fact_turns_by_turn ON fact_turns (turn_id)",
    # An episode: all turns of the pair from the first to the last.
    """CREATE TABLE summaries (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        person_id INTEGER NOT NULL REFERENCES people(id),
        character_id INTEGER NOT NULL REFERENCES characters(id),
        first_turn_id INTEGER NOT NULL REFERENCES turns(id),
        last_turn_id INTEGER NOT NULL REFERENCES turns(id),
        text TEXT NOT NULL,
        made_at REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX summaries_by_pair ON summaries (person_id, character_id, last_turn_id)",
    # What the body felt. person_id: who was being talked with, if anybody.
    """CREATE TABLE stimuli (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        character_id INTEGER NOT NULL REFERENCES characters(id),
        person_id INTEGER REFERENCES people(id),
        kind TEXT NOT NULL,
        strength REAL NOT NULL,
        happened_at REAL NOT NULL
    ) STRICT""",
    "CREATE INDEX stimuli_by_time ON stimuli (character_id, happened_at)",
    """CREATE TABLE moods (
        character_id INTEGER PRIMARY KEY REFERENCES characters(id),
        pleasure REAL NOT NULL, arousal REAL NOT NULL, dominance REAL NOT NULL,
        emotion_pleasure REAL NOT NULL, emotion_arousal REAL NOT NULL, emotion_dominance REAL NOT NULL,
        felt_at REAL NOT NULL
    ) STRICT""",
    # Up to which turn each kind of work in idle time has come.
    """CREATE TABLE progress (
        work TEXT NOT NULL,
        person_id INTEGER NOT NULL REFERENCES people(id),
        character_id INTEGER NOT NULL REFERENCES characters(id),
        turn_id INTEGER NOT NULL,
        PRIMARY KEY (work, person_id, character_id)
    ) STRICT, WITHOUT ROWID""",
    # Fewer merges within a commit (4 is usual): the slowest of a hundred writes 24 pages in place of 35, measured.
    # Sleep makes up for it, and merges from two segments on.
    "INSERT INTO utterances(utterances, rank) VALUES ('automerge', 8)",
    "INSERT INTO utterances(utterances, rank) VALUES ('usermerge', 2)",
    # A summary goes when something it tells of is forgotten; sleep then looks at what is left of the episode again.
    """CREATE TRIGGER summaries_forgotten AFTER DELETE ON summaries BEGIN
        UPDATE progress SET turn_id = min(turn_id, OLD.first_turn_id - 1)
        WHERE work = 'summaries' AND person_id = OLD.person_id AND character_id = OLD.character_id;
    END""",
    # A meaning that comes late or anew is compared with its neighbours by the next sleep.
    """CREATE TRIGGER meanings_stored AFTER INSERT ON meanings BEGIN
        UPDATE progress SET turn_id = NEW.utterance_id / 2 - 1
        WHERE work = 'repetitions' AND turn_id >= NEW.utterance_id / 2 AND (person_id, character_id) =
            (SELECT person_id, character_id FROM turns WHERE id = NEW.utterance_id / 2);
    END""",
    # One row. n: how often something was forgotten, so that whoever keeps a copy in RAM sees that it is stale.
    # wiping_due: what was forgotten is in no row any more, but can still be read in free pages and in the log.
    """CREATE TABLE forgettings (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        n INTEGER NOT NULL,
        wiping_due INTEGER NOT NULL CHECK (wiping_due IN (0, 1))
    ) STRICT""",
)


def ensure_schema(connection: sqlite3.Connection) -> None:
    """Bring the database to SCHEMA_VERSION.

    Raises MemoryFormatError if it is a newer version's or another program's, `sqlite3.Error` if it cannot be read or
    written.
    """
    if _version(connection) < SCHEMA_VERSION:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Another process may have migrated while this one waited for the lock.
            if _version(connection) < SCHEMA_VERSION:
                _migrate(connection)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (n_objects,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if application_id != APPLICATION_ID and (application_id, version, n_objects) != (0, 0, 0):
        raise MemoryFormatError("is another program's database; name another file for the memory")
    if version > SCHEMA_VERSION:
        raise MemoryFormatError(
            f"was written by a newer version (schema {version}, this one knows {SCHEMA_VERSION}); update Familiar"
        )
    return int(version)


def _migrate(connection: sqlite3.Connection) -> None:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    migrations = Migrations("familiar.memory")

    @migrations()
    def version_1(db: "Database") -> None:
        for statement in _TABLES_1:
            db.execute(statement)
        db.execute("PRAGMA user_version = 1")

    @migrations()
    def version_2(db: "Database") -> None:
        for statement in _TABLES_2:
            db.execute(statement)
        db.execute("PRAGMA user_version = 2")

    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    migrations.apply(Database(connection, execute_plugins=False))
