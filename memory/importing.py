"""Taking in a memory that `memory.exchange` wrote: into an empty memory as it was, into another one without doubles.

One transaction: a file that is cut short, or another program's, changes nothing. The file is read record by record.

In an empty memory everything gets the number that it had, so that an export of it is the same file again. In one that
holds something, a turn is the same if pair, time and words are, and everything else if all of it is; what is the same
is there once. Turns are put between those that are there by the time they were said, and get new numbers, for numbers
tell the order: a character must not take what was said last year for the last that was said.
"""

import base64
import binascii
import math
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from memory import index, rows, wiping
from memory.database import is_alone
from memory.errors import MemoryAccessError, MemoryBusyError, MemoryInputError
from memory.exchange import FACT_TURNS, FORMAT, TABLES, VERSION, Column, Table
from memory.json_stream import JsonStreamError, members
from memory.relations import RELATIONS
from memory.renumbering import put_in_order
from memory.rows import Pair
from memory.store import MemoryStore
from memory.words import storable

_TABLES = {table.name: table for table in TABLES}
_UNSEEN_IN_TURNS = ("id", "conversation", "interrupted")
"""What does not count when it is asked whether a turn is there already."""

_MOST_WHOLE = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """How much came in, and how many turns of the file were there already."""

    turns: int
    known_turns: int
    facts: int
    summaries: int


def import_memory(store: MemoryStore, path: Path) -> Imported:
    """Take in the memory that `path` holds. Raises MemoryInputError if the file is none, MemoryAccessError if it cannot
    be read, MemoryBusyError while another program, such as a companion that talks, has the memory open."""
    if not store.read("import", is_alone):
        raise MemoryBusyError(f"{store.path} is open in another program: end the companion before an import")

    def work(connection: sqlite3.Connection) -> Imported:
        try:
            with path.open(encoding="utf-8") as file:
                return _Import(connection).run(members(file.read))
        except (JsonStreamError, UnicodeDecodeError, _RecordError) as error:
            raise MemoryInputError(f"{path} cannot be imported, nothing of it was: {error}") from error
        except OSError as error:
            raise MemoryAccessError(f"{path} cannot be read: {error.strerror}") from error

    return store.write("import", work)


class _RecordError(ValueError):
    """A record that does not fit; the message says which and why."""


class _Import:
    """One import: what the numbers of the file are here, and what was there before."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        (n_before,) = connection.execute(
            "SELECT (SELECT count(*) FROM conversations) + (SELECT count(*) FROM facts) + (SELECT count(*) FROM moods)"
        ).fetchone()
        self._was_empty = n_before == 0
        self._ids: dict[str, dict[str, int]] = {"person": {}, "character": {}, "encoder": {}}
        self._conversations: dict[int, tuple[Pair, int | None]] = {}
        self._turns: dict[int, int] = {}
        self._added: defaultdict[Pair, set[int]] = defaultdict(set)
        self._known: dict[str, defaultdict[tuple[Any, ...], list[int]]] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)

    def run(self, given: Iterator[tuple[str, object]]) -> Imported:
        if (next(given, None), next(given, None)) != (("format", FORMAT), ("version", VERSION)):
            raise _RecordError(f"it is no exported memory of version {VERSION}; `familiar memory export` writes one")
        met: set[str] = set()
        number, before = 0, ""
        for name, record in given:
            number, before = (number + 1 if name == before else 1), name
            if name not in _TABLES or (number == 1 and name in met):
                raise _RecordError(f"there must not be {name!r} here")
            met.add(name)
            try:
                self._take(_TABLES[name], record)
            except (_RecordError, sqlite3.IntegrityError) as error:
                raise _RecordError(f"{name}, record {number}: {error}") from error
        if self._added:
            for pair, added in self._added.items():
                put_in_order(self._connection, pair, added)
            index.rebuild(self._connection, rows.all_turns(self._connection))
        wiping.mark(self._connection, is_due=False)
        counts = {name: self._counts[name] for name in ("turns", "known_turns", "facts", "summaries")}
        return Imported(**counts)

    def _take(self, table: Table, record: object) -> None:
        if not isinstance(record, dict):
            raise _RecordError("it is no record")
        values = self._values(table, record)
        match table.name:
            case "conversations":
                self._take_conversation(table, values)
            case "turns":
                self._take_turn(table, values)
            case "facts":
                fact_id = self._add_once(table, values)
                cited = [self._turn(number) for number in _list(record, FACT_TURNS)]
                self._connection.executemany(
                    "INSERT OR IGNORE INTO fact_turns VALUES (?, ?)", [(fact_id, turn_id) for turn_id in cited]
                )
            case "summaries" | "stimuli":
                self._add_once(table, values)
            case "moods":
                self._take_mood(table, values)
            case "progress":
                self._take_progress(table, values)
            case _:
                self._insert(table, values, or_ignore=not self._was_empty)

    def _take_conversation(self, table: Table, values: dict[str, Any]) -> None:
        if values["id"] in self._conversations:
            raise _RecordError(f"there are two conversations of number {values['id']}")
        here = self._insert(table, values) if self._was_empty else None
        self._conversations[values["id"]] = ((values["person"], values["character"]), here)

    def _take_turn(self, table: Table, values: dict[str, Any]) -> None:
        number, conversation = values["id"], values["conversation"]
        if number in self._turns:
            raise _RecordError(f"there are two turns of number {number}")
        if conversation not in self._conversations:
            raise _RecordError(f"there is no conversation {conversation}")
        pair, here = self._conversations[conversation]
        if pair != (values["person"], values["character"]):
            raise _RecordError(f"it is in a conversation of others, {conversation}")
        if known := self._same(table, values):
            self._turns[number] = known
            self._counts["known_turns"] += 1
            if here is None:
                (here,) = self._connection.execute(
                    "SELECT conversation_id FROM turns WHERE id = ?", (known,)
                ).fetchone()
                self._conversations[conversation] = (pair, here)
            return
        if here is None:
            here = rows.add_conversation(self._connection, pair)
            self._conversations[conversation] = (pair, here)
        self._turns[number] = self._insert(table, {**values, "conversation": here})
        self._added[pair].add(self._turns[number])

    def _take_mood(self, table: Table, values: dict[str, Any]) -> None:
        """Of two moods of a character the newer is the one it is in."""
        kept = self._connection.execute(
            "SELECT 1 FROM moods WHERE character_id = ? AND felt_at >= ?", (values["character"], values["felt_at"])
        ).fetchone()
        if not kept:
            self._connection.execute("DELETE FROM moods WHERE character_id = ?", (values["character"],))
            self._insert(table, values)

    def _take_progress(self, table: Table, values: dict[str, Any]) -> None:
        """How far work in idle time had come: for a pair that was known before, as far as it had come here."""
        pair = (values["person"], values["character"])
        if not self._was_empty:
            done = [
                here for number, here in self._turns.items() if number <= values["turn"] and here in self._added[pair]
            ]
            (n_here,) = self._connection.execute(
                "SELECT count(*) FROM turns WHERE person_id = ? AND character_id = ?", pair
            ).fetchone()
            if not done or n_here != len(self._added[pair]):
                return
            values = {**values, "turn": max(done)}
        self._insert(table, values)

    def _add_once(self, table: Table, values: dict[str, Any]) -> int:
        return self._same(table, values) or self._insert(table, values)

    def _same(self, table: Table, values: dict[str, Any]) -> int | None:
        """The row that is there already and the same; each row once, for somebody may well have said a thing twice."""
        if self._was_empty:
            return None
        unseen = _UNSEEN_IN_TURNS if table.name == "turns" else ("id",)
        seen = [column for column in table.columns if column.name not in unseen]
        if table.name not in self._known:
            self._known[table.name] = defaultdict(list)
            columns = ", ".join(column.column for column in seen)
            for number, *there in self._connection.execute(f"SELECT id, {columns} FROM {table.name} ORDER BY id DESC"):  # noqa: S608
                self._known[table.name][tuple(there)].append(number)
        same = self._known[table.name][tuple(values[column.name] for column in seen)]
        return same.pop() if same else None

    def _insert(self, table: Table, values: dict[str, Any], *, or_ignore: bool = False) -> int:
        if not self._was_empty and "id" in values:
            values = {**values, "id": None}
        names = ", ".join(column.column for column in table.columns)
        marks = ", ".join("?" * len(table.columns))
        verb = "INSERT OR IGNORE" if or_ignore else "INSERT"
        done = self._connection.execute(
            f"{verb} INTO {table.name} ({names}) VALUES ({marks})",
            [values[column.name] for column in table.columns],
        )
        self._counts[table.name] += done.rowcount
        return done.lastrowid or 0

    def _values(self, table: Table, record: dict[str, Any]) -> dict[str, Any]:
        """The record as the table wants it, by name."""
        names = {column.name for column in table.columns}
        extra = {f"{column.name}_iso" for column in table.columns if column.kind == "time"}
        extra |= {FACT_TURNS} if table.name == "facts" else set()
        for name in record.keys() - names - extra:
            raise _RecordError(f"there must not be {name!r} in it")
        return {column.name: self._value(column, record) for column in table.columns}

    def _value(self, column: Column, record: dict[str, Any]) -> Any:
        value = record.get(column.name)
        if value is None and column.optional:
            return None
        match column.kind, value:
            case "text", str():
                return storable(value)
            case "relation", str() if value in RELATIONS:
                return value
            case "number" | "time", int() | float() if not isinstance(value, bool) and math.isfinite(value):
                return float(value)
            case "flag", bool():
                return value
            case "bytes", str():
                return _decoded(column, value)
            case "person" | "character" | "encoder", str() if value.strip():
                return self._named(column.kind, storable(value))
            case "turn", int() if not isinstance(value, bool):
                return self._turn(value)
            case "utterance", int() if not isinstance(value, bool):
                return 2 * self._turn(value // 2) + value % 2
            case "id" | "whole" | "mark" | "conversation", int() if not isinstance(value, bool):
                if abs(value) <= _MOST_WHOLE:
                    return value
        raise _RecordError(f"{column.name!r} is missing or not what it must be")

    def _turn(self, number: object) -> int:
        if number not in self._turns:
            raise _RecordError(f"there is no turn {number}")
        return self._turns[number]

    def _named(self, kind: str, name: str) -> int:
        if name not in self._ids[kind]:
            table, column = {"person": ("people", "name"), "character": ("characters", "name")}.get(
                kind, ("encoders", "fingerprint")
            )
            self._connection.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (name,))  # noqa: S608
            found = self._connection.execute(f"SELECT id FROM {table} WHERE {column} = ?", (name,))  # noqa: S608
            (self._ids[kind][name],) = found.fetchone()
        return self._ids[kind][name]


def _list(record: dict[str, Any], name: str) -> list[Any]:
    value = record.get(name)
    if not isinstance(value, list):
        raise _RecordError(f"{name!r} is missing or not what it must be")
    return value


def _decoded(column: Column, value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise _RecordError(f"{column.name!r} is no base64") from error
