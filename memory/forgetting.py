"""Forgetting: the turns that are chosen, and everything that was made of them.

With a turn go its rows in the full-text index, what an encoder and recall noted about it, the facts that no other turn
supports (what these had put an end to holds again), and the summaries of episodes it was part of; with the last of what
was known of a person or a character, the name itself. One transaction: a power cut leaves all of it or none. `forget`
leaves the traces in the files to `wipe`, which takes seconds on a large memory, so that somebody who says "forget that"
is answered at once.

Saved states of the engine and copies of the file outside of the memory are left to whoever made them; `copies_of` names
those that this package makes.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from memory import index, rows, selecting, wiping
from memory.database import aside_at, copies_of
from memory.errors import MemoryAccessError
from memory.messages import Turn
from memory.relations import RELATIONS
from memory.selecting import Chosen, Selection
from memory.store import MemoryStore

REBUILD_SHARE = 0.1
"""If more than this share of all turns goes, the index is written anew from what stays, which then is quicker than to
take every single row out of it."""

# What a fact that goes had put an end to holds on, as if that had never been said: until now, or until what came after
# it, which then is what ended it. An error that was taken out of the record takes over all of its end. Of what was over
# nothing changes where the fact that goes was itself an error, for the record went on from there.
_HAND_ON = """
    UPDATE facts SET
        valid_to = CASE
            WHEN facts.recorded_to IS NULL AND gone.recorded_to IS NOT NULL THEN facts.valid_to
            ELSE max(gone.valid_to, coalesce(facts.valid_from, gone.valid_to))
        END,
        recorded_to = iif(facts.recorded_to IS NULL, NULL, gone.recorded_to),
        ended_by = gone.ended_by
    FROM facts AS gone WHERE gone.id = :gone AND facts.ended_by = gone.id
"""
_ENDED_BY = """
    SELECT facts.id, facts.relation, gone.relation FROM facts JOIN facts AS gone ON gone.id = facts.ended_by
    WHERE gone.id = ? AND facts.recorded_to IS NULL
    ORDER BY (SELECT max(turn_id) FROM fact_turns WHERE fact_id = facts.id), facts.id
"""

_WORDS = ("turns", "facts", "summaries")
"""The tables of what was said and what was made of it, each with person and character."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How much was, or would be, forgotten. `pairs`: the names of whom it was between."""

    turns: int = 0
    facts: int = 0
    summaries: int = 0
    stimuli: int = 0
    moods: int = 0
    pairs: tuple[tuple[str, str], ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to forget."""
        return not (self.turns or self.facts or self.summaries or self.stimuli or self.moods or self.pairs)


def preview(store: MemoryStore, selection: Selection) -> Forgotten:
    """What `forget` would forget now. Raises MemoryInputError for a selection of nothing at all."""
    return store.read("look for what is to be forgotten", lambda connection: _counted(connection, selection)[1])


def forget(store: MemoryStore, selection: Selection) -> Forgotten:
    """Forget what is selected; when this returns no question finds it any more, and `wipe` is due.

    Raises MemoryInputError for a selection of nothing at all.
    """

    def work(connection: sqlite3.Connection) -> Forgotten:
        # What can be overwritten at once is, should `wipe` never come to it.
        connection.execute("PRAGMA secure_delete = ON")
        chosen, forgotten = _counted(connection, selection)
        if not forgotten.is_nothing:
            _remove(connection, chosen)
            _drop_empty_names(connection, chosen)
            wiping.mark(connection)
        return forgotten

    return store.write("forget", work)


def forget_newest(store: MemoryStore, person: str, character: str, n: int = 1) -> Forgotten:
    """Forget the last `n` turns of this pair: what is meant by "forget that"."""
    newest = store.last_turns(person, character, n)
    if not newest:
        return Forgotten()
    turn_ids = tuple(turn.turn_id for turn in newest if turn.turn_id is not None)
    return forget(store, Selection(person=person, character=character, turn_ids=turn_ids))


def wipe(store: MemoryStore, stop: threading.Event | None = None) -> None:
    """Wipe what was forgotten from the files, if that is due. Some seconds for a large memory, 100,000 turns; once
    `stop` is set, it is left for another time.

    Works beside other programs that have the memory open. Raises MemoryBusyError or MemoryFullError; then it is done at
    the next opening, or by calling again.
    """

    def work(connection: sqlite3.Connection) -> None:
        if not wiping.is_due(connection):
            return
        try:
            wiping.wipe(connection, stop)
        except sqlite3.OperationalError as error:
            if stop is None or not stop.is_set() or error.sqlite_errorcode != sqlite3.SQLITE_INTERRUPT:
                raise

    store.read("wipe what was forgotten", work)


def is_wiping_due(store: MemoryStore) -> bool:
    """Whether something was forgotten that is not wiped from the files yet."""
    return store.read("look for what is to be wiped", wiping.is_due)


def n_forgettings(store: MemoryStore) -> int:
    """A number that rises whenever something is forgotten, by this program or another: whoever holds words of the
    memory (a prompt, a cache of vectors) then has to read them again."""
    return store.read("look for what was forgotten", wiping.n_forgettings)


def still_there(store: MemoryStore, turn_ids: Sequence[int]) -> frozenset[int]:
    """Those of these turns that were not forgotten."""
    there = "SELECT id FROM turns WHERE id IN (SELECT value FROM json_each(?))"
    return store.read(
        "look for what was forgotten",
        lambda connection: frozenset(turn_id for (turn_id,) in connection.execute(there, (json.dumps(turn_ids),))),
    )


def containing(words: str, texts: Sequence[str]) -> frozenset[int]:
    """The positions of those texts that contain these words, as `Selection.words` means it: for what the memory does
    not have, or not yet."""
    if not texts or not any(letter.isalnum() for letter in words):
        return frozenset()
    return frozenset(selecting.containing((words,), enumerate(texts)))


def forget_copies(store: MemoryStore) -> tuple[Path, ...]:
    """Remove the copies beside this memory, which belong to "everything"; returns them. Raises MemoryAccessError."""
    return remove_copies(store.path)


def remove_copies(path: Path, before: float | None = None) -> tuple[Path, ...]:
    """Remove the copies beside the memory at `path` that `copies_of` names, or of those that were set aside the ones
    from before this time (seconds since 1970); returns them. Raises MemoryAccessError."""
    copies = tuple(copy for copy in copies_of(path) if before is None or _is_aside_since(copy, before))
    for copy in copies:
        try:
            copy.unlink(missing_ok=True)
        except OSError as error:
            raise MemoryAccessError(
                f"{copy} could not be removed: {error.strerror}; make {path.parent} writable for this user"
            ) from error
    return copies


def _is_aside_since(copy: Path, before: float) -> bool:
    at = aside_at(copy)
    return at is not None and at < before


def _counted(connection: sqlite3.Connection, selection: Selection) -> tuple[Chosen, Forgotten]:
    chosen = selecting.choose(connection, selection)
    return chosen, Forgotten(
        turns=len(chosen.turn_ids),
        facts=len(chosen.fact_ids),
        summaries=len(chosen.summary_ids),
        stimuli=len(chosen.stimulus_ids),
        moods=len(chosen.mood_ids),
        pairs=selecting.pair_names(connection, chosen.pairs),
    )


def _remove(connection: sqlite3.Connection, chosen: Chosen) -> None:
    """Children before parents: nothing may be left that refers to what is gone."""
    for fact_id in chosen.fact_ids:
        # One after the other: what this one had ended is then ended by none that goes as well.
        _hand_on_its_ends(connection, fact_id)
        connection.execute("DELETE FROM facts WHERE id = ?", (fact_id,))
    _delete(connection, "summaries", "id", chosen.summary_ids)
    _delete(connection, "stimuli", "id", chosen.stimulus_ids)
    _delete(connection, "moods", "character_id", chosen.mood_ids)
    _delete(connection, "meanings", "utterance_id", [each for n in chosen.turn_ids for each in (2 * n, 2 * n + 1)])
    (n_all,) = connection.execute("SELECT count(*) FROM turns").fetchone()
    if len(chosen.turn_ids) > REBUILD_SHARE * n_all:
        _delete(connection, "turns", "id", chosen.turn_ids)
        index.rebuild(connection, rows.all_turns(connection))
    else:
        for turn_id in chosen.turn_ids:
            _remove_turn(connection, turn_id)


def _hand_on_its_ends(connection: sqlite3.Connection, fact_id: int) -> None:
    """Let hold again what this fact ended; of several values of what has one at a time, the newest."""
    ended = connection.execute(_ENDED_BY, (fact_id,)).fetchall()
    values = [number for number, relation, by in ended if _excludes(relation, by)]
    # Several where an old turn was read late: it found its end in what was known already, and so had what it would
    # have ended itself.
    connection.executemany("UPDATE facts SET ended_by = ? WHERE id = ?", zip(values[1:], values, strict=False))
    connection.execute(_HAND_ON, {"gone": fact_id})


def _excludes(relation: str, by: str) -> bool:
    known = RELATIONS.get(relation)
    return known is not None and (known.opposite == by or (known.one and relation == by))


def _remove_turn(connection: sqlite3.Connection, turn_id: int) -> None:
    turn = rows.turn(connection, turn_id)
    before = _neighbour(connection, turn, "id < ? ORDER BY id DESC")
    after = _neighbour(connection, turn, "id > ? ORDER BY id")
    index.remove(connection, turn, before, after)
    connection.execute("DELETE FROM turns WHERE id = ?", (turn_id,))


def _neighbour(connection: sqlite3.Connection, turn: Turn, which: str) -> Turn | None:
    beside = f"SELECT id FROM turns WHERE conversation_id = ? AND {which} LIMIT 1"  # noqa: S608  one of the two above
    found = connection.execute(beside, (turn.conversation_id, turn.turn_id)).fetchone()
    return rows.turn(connection, found[0]) if found else None


def _drop_empty_names(connection: sqlite3.Connection, chosen: Chosen) -> None:
    """Whoever nothing is known of any more loses the name as well, with the bare frame of their conversations and what
    the body felt meanwhile. A character in a mood keeps its name: the mood is its own."""
    for pair in chosen.pairs:
        if not _is_in(connection, _WORDS, "person_id = ? AND character_id = ?", pair):
            for table in ("progress", "stimuli", "conversations"):
                connection.execute(f"DELETE FROM {table} WHERE person_id = ? AND character_id = ?", pair)  # noqa: S608
    frame = (*_WORDS, "conversations", "stimuli", "progress")
    for person_id in {person_id for person_id, _ in chosen.pairs}:
        if not _is_in(connection, frame, "person_id = ?", (person_id,)):
            _delete(connection, "people", "id", [person_id])
    for character_id in {*chosen.mood_ids, *(character_id for _, character_id in chosen.pairs)}:
        if not _is_in(connection, (*frame, "moods"), "character_id = ?", (character_id,)):
            _delete(connection, "characters", "id", [character_id])


def _is_in(connection: sqlite3.Connection, tables: Iterable[str], where: str, values: Sequence[int]) -> bool:
    asked = (f"SELECT 1 FROM {table} WHERE {where} LIMIT 1" for table in tables)  # noqa: S608  names from this module
    return any(connection.execute(one, values).fetchone() for one in asked)


def _delete(connection: sqlite3.Connection, table: str, column: str, ids: Iterable[int]) -> None:
    connection.executemany(f"DELETE FROM {table} WHERE {column} = ?", ((n,) for n in ids))  # noqa: S608
