"""Which rows somebody means who wants something forgotten: from a `Selection` to the ids of turns and all made of them.

The SQL of `memory.forgetting`; changes nothing. Each function reads over the connection its caller holds.
"""

import json
import sqlite3
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from memory import index
from memory.errors import MemoryInputError
from memory.relations import SPEAKER
from memory.rows import Pair
from memory.words import query_words, segmented, storable


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What is meant. Person, character, time, words and turns narrow each other; at least one of all is given.

    `since` and `until`: when it was said, in seconds since 1970 (UTC), `until` excluded. `words`: turns in which one
    utterance has all significant words of one of these, whatever the order, case, accents and English endings; with
    them facts and summaries that have these words. `fact_ids` are forgotten beside the turns, which stay; person,
    character and time narrow them too. `everything`: all that there is of the person or character given, without either
    of all of them.
    """

    person: str | None = None
    character: str | None = None
    since: float | None = None
    until: float | None = None
    words: tuple[str, ...] = ()
    turn_ids: tuple[int, ...] = ()
    fact_ids: tuple[int, ...] = ()
    everything: bool = False

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the person or character stays."""
        return not (self.words or self.turn_ids or self.fact_ids) and (self.since, self.until) == (None, None)

    @property
    def is_all(self) -> bool:
        """Whether nothing at all stays."""
        return self.is_whole and (self.person, self.character) == (None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Row ids of what goes, and the pairs it was between; with a whole person or character, all of their pairs."""

    turn_ids: tuple[int, ...]
    fact_ids: tuple[int, ...]
    summary_ids: tuple[int, ...]
    stimulus_ids: tuple[int, ...]
    mood_ids: tuple[int, ...]
    pairs: tuple[Pair, ...]


# Facts that cite what goes, with the words of what else they cite.
_CITING = """
    SELECT facts.id, facts.object, (
        SELECT group_concat(user_text, ' ') FROM fact_turns JOIN turns ON turns.id = turn_id
        WHERE fact_id = facts.id AND turn_id NOT IN (SELECT value FROM json_each(:turns))
    ) FROM facts WHERE id IN (
        SELECT fact_id FROM fact_turns WHERE turn_id IN (SELECT value FROM json_each(:turns))
    )
"""
_COVERING = """
    SELECT summaries.id FROM summaries WHERE EXISTS (
        SELECT 1 FROM turns WHERE turns.id IN (SELECT value FROM json_each(:turns))
        AND turns.id BETWEEN summaries.first_turn_id AND summaries.last_turn_id
        AND turns.person_id = summaries.person_id AND turns.character_id = summaries.character_id
    )
"""
_OF_EPISODE = """EXISTS (
    SELECT 1 FROM turns WHERE turns.id BETWEEN first_turn_id AND last_turn_id
    AND turns.person_id = summaries.person_id AND turns.character_id = summaries.character_id
    AND said_at >= coalesce(?, said_at) AND said_at < coalesce(?, 9e999)
)"""


def choose(connection: sqlite3.Connection, selection: Selection) -> Chosen:
    """All that goes with this selection. Raises MemoryInputError for one that selects by nothing."""
    _check(selection)
    turn_ids = _turn_ids(connection, selection)
    fact_ids = _fact_ids(connection, selection, turn_ids)
    summary_ids = _summary_ids(connection, selection, turn_ids)
    stimulus_ids = _stimulus_ids(connection, selection)
    return Chosen(
        turn_ids=turn_ids,
        fact_ids=fact_ids,
        summary_ids=summary_ids,
        stimulus_ids=stimulus_ids,
        mood_ids=_mood_ids(connection, selection),
        pairs=_pairs(connection, selection, turn_ids, fact_ids, summary_ids),
    )


def pair_names(connection: sqlite3.Connection, pairs: Collection[Pair]) -> tuple[tuple[str, str], ...]:
    """The names of these pairs, in the order of the alphabet."""
    both = "SELECT people.name, characters.name FROM people, characters WHERE people.id = ? AND characters.id = ?"
    return tuple(sorted(connection.execute(both, pair).fetchone() for pair in pairs))


def _check(selection: Selection) -> None:
    if selection == Selection():
        raise MemoryInputError("nothing is named that is to be forgotten; name a person, a time, words, or everything")
    for words in selection.words:
        if not any(letter.isalnum() for letter in words):
            raise MemoryInputError(f"there is no word in {words!r}; name words that are to be forgotten")


class _Where:
    """Conditions of a query, all of which must hold, with their values."""

    def __init__(self, selection: Selection) -> None:
        self._clauses = ["TRUE"]
        self.values: list[Any] = []
        if selection.person is not None:
            self.add("person_id = (SELECT id FROM people WHERE name = ?)", storable(selection.person))
        if selection.character is not None:
            self.add("character_id = (SELECT id FROM characters WHERE name = ?)", storable(selection.character))

    def add(self, clause: str, *values: object) -> None:
        self._clauses.append(clause)
        self.values += values

    def add_time(self, column: str, selection: Selection) -> None:
        if selection.since is not None:
            self.add(f"{column} >= ?", selection.since)
        if selection.until is not None:
            self.add(f"{column} < ?", selection.until)

    def ids(self, connection: sqlite3.Connection, table: str, column: str = "id") -> tuple[int, ...]:
        found = connection.execute(
            f"SELECT {column} FROM {table} WHERE {' AND '.join(self._clauses)} ORDER BY {column}",  # noqa: S608  our names
            self.values,
        )
        return tuple(number for (number,) in found)


def _turn_ids(connection: sqlite3.Connection, selection: Selection) -> tuple[int, ...]:
    if selection.fact_ids and not (selection.words or selection.turn_ids):
        return ()
    where = _Where(selection)
    where.add_time("said_at", selection)
    if selection.turn_ids:
        where.add("id IN (SELECT value FROM json_each(?))", json.dumps(selection.turn_ids))
    if selection.words:
        found = "SELECT rowid / 2 FROM utterances WHERE utterances MATCH ?"
        where.add(f"id IN ({found})", f"body : ({_any_of(selection.words)})")
    return where.ids(connection, "turns")


def _fact_ids(connection: sqlite3.Connection, selection: Selection, turn_ids: Sequence[int]) -> tuple[int, ...]:
    """With a turn goes a fact, unless others that it cites say the same: they may tell of a cat, this one its name."""
    citing = connection.execute(_CITING, {"turns": json.dumps(turn_ids)})
    ids = {
        number
        for number, what, rest in citing
        if not (rest and containing((what.replace(" called ", " "),), [(number, rest)]))
    }
    where = _Where(selection)
    where.add_time("recorded_from", selection)
    in_scope = set(where.ids(connection, "facts"))
    if selection.is_whole:
        ids |= in_scope
    ids |= in_scope & set(selection.fact_ids)
    if selection.words and not selection.turn_ids:
        # The words people use, not ours: what relations are called, and the speaker, who is the subject of most.
        said = "SELECT id, iif(subject = ?, object, subject || ' ' || object) FROM facts"
        ids |= in_scope & containing(selection.words, connection.execute(said, (SPEAKER,)))
    if not (selection.words or selection.turn_ids or selection.fact_ids):
        # What no turn supports: a person put it right themselves.
        where.add("id NOT IN (SELECT fact_id FROM fact_turns)")
        ids |= set(where.ids(connection, "facts"))
    return tuple(sorted(ids))


def _summary_ids(connection: sqlite3.Connection, selection: Selection, turn_ids: Sequence[int]) -> tuple[int, ...]:
    ids = {number for (number,) in connection.execute(_COVERING, {"turns": json.dumps(turn_ids)})}
    where = _Where(selection)
    if (selection.since, selection.until) != (None, None):
        where.add(_OF_EPISODE, selection.since, selection.until)
    in_scope = set(where.ids(connection, "summaries"))
    if selection.is_whole:
        ids |= in_scope
    if selection.words and not selection.turn_ids:
        ids |= in_scope & containing(selection.words, connection.execute("SELECT id, text FROM summaries"))
    return tuple(sorted(ids))


def _stimulus_ids(connection: sqlite3.Connection, selection: Selection) -> tuple[int, ...]:
    if selection.words or selection.turn_ids or selection.fact_ids:
        return ()
    where = _Where(selection)
    where.add_time("happened_at", selection)
    return where.ids(connection, "stimuli")


def _mood_ids(connection: sqlite3.Connection, selection: Selection) -> tuple[int, ...]:
    """A mood is the character's own, of all it went through: it goes with the character only."""
    if not selection.is_whole or selection.person is not None:
        return ()
    return _Where(selection).ids(connection, "moods", "character_id")


def _pairs(
    connection: sqlite3.Connection,
    selection: Selection,
    turn_ids: Sequence[int],
    fact_ids: Sequence[int],
    summary_ids: Sequence[int],
) -> tuple[Pair, ...]:
    pairs: set[Pair] = set()
    for table, ids in (("turns", turn_ids), ("facts", fact_ids), ("summaries", summary_ids)):
        pairs.update(_between(connection, table, ids))
    if selection.is_whole:
        conversations = _Where(selection).ids(connection, "conversations")
        pairs.update(_between(connection, "conversations", conversations))
    return tuple(sorted(pairs))


def _between(connection: sqlite3.Connection, table: str, ids: Sequence[int]) -> Iterable[Pair]:
    those = "id IN (SELECT value FROM json_each(?))"
    return connection.execute(
        f"SELECT DISTINCT person_id, character_id FROM {table} WHERE {those}",  # noqa: S608  names from this module
        (json.dumps(ids),),
    )


def _any_of(alternatives: Iterable[str]) -> str:
    """An FTS5 expression for all the words of one of these, which nothing in a word can break out of."""
    return " OR ".join(f"({_all_words(storable(words))})" for words in alternatives)


def _all_words(words: str) -> str:
    significant = query_words(words)
    if not significant:  # "who": then it is just this that is meant
        return '"' + segmented(words).replace("\0", " ").replace('"', '""') + '"'
    return " AND ".join(word.phrase for word in significant)


def containing(words: Sequence[str], texts: Iterable[tuple[int, str]]) -> set[int]:
    """Which of these texts contain the words, by the same rules as the index: asked of an index in RAM."""
    scratch = sqlite3.connect(":memory:")
    try:
        scratch.execute(index.CREATE)
        rows = ((number, segmented(text)) for number, text in texts)
        scratch.executemany("INSERT INTO utterances(rowid, body) VALUES (?, ?)", rows)
        found = scratch.execute("SELECT rowid FROM utterances WHERE utterances MATCH ?", (_any_of(words),))
        return {number for (number,) in found}
    finally:
        scratch.close()
