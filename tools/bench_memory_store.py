"""The memory at one size, for `familiar bench memory`: filled with made-up talk, then timed from a fresh process.

`fill` and `measure` are meant to run in processes of their own, one after the other: what a start costs and what the
memory takes of RAM cannot be seen in a process that has just written it. Durations are in seconds. Nothing is judged
here: `tools.bench_memory_report` does that.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import nan
from pathlib import Path

from memory import rows, sleep
from memory.meanings import store_meanings
from memory.messages import Meaning, Query
from memory.store import MemoryStore
from tools.bench_memory_talk import PAIRS, QUERY_KINDS, Said, Talk
from tools.process_memory import resident_without_models_mb

ENCODER = "made up"
LIMIT = 5
"""What a prompt has room for, and what a conversation asks for."""

_BULK_TURNS = 500
_GAUGED = 20
"""Commits that tell how many bytes one writes."""

_SYNC = getattr(os, "fdatasync", os.fsync)  # what SQLite calls, where there is one
_SYNC_FILE_BYTES = 4 << 20
"""The bare sync goes round in a file of the size that SQLite's log has, which is not extended any more either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How often each thing is measured: `queries` of each kind, with and without meanings; at most so many steps."""

    commits: int
    queries: int
    steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreRun:
    """What was measured with `n_turns` turns, `n_asked` of them of the pair that is asked about.

    `recall_s` and `lexical_s` by kind of query: with meanings, and by words alone. `sync_s`: writing `commit_bytes`
    bytes to a file on the same disk and syncing it, each right after a commit. `first_recall_s` includes reading what
    recall keeps in RAM. `ram_bytes`: what the process grew by from before the memory was opened; NaN where it is not
    known.
    """

    n_turns: int
    n_asked: int
    open_s: float
    first_recall_s: float
    commit_s: tuple[float, ...]
    sync_s: tuple[float, ...]
    commit_bytes: int
    describe_s: tuple[float, ...]
    recall_s: dict[str, tuple[float, ...]]
    lexical_s: dict[str, tuple[float, ...]]
    asleep_s: tuple[float, ...]
    file_bytes: int
    ram_bytes: float


def fill(path: Path, n_turns: int, seed: int) -> None:
    """Make a memory of so many turns with their meanings, in transactions of many turns."""
    with MemoryStore(path) as store:
        conversations = {pair: store.open_conversation(*pair) for pair in PAIRS}
        batch: list[Said] = []
        for said in Talk(seed).turns(n_turns):
            batch.append(said)
            if len(batch) == _BULK_TURNS:
                _store(store, batch, conversations)
                batch.clear()
        _store(store, batch, conversations)


def measure(path: Path, sample: Sample, seed: int) -> StoreRun:
    """Open the memory and time it. Meant for a process that has not touched it yet."""
    talk = Talk(seed)
    said = list(talk.turns(_GAUGED + sample.commits))
    file_bytes = path.stat().st_size
    before_mb = _resident_mb()
    started_s = time.perf_counter()
    with MemoryStore(path) as store:
        open_s = time.perf_counter() - started_s
        n_turns, n_asked, newest_s = store.read("look", _sizes)
        queries = {
            kind: [talk.query(kind, at_s=newest_s, limit=LIMIT) for _ in range(sample.queries)] for kind in QUERY_KINDS
        }
        first_s = _timed_recalls(store, [queries[QUERY_KINDS[0]][0]])[0]
        recall_s = {kind: _timed_recalls(store, some) for kind, some in queries.items()}
        lexical_s = {kind: _timed_recalls(store, [_by_words(each) for each in some]) for kind, some in queries.items()}
        ram_bytes = (_resident_mb() - before_mb) * 1e6
        commits = _timed_commits(store, said, newest_s)
        asleep_s = _timed_sleep(store, newest_s, sample.steps)
        return StoreRun(
            n_turns=n_turns,
            n_asked=n_asked,
            open_s=open_s,
            first_recall_s=first_s,
            commit_s=commits.commit_s,
            sync_s=commits.sync_s,
            commit_bytes=commits.n_bytes,
            describe_s=commits.describe_s,
            recall_s=recall_s,
            lexical_s=lexical_s,
            asleep_s=asleep_s,
            file_bytes=file_bytes,
            ram_bytes=ram_bytes,
        )


def _store(store: MemoryStore, batch: Sequence[Said], conversations: dict[tuple[str, str], int]) -> None:
    def work(connection: sqlite3.Connection) -> list[Meaning]:
        meanings: list[Meaning] = []
        for said in batch:
            pair = rows.ensure_pair(connection, *said.pair)
            turn = rows.add_turn(connection, pair, said.as_turn(conversations[said.pair]))
            assert turn.turn_id is not None
            meanings += said.meanings(turn.turn_id)
        return meanings

    store_meanings(store, store.write("store many turns", work), ENCODER)


def _sizes(connection: sqlite3.Connection) -> tuple[int, int, float]:
    """How many turns there are, how many of the pair that is asked about, and when the newest was said."""
    pair = rows.find_pair(connection, *PAIRS[0])
    assert pair is not None
    asked = "SELECT count(*) FROM turns WHERE person_id = ? AND character_id = ?"
    n_turns, newest_s = connection.execute("SELECT count(*), max(said_at) FROM turns").fetchone()
    return n_turns, connection.execute(asked, pair).fetchone()[0], newest_s


def _timed_recalls(store: MemoryStore, queries: Sequence[Query]) -> tuple[float, ...]:
    durations_s = []
    for query in queries:
        started_s = time.perf_counter()
        store.recall(*PAIRS[0], query)
        durations_s.append(time.perf_counter() - started_s)
    return tuple(durations_s)


def _by_words(query: Query) -> Query:
    return replace(query, embedding=None, feelings=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Commits:
    commit_s: tuple[float, ...]
    sync_s: tuple[float, ...]
    describe_s: tuple[float, ...]
    n_bytes: int


def _timed_commits(store: MemoryStore, talk: Sequence[Said], newest_s: float) -> _Commits:
    """Commit each turn and store its meanings; a bare sync of as many bytes after each."""
    conversations = {pair: store.open_conversation(*pair) for pair in PAIRS}
    n_bytes = _bytes_per_commit(store, talk[:_GAUGED], conversations, newest_s)
    commit_s, sync_s, describe_s = [], [], []
    with _SyncedFile(store.path.with_name("bare")) as bare:
        for number, said in enumerate(talk[_GAUGED:]):
            turn = replace(said, said_at=newest_s + _GAUGED + number).as_turn(conversations[said.pair])
            started_s = time.perf_counter()
            committed = store.commit_turn(turn)
            commit_s.append(time.perf_counter() - started_s)
            sync_s.append(bare.write(n_bytes))
            assert committed.turn_id is not None
            started_s = time.perf_counter()
            store_meanings(store, said.meanings(committed.turn_id), ENCODER)
            describe_s.append(time.perf_counter() - started_s)
    return _Commits(commit_s=tuple(commit_s), sync_s=tuple(sync_s), describe_s=tuple(describe_s), n_bytes=n_bytes)


def _bytes_per_commit(
    store: MemoryStore, talk: Sequence[Said], conversations: dict[tuple[str, str], int], newest_s: float
) -> int:
    """What the log grows by with each of these turns."""
    store.read("empty the log", lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
    for number, said in enumerate(talk):
        store.commit_turn(replace(said, said_at=newest_s + number).as_turn(conversations[said.pair]))
    return Path(f"{store.path}-wal").stat().st_size // len(talk)


class _SyncedFile:
    """A file of the size of SQLite's log, written round and round."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def __enter__(self) -> "_SyncedFile":
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._write_all(bytes(_SYNC_FILE_BYTES), 0)
        os.fsync(self._fd)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
        self._path.unlink()

    def write(self, n_bytes: int) -> float:
        """Write so many bytes and wait for the disk; returns the seconds it took."""
        if self._offset + n_bytes > _SYNC_FILE_BYTES:
            self._offset = 0
        content = os.urandom(n_bytes)
        started_s = time.perf_counter()
        self._write_all(content, self._offset)
        _SYNC(self._fd)
        self._offset += n_bytes
        return time.perf_counter() - started_s

    def _write_all(self, content: bytes, offset: int) -> None:
        while content:
            n = os.pwrite(self._fd, content, offset)
            content, offset = content[n:], offset + n


def _timed_sleep(store: MemoryStore, newest_s: float, n_steps: int) -> tuple[float, ...]:
    at = datetime.fromtimestamp(newest_s, UTC) + timedelta(days=1)
    durations_s = []
    for _ in range(n_steps):
        started_s = time.perf_counter()
        step = sleep.take_step(store, at)
        durations_s.append(time.perf_counter() - started_s)
        if step is None:
            break
    return tuple(durations_s)


def _resident_mb() -> float:
    return resident_without_models_mb() if sys.platform == "linux" else nan
