"""What must hold of a memory after its program was killed: for `tools.kill_memory`, as sentences about what does not.

`Ledger` keeps what the killed programs had acknowledged, and what they were doing when they ended: that may have
happened or not, but wholly. `flaws` looks at the file alone.
"""

import sqlite3
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from memory import facts, index, rows
from memory.store import MemoryStore
from tools.kill_memory_life import BIRTHDAY, CHARACTER, HOME, PERSON

_ORPHANS = {
    "a meaning of no turn": "SELECT 1 FROM meanings WHERE utterance_id / 2 NOT IN (SELECT id FROM turns)",
    "a fact of no turn": "SELECT 1 FROM facts WHERE id NOT IN (SELECT fact_id FROM fact_turns)",
    "a summary of a turn that is not there": (
        "SELECT 1 FROM summaries WHERE first_turn_id NOT IN (SELECT id FROM turns)"
        " OR last_turn_id NOT IN (SELECT id FROM turns)"
    ),
    "two summaries of one turn": (
        "SELECT 1 FROM summaries AS one JOIN summaries AS other ON one.id < other.id"
        " AND one.first_turn_id <= other.last_turn_id AND other.first_turn_id <= one.last_turn_id"
    ),
}


def flaws(path: Path, *, with_index: bool) -> list[str]:
    """What is wrong with a memory that nobody has open; `with_index` compares the index with one made anew."""
    found = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        found += [
            f"integrity_check: {text}" for (text,) in connection.execute("PRAGMA integrity_check") if text != "ok"
        ]
        found += [f"a row of {row[0]} refers to nothing" for row in connection.execute("PRAGMA foreign_key_check")]
        found += [name for name, query in _ORPHANS.items() if connection.execute(query).fetchone()]
        try:
            connection.execute("INSERT INTO utterances(utterances) VALUES ('integrity-check')")
        except sqlite3.DatabaseError as error:
            found.append(f"the full-text index contradicts itself: {error}")
        if with_index and not _index_is_that_of_the_turns(connection):
            found.append("the full-text index is not that of the turns")
    return found


def _index_is_that_of_the_turns(connection: sqlite3.Connection) -> bool:
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as copy:
        connection.backup(copy)
        copy.execute("CREATE VIRTUAL TABLE temp.terms USING fts5vocab(main, utterances, instance)")
        before = Counter(copy.execute("SELECT * FROM terms"))
        copy.execute("BEGIN")
        index.rebuild(copy, list(rows.all_turns(copy)))
        return before == Counter(copy.execute("SELECT * FROM terms"))


@dataclass(slots=True, kw_only=True)
class Ledger:
    """What a memory was told and has acknowledged, over several lives."""

    turns: dict[int, str] = field(default_factory=dict)
    forgotten: dict[int, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    begun: tuple[str, Mapping[str, str | int]] | None = None
    n_acknowledged: int = 0

    def take(self, when: str, operation: str, what: Mapping[str, str | int]) -> None:
        """Note a message of a life."""
        if when == "begins":
            self.begun = (operation, what)
            return
        self.begun = None
        self.n_acknowledged += operation != "open"
        if operation == "talk":
            self.turns[int(what["turn_id"])] = str(what["text"])
        elif operation == "forget":
            self._forget(int(what["turn_id"]))
        elif operation == "record":
            self.values[str(what["relation"])] = str(what["value"])

    def broken_promises(self, path: Path) -> list[str]:
        """Open the memory as the next life would, and compare. What was being done when the last one ended is then
        known to have happened or not, and has to stay so."""
        with MemoryStore(path) as store:
            notice = store.notice
            kept = {turn.turn_id or 0: turn.user_text for turn in store.last_turns(PERSON, CHARACTER, 1_000_000)}
            holding = facts.current(store, PERSON, CHARACTER)
        found = [] if notice is None else [f"damage: {notice}"]
        self._settle_turns(kept)
        found += [f"turn {number} was acknowledged and is lost" for number in self.turns.keys() - kept.keys()]
        found += [f"turn {number} came back, or nobody said it" for number in kept.keys() - self.turns.keys()]
        found += [f"turn {n} has other words" for n in self.turns.keys() & kept.keys() if self.turns[n] != kept[n]]
        for relation in (HOME, BIRTHDAY):
            found += self._broken_value(relation, [fact.object for fact in holding if fact.relation == relation])
        self.begun = None
        return found + self._readable(path)

    def _settle_turns(self, kept: Mapping[int, str]) -> None:
        operation, what = self.begun or ("", {})
        if operation == "talk":
            self.turns.update({number: text for number, text in kept.items() if text == what["text"]})
        elif operation == "forget" and what["turn_id"] not in kept:
            self._forget(int(what["turn_id"]))

    def _broken_value(self, relation: str, holding: list[str]) -> list[str]:
        operation, what = self.begun or ("", {})
        allowed = {self.values.get(relation)}
        if operation == "record" and what["relation"] == relation:
            allowed.add(str(what["value"]))
        if len(holding) > 1:
            return [f"{len(holding)} values of {relation} hold at once"]
        value = holding[0] if holding else None
        if value not in allowed:
            return [f"{relation} is {value}, not one of {allowed}"]
        if value is not None:
            self.values[relation] = value
        return []

    def _readable(self, path: Path) -> list[str]:
        """Opening wipes what a life had no time to wipe, so that nothing forgotten is in the files any more."""
        content = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*")).lower()
        words = {number: text.split(",")[0].split()[-1].lower() for number, text in self.forgotten.items()}
        return [f"turn {n} was forgotten and can be read" for n, word in words.items() if word.encode() in content]

    def _forget(self, turn_id: int) -> None:
        self.forgotten[turn_id] = self.turns.pop(turn_id, self.forgotten.get(turn_id, ""))
