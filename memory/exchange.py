"""The memory as a file that people can read and another memory can take in: its form, and writing it.

One JSON object: `format`, `version`, then an array for each table, a record on a line of its own, sorted by its number.
People, characters and encoders stand by name; turns, conversations and facts by the number they had; times in seconds
since 1970, and beside them, for people, as a date (UTC); embeddings and feelings in base64. The same memory always
gives the same bytes. What can be computed from the rest, the full-text index, is not in it. `memory.importing` reads
it.
"""

import base64
import errno
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TextIO, cast

from memory.errors import MemoryAccessError, MemoryDamagedError, MemoryFullError
from memory.store import MemoryStore
from memory.words import storable

FORMAT = "familiar-memory"
VERSION = 1

Kind = Literal[
    "id", "text", "number", "whole", "time", "flag", "bytes",
    "person", "character", "conversation", "encoder", "turn", "utterance", "mark", "relation",
    "fact",
]  # fmt: skip
"""What a column holds: `id` is the record's own number, `person` to `utterance` refer to another record, `mark` is the
number of a turn that need not be there any more, `relation` is one of `memory.relations`, `fact` is the number of a
fact, which may come later than the record that names it."""

_NAMED_IDS = ("person", "character", "conversation", "encoder", "turn", "first_turn", "last_turn", "utterance")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column of a table, the member of a record that it becomes, and what it holds."""

    column: str
    name: str
    kind: Kind
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table. `of_turn`: the expression for the turn that a row hangs on, where it has no person of its own."""

    name: str
    columns: tuple[Column, ...]
    order: str = "id"
    of_turn: str = ""


def _columns(described: str) -> tuple[Column, ...]:
    """Columns as `name`, which is its kind too, or `name:kind`; a question mark says that it may be missing."""
    columns = []
    for item in described.split():
        name, _, kind = item.removesuffix("?").partition(":")
        column = f"{name}_id" if name in _NAMED_IDS else name
        columns.append(Column(column=column, name=name, kind=cast("Kind", kind or name), optional=item.endswith("?")))
    return tuple(columns)


_BY_PERSON = "(SELECT name FROM people WHERE id = person_id)"
_BY_CHARACTER = "(SELECT name FROM characters WHERE id = character_id)"

TABLES = (
    Table(name="conversations", columns=_columns("id person character")),
    Table(
        name="turns",
        columns=_columns(
            "id conversation person character user_text:text reply_text:text said_at:time interrupted:flag"
        ),
    ),
    Table(
        name="meanings",
        columns=_columns("utterance encoder embedding:bytes feelings:bytes importance:number"),
        order="utterance_id",
        of_turn="utterance_id / 2",
    ),
    Table(name="recalls", columns=_columns("turn n:whole last_at:time"), order="turn_id", of_turn="turn_id"),
    Table(
        name="facts",
        columns=_columns(
            "id person character subject:text relation object:text day:text? valid_from:time? valid_to:time? "
            "recorded_from:time recorded_to:time? source:text ended_by:fact?"
        ),
    ),
    Table(
        name="summaries",
        columns=_columns("id person character first_turn:turn last_turn:turn text made_at:time"),
    ),
    Table(
        name="stimuli",
        columns=_columns("id character person? kind:text strength:number happened_at:time"),
    ),
    Table(
        name="moods",
        columns=_columns(
            "character pleasure:number arousal:number dominance:number "
            "emotion_pleasure:number emotion_arousal:number emotion_dominance:number felt_at:time"
        ),
        order=_BY_CHARACTER,
    ),
    Table(
        name="progress",
        columns=_columns("work:text person character turn:mark"),
        order=f"work, {_BY_PERSON}, {_BY_CHARACTER}",
    ),
)
"""All tables of which rows are exchanged, each after those it refers to. Names are told by the rows that use them."""

FACT_TURNS = "turns"
"""The member of a fact that lists the turns it came from: the rows of the table `fact_turns`."""


def export(store: MemoryStore, path: Path, *, person: str | None = None, character: str | None = None) -> int:
    """Write all that is remembered, or what is of this person or character, to `path` (mode 600); returns the number of
    records. A mood, which is of no single person, is left out where only one person's memory is asked for.

    What stood at `path` is replaced when all is written, or stays after an error; what was written beside it until then
    is removed. Raises MemoryAccessError, MemoryFullError, MemoryDamagedError where the memory turns out to be damaged,
    and what a store raises.
    """
    partial = path.with_name(f".{path.name}.partial")
    is_first = True

    def work(connection: sqlite3.Connection) -> int:
        nonlocal is_first
        if not is_first:  # after damage the store goes on with an empty memory: that is nothing to put over a good file
            raise MemoryDamagedError(f"{store.path} was damaged; nothing is exported, and {path} is as it was")
        is_first = False
        connection.execute("BEGIN")  # one moment of the memory, whatever is said meanwhile
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            os.fchmod(descriptor, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as out:
                n_records = _write(connection, out, person, character)
                out.flush()
                os.fsync(out.fileno())
            return n_records
        finally:
            connection.execute("ROLLBACK")

    try:
        n_records = store.read("export the memory", work)
        partial.replace(path)
    except OSError as error:
        kind = MemoryFullError if error.errno == errno.ENOSPC else MemoryAccessError
        raise kind(f"the memory could not be exported to {path}: {error.strerror}; name another file") from error
    finally:
        # Plain text: it stays after no error, and no interruption either.
        with suppress(NotADirectoryError):
            partial.unlink(missing_ok=True)
    return n_records


def _write(connection: sqlite3.Connection, out: TextIO, person: str | None, character: str | None) -> int:
    n_records = 0
    out.write(f'{{\n"format": "{FORMAT}",\n"version": {VERSION}')
    for table in TABLES:
        out.write(f',\n"{table.name}": [')
        separator = "\n"
        for record in _records(connection, table, person, character):
            out.write(separator + json.dumps(record, ensure_ascii=False, allow_nan=False))
            separator = ",\n"
            n_records += 1
        out.write("]" if separator == "\n" else "\n]")
    out.write("\n}\n")
    return n_records


def _records(
    connection: sqlite3.Connection, table: Table, person: str | None, character: str | None
) -> Iterator[dict[str, Any]]:
    names = {
        "person": dict(connection.execute("SELECT id, name FROM people")),
        "character": dict(connection.execute("SELECT id, name FROM characters")),
        "encoder": dict(connection.execute("SELECT id, fingerprint FROM encoders")),
    }
    for values in connection.execute(*_query(table, person, character)):
        record: dict[str, Any] = {}
        for column, value in zip(table.columns, values, strict=False):
            record[column.name] = _shown(column.kind, value, names)
            if column.kind == "time":
                record[f"{column.name}_iso"] = _iso(value)
        if table.name == "facts":
            record[FACT_TURNS] = json.loads(values[-1])
        yield record


def _query(table: Table, person: str | None, character: str | None) -> tuple[str, list[str]]:
    columns = [column.column for column in table.columns]
    if table.name == "facts":
        cited = "SELECT turn_id FROM fact_turns WHERE fact_id = facts.id ORDER BY turn_id"
        columns.append(f"(SELECT json_group_array(turn_id) FROM ({cited}))")  # noqa: S608  no value of anybody's
    clauses, values = ["TRUE"], []
    for column, names, wanted in (("person_id", "people", person), ("character_id", "characters", character)):
        if wanted is None:
            continue
        is_wanted = f"{column} = (SELECT id FROM {names} WHERE name = ?)"  # noqa: S608  as above
        if table.of_turn:
            clauses.append(f"{table.of_turn} IN (SELECT id FROM turns WHERE {is_wanted})")  # noqa: S608  as above
        elif column in columns:
            clauses.append(is_wanted)
        else:
            clauses.append("FALSE")
            continue
        values.append(storable(wanted))
    selected = f"SELECT {', '.join(columns)} FROM {table.name} WHERE {' AND '.join(clauses)} ORDER BY {table.order}"  # noqa: S608
    return selected, values


def _shown(kind: Kind, value: Any, names: dict[str, dict[int, str]]) -> Any:
    if value is None:
        return None
    match kind:
        case "bytes":
            return base64.b64encode(value).decode()
        case "person" | "character" | "encoder":
            return names[kind][value]
        case "flag":
            return bool(value)
        case _:
            return value


def _iso(seconds: float | None) -> str | None:
    """The time as people write it; None where there is none, or none that a calendar has."""
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None
