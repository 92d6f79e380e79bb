"""Taking in a memory that `memory.exchange` wrote: into an empty memory as it was, into another one without doubles.

One transaction: a file that is cut short, or another program's, changes nothing. The file is read record by record.

In an empty memory everything gets the number that it had, so that an export of it is the same file again. In one that
holds something, a turn is the same if pair, time and words are, and everything else if all of it is; what is the same
is there once. Turns are put between those that are there by the time they were said, and get new numbers, for numbers
tell the order: a character must not take what was said last year for the last that was said. Then both become one
(`memory.merging`).

What is in the file is checked as if an enemy had written it: whatever no memory writes is refused, in one line.
"""

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
from memory.merging import drop_overlapping_summaries, settle_facts
from memory.records import RecordError, check_fact, cited_turns, is_number_of_record, plain_value
from memory.renumbering import put_in_order
from memory.rows import Pair
from memory.store import MemoryStore
from memory.words import storable

_TABLES = {table.name: table for table in TABLES}
_UNSEEN = {
    "turns": ("id", "conversation", "interrupted"),
    "facts": ("id", "valid_to", "recorded_to", "ended_by"),
}
"""What does not count when it is asked whether a turn or a fact is there already: one of both may know of an end that
the other does not."""

_END = "UPDATE facts SET valid_to = ?, recorded_to = ? WHERE id = ? AND valid_to IS NULL AND recorded_to IS NULL"

_SHOWN_LETTERS = 40


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
        except (JsonStreamError, UnicodeDecodeError, RecordError) as error:
            raise MemoryInputError(f"{path} cannot be imported, nothing of it was: {error}") from error
        except OSError as error:
            raise MemoryAccessError(f"{path} cannot be read: {error.strerror}") from error

    return store.write("import", work)


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
        self._pair_of: dict[int, Pair] = {}
        self._added: defaultdict[Pair, set[int]] = defaultdict(set)
        self._summaries: defaultdict[Pair, set[int]] = defaultdict(set)
        self._facts: dict[int, tuple[Pair, int]] = {}
        self._ended: dict[int, tuple[Pair, int | None]] = {}
        self._told_of: set[Pair] = set()
        self._lengths: dict[int, int] = {}
        self._known: dict[str, defaultdict[tuple[Any, ...], list[int]]] = {}
        self._counts: defaultdict[str, int] = defaultdict(int)

    def run(self, given: Iterator[tuple[str, object]]) -> Imported:
        if (next(given, None), next(given, None)) != (("format", FORMAT), ("version", VERSION)):
            raise RecordError(f"it is no exported memory of version {VERSION}; `familiar memory export` writes one")
        met: set[str] = set()
        number, before = 0, ""
        for name, record in given:
            number, before = (number + 1 if name == before else 1), name
            if name not in _TABLES or (number == 1 and name in met):
                raise RecordError(f"there must not be {name[:_SHOWN_LETTERS]!r} here")
            met.add(name)
            try:
                self._take(_TABLES[name], record)
            except (RecordError, sqlite3.IntegrityError) as error:
                raise RecordError(f"{name}, record {number}: {error}") from error
        self._say_what_ended_facts()
        moved: dict[int, int] = {}
        for pair, added in self._added.items():
            moved |= put_in_order(self._connection, pair, added)
        if self._added:
            index.rebuild(self._connection, rows.all_turns(self._connection))
        if not self._was_empty:
            self._become_one(moved)
        wiping.mark(self._connection, is_due=False)
        counts = {name: self._counts[name] for name in ("turns", "known_turns", "facts", "summaries")}
        return Imported(**counts)

    def _become_one(self, moved: dict[int, int]) -> None:
        turns_of_file = {moved.get(number, number) for number in self._turns.values()}
        for pair in self._told_of | self._added.keys():
            settle_facts(self._connection, pair)
            self._counts["summaries"] -= drop_overlapping_summaries(
                self._connection,
                pair,
                came=self._summaries[pair],
                turns_came={moved.get(number, number) for number in self._added[pair]},
                turns_of_file=turns_of_file,
            )

    def _take(self, table: Table, record: object) -> None:
        if not isinstance(record, dict):
            raise RecordError("it is no record")
        values = self._values(table, record)
        match table.name:
            case "conversations":
                self._take_conversation(table, values)
            case "turns":
                self._take_turn(table, values)
            case "facts":
                self._take_fact(table, values, cited_turns(record))
            case "summaries":
                self._take_summary(table, values, (record["first_turn"], record["last_turn"]))
            case "stimuli":
                self._add_once(table, values)
            case "meanings":
                self._take_meaning(table, values)
            case "moods":
                self._take_mood(table, values)
            case "progress":
                self._take_progress(table, values)
            case _:
                self._insert(table, values, or_ignore=not self._was_empty)

    def _take_conversation(self, table: Table, values: dict[str, Any]) -> None:
        if values["id"] in self._conversations:
            raise RecordError(f"there are two conversations of number {values['id']}")
        here = self._insert(table, values) if self._was_empty else None
        self._conversations[values["id"]] = ((values["person"], values["character"]), here)

    def _take_turn(self, table: Table, values: dict[str, Any]) -> None:
        number, conversation = values["id"], values["conversation"]
        if number in self._turns:
            raise RecordError(f"there are two turns of number {number}")
        if conversation not in self._conversations:
            raise RecordError(f"there is no conversation {conversation}")
        pair, here = self._conversations[conversation]
        if pair != (values["person"], values["character"]):
            raise RecordError(f"it is in a conversation of others, {conversation}")
        if known := self._same(table, values):
            self._turns[number], self._pair_of[number] = known, pair
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
        self._turns[number], self._pair_of[number] = self._insert(table, {**values, "conversation": here}), pair
        self._added[pair].add(self._turns[number])

    def _take_meaning(self, table: Table, values: dict[str, Any]) -> None:
        n_bytes = len(values["embedding"])
        if not n_bytes or self._lengths.setdefault(values["encoder"], n_bytes) != n_bytes:
            raise RecordError("'embedding' is empty, or of another length than the encoder's first one")
        self._insert(table, values, or_ignore=not self._was_empty)

    def _take_fact(self, table: Table, values: dict[str, Any], cited: list[Any]) -> None:
        pair, number, ended_by = (values["person"], values["character"]), values["id"], values["ended_by"]
        if number in self._facts:
            raise RecordError(f"there are two facts of number {number}")
        turn_ids = [self._own_turn(turn, pair) for turn in cited]
        known = self._same(table, values)
        # One that comes later may be what ended it.
        fact_id = known or self._insert(table, {**values, "ended_by": None})
        if not known or self._connection.execute(_END, (values["valid_to"], values["recorded_to"], known)).rowcount:
            self._ended[fact_id] = (pair, ended_by)
        self._facts[number] = (pair, fact_id)
        self._connection.executemany(
            "INSERT OR IGNORE INTO fact_turns VALUES (?, ?)", [(fact_id, turn_id) for turn_id in turn_ids]
        )
        self._told_of.add(pair)

    def _say_what_ended_facts(self) -> None:
        for fact_id, (pair, number) in self._ended.items():
            if number is None:
                continue
            of, by = self._facts.get(number, (None, 0))
            if of != pair or by == fact_id:
                raise RecordError(f"fact {number} ends a fact of others than it, or itself, or is not there")
            self._connection.execute("UPDATE facts SET ended_by = ? WHERE id = ?", (by, fact_id))

    def _take_summary(self, table: Table, values: dict[str, Any], ends: tuple[int, int]) -> None:
        pair = (values["person"], values["character"])
        for number in ends:
            self._own_turn(number, pair)
        if ends[0] > ends[1]:
            raise RecordError("'first_turn' comes after 'last_turn'")
        if not self._same(table, values):
            self._summaries[pair].add(self._insert(table, values))
            self._told_of.add(pair)

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
        if self._was_empty:
            # The mark of a turn that was forgotten since would lie on one that is still to come.
            values = {**values, "turn": min(values["turn"], max(self._turns, default=0))}
        else:
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
        unseen = _UNSEEN.get(table.name, ("id",))
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
            raise RecordError(f"there must not be {name[:_SHOWN_LETTERS]!r} in it")
        values = {column.name: self._value(column, record) for column in table.columns}
        if table.name == "facts":
            check_fact(values)
        return values

    def _value(self, column: Column, record: dict[str, Any]) -> Any:
        value = record.get(column.name)
        match column.kind, value:
            case "person" | "character" | "encoder", str() if value.strip():
                return self._named(column.kind, storable(value))
            case "turn", int():
                return self._turn(value)
            case "utterance", int() if not isinstance(value, bool):
                return 2 * self._turn(value // 2) + value % 2
        return plain_value(column, value)

    def _turn(self, number: object) -> int:
        if not is_number_of_record(number):
            raise RecordError("the number of a turn is none")
        if number not in self._turns:
            raise RecordError(f"there is no turn {number}")
        return self._turns[number]

    def _own_turn(self, number: int, pair: Pair) -> int:
        """Of a turn that something is made of: nobody's facts come from what another one said."""
        here = self._turn(number)
        if self._pair_of[number] != pair:
            raise RecordError(f"turn {number} is of others than it")
        return here

    def _named(self, kind: str, name: str) -> int:
        if name not in self._ids[kind]:
            table, column = {"person": ("people", "name"), "character": ("characters", "name")}.get(
                kind, ("encoders", "fingerprint")
            )
            self._connection.execute(f"INSERT OR IGNORE INTO {table} ({column}) VALUES (?)", (name,))  # noqa: S608
            found = self._connection.execute(f"SELECT id FROM {table} WHERE {column} = ?", (name,))  # noqa: S608
            (self._ids[kind][name],) = found.fetchone()
        return self._ids[kind][name]
