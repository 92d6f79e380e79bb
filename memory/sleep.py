"""Sleep: what memory does with itself while nobody talks, in steps that may be stopped between any two.

    for step in steps(store, at): ...          # a program that has nothing else to do
    while step := take_step(store, at): ...    # or one at a time, as long as nobody speaks

Each step is one transaction of a few milliseconds: a crash in the middle of one changes nothing, and the next sleep
goes on there. After the last step there is nothing to do until somebody speaks: sleeping twice is sleeping once.

1. Episodes that are over are summarised (`memory.summaries`). When a summary goes because something it tells of was
   forgotten, what is left of the episode is summarised again.
2. What was said again later loses its importance to the newest time it was said (`memory.repetition`). The turns
   themselves stay, word for word. An utterance that gets its meaning late, or a new one, is looked at again.
3. The full-text index is merged, a few pages at a time.
4. SQLite looks at the tables that its plans depend on, and the write-ahead log goes into the file. That cannot be done
   in portions: it takes as long as the disk needs for what was written since, at most 16 MB.

Triggers in `memory.schema` set the marks in `progress` back for the second halves of 1 and 2.

Nothing here lets memories fade: how much one matters by now follows from its age, its recalls and the importance it
began with, and is computed when it is asked for. Works on what is stored alone; who sleeps when is left to the caller.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal

from memory.importance import SAID_AGAIN
from memory.progress import advance, done_up_to
from memory.repetition import Spoken, said_again
from memory.store import MemoryStore
from memory.summaries import Utterance, is_new_episode, summary

MAX_EPISODE_TURNS = 40
"""Longer episodes are told in parts: a step has to be short. Such a step takes 3 ms on a desktop core."""

NEW_TURNS = 16
EARLIER_TURNS = 256
"""What was said is looked for among so many turns of the pair before it, so many turns in one step."""

MERGE_PAGES = 8
"""Pages of the full-text index that one step writes: 2 ms, at most 10, with 100,000 turns on a desktop core."""

_ANALYSED_ROWS = 400
"""SQLite's advice for PRAGMA analysis_limit: 12 ms in place of 100 with 100,000 turns."""

_LOG_BYTES_PER_PAGE = 4096 + 24
"""A page and its header: https://sqlite.org/fileformat2.html#walformat"""

_PAIRS = "SELECT DISTINCT person_id, character_id FROM conversations ORDER BY person_id, character_id"
_EPISODE = """
    SELECT turns.id, user_text, reply_text, said_at, said.encoder_id, said.embedding, said.feelings,
        heard.encoder_id, heard.embedding, heard.feelings
    FROM turns LEFT JOIN meanings AS said ON said.utterance_id = 2 * turns.id
        LEFT JOIN meanings AS heard ON heard.utterance_id = 2 * turns.id + 1
    WHERE person_id = ? AND character_id = ? AND turns.id > ? ORDER BY turns.id LIMIT ?
"""
_NEXT_SUMMARY = """
    SELECT first_turn_id, last_turn_id FROM summaries
    WHERE person_id = ? AND character_id = ? AND last_turn_id > ? ORDER BY last_turn_id LIMIT 1
"""
_ADD_SUMMARY = """
    INSERT INTO summaries (person_id, character_id, first_turn_id, last_turn_id, text, made_at)
    VALUES (?, ?, ?, ?, ?, ?)
"""
# Up to the newest turn that has a meaning: what an encoder has not come to yet waits for it.
_LAST_NEW = """
    SELECT max(id) FROM (
        SELECT id FROM turns
        WHERE person_id = ? AND character_id = ? AND id > ? AND id <= (SELECT max(utterance_id) / 2 FROM meanings)
        ORDER BY id LIMIT ?
    )
"""
_SPOKEN = """
    SELECT utterance_id, CASE utterance_id % 2 WHEN 0 THEN user_text ELSE reply_text END, encoder_id, embedding
    FROM (
        SELECT id, user_text, reply_text FROM turns WHERE person_id = ? AND character_id = ? AND id <= ?
        ORDER BY id DESC LIMIT ?
    ) AS recent JOIN meanings ON utterance_id IN (2 * recent.id, 2 * recent.id + 1)
    ORDER BY utterance_id
"""

Work = Literal["summary", "repetition", "index", "log"]
_Pair = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that was done: `n_changed` summaries made, utterances found repeated, rows of the index written, or
    pages of the log moved. Turns are given for the first two, where `n_changed` may be 0."""

    work: Work
    n_changed: int
    first_turn_id: int | None = None
    last_turn_id: int | None = None


def steps(store: MemoryStore, at: datetime) -> Iterator[Step]:
    """Sleep through; each step is taken when it is asked for. See `take_step`."""
    while step := take_step(store, at):
        yield step


def take_step(store: MemoryStore, at: datetime) -> Step | None:
    """Do the next piece of work, wholly or not at all, and say what it was; None if there is nothing to do.

    `at` is the time now, aware of the zone whose days the summaries are to name. Raises MemoryStoreError, after which
    nothing of the step is done.
    """

    def work(connection: sqlite3.Connection) -> Step | None:
        for pair in connection.execute(_PAIRS).fetchall():
            if step := _summarise(connection, pair, at) or _lower_repeated(connection, pair):
                return step
        return _merge_index(connection)

    return store.write("put memories in order", work) or store.read("empty the write-ahead log", _settle)


def _summarise(connection: sqlite3.Connection, pair: _Pair, at: datetime) -> Step | None:
    """Summarise the first episode of this pair that is over and was not looked at."""
    mark = done_up_to(connection, "summaries", pair)
    told = connection.execute(_NEXT_SUMMARY, (*pair, mark)).fetchone()
    rows = connection.execute(_EPISODE, (*pair, mark, MAX_EPISODE_TURNS + 1)).fetchall()
    if not rows:
        return None
    if told and told[0] <= rows[0][0]:
        # The mark was set back because something older was forgotten; this episode was not.
        advance(connection, "summaries", pair, told[1])
        return Step(work="summary", n_changed=0, first_turn_id=told[0], last_turn_id=told[1])
    n_turns = _n_in_episode([row[3] for row in rows if not told or row[0] < told[0]])
    if n_turns == len(rows) and not is_new_episode(rows[-1][3], at.timestamp()):
        return None
    episode = rows[:n_turns]
    first, last = episode[0][0], episode[-1][0]
    (person,) = connection.execute("SELECT name FROM people WHERE id = ?", pair[:1]).fetchone()
    text = summary(person, _utterances(episode), _day(episode[0][3], at))
    if text:
        connection.execute(_ADD_SUMMARY, (*pair, first, last, text, at.timestamp()))
    advance(connection, "summaries", pair, last)
    return Step(work="summary", n_changed=int(text is not None), first_turn_id=first, last_turn_id=last)


def _n_in_episode(said_at: Sequence[float]) -> int:
    """How many of these turns, at most MAX_EPISODE_TURNS, belong with the first."""
    for number in range(1, len(said_at)):
        if number == MAX_EPISODE_TURNS or is_new_episode(said_at[number - 1], said_at[number]):
            return number
    return len(said_at)


def _utterances(episode: Sequence[tuple[Any, ...]]) -> list[Utterance]:
    sides = [(row[1 + side], side == 0, *row[4 + 3 * side : 7 + 3 * side]) for row in episode for side in (0, 1)]
    encoder = next((side[2] for side in reversed(sides) if side[2] is not None), None)
    return [
        Utterance(
            text=text,
            by_person=by_person,
            embedding=embedding if made_by == encoder else None,
            feelings=feelings,
        )
        for text, by_person, made_by, embedding, feelings in sides
        if text
    ]


def _day(said_at_s: float, at: datetime) -> date | None:
    """The date where `at` is; None for what no calendar has."""
    try:
        return datetime.fromtimestamp(said_at_s, at.tzinfo).date()
    except (OverflowError, ValueError, OSError):
        return None


def _lower_repeated(connection: sqlite3.Connection, pair: _Pair) -> Step | None:
    """Look for the next turns of this pair among those shortly before them."""
    mark = done_up_to(connection, "repetitions", pair)
    (last,) = connection.execute(_LAST_NEW, (*pair, mark, NEW_TURNS)).fetchone()
    if last is None:
        return None
    rows = connection.execute(_SPOKEN, (*pair, last, NEW_TURNS + EARLIER_TURNS)).fetchall()
    encoder, length = (rows[-1][2], len(rows[-1][3])) if rows else (None, 0)
    spoken = [
        Spoken(utterance_id=utterance_id, text=text, embedding=embedding, is_new=utterance_id // 2 > mark)
        for utterance_id, text, made_by, embedding in rows
        if made_by == encoder and len(embedding) == length
    ]
    repeated = [
        utterance_id
        for side in (0, 1)
        for utterance_id in said_again([each for each in spoken if each.utterance_id % 2 == side])
    ]
    n_changed = connection.executemany(
        "UPDATE meanings SET importance = ? WHERE utterance_id = ? AND importance <> ?",
        [(SAID_AGAIN, utterance_id, SAID_AGAIN) for utterance_id in repeated],
    ).rowcount
    advance(connection, "repetitions", pair, last)
    return Step(work="repetition", n_changed=max(0, n_changed), first_turn_id=mark + 1, last_turn_id=last)


def _merge_index(connection: sqlite3.Connection) -> Step | None:
    before = connection.total_changes
    connection.execute("INSERT INTO utterances(utterances, rank) VALUES ('merge', ?)", (MERGE_PAGES,))
    n_written = connection.total_changes - before
    # FTS5 counts the command itself as one change: https://sqlite.org/fts5.html#the_merge_command
    return Step(work="index", n_changed=n_written) if n_written > 1 else None


def _settle(connection: sqlite3.Connection) -> Step | None:
    """Not a transaction. Who reads the memory at this moment is not waited for: the log can be emptied another time."""
    (path,) = connection.execute("SELECT file FROM pragma_database_list WHERE name = 'main'").fetchone()
    log = Path(f"{path}-wal")
    n_bytes = log.stat().st_size if log.exists() else 0
    if not n_bytes:
        return None
    # Not a step of its own: of a table whose index is empty it would say for ever that it should be looked at.
    connection.execute(f"PRAGMA analysis_limit = {_ANALYSED_ROWS}")
    connection.execute("PRAGMA optimize")
    (patience_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute("PRAGMA busy_timeout = 0")
    try:
        busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {patience_ms}")
    return None if busy else Step(work="log", n_changed=n_bytes // _LOG_BYTES_PER_PAGE)
