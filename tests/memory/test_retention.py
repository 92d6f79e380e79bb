"""Turns leave when they are old enough, oldest first, some at a time, and what was made of them leaves with them."""

from datetime import UTC, datetime
from pathlib import Path

from memory.forgetting import forget_copies, is_wiping_due
from memory.retention import leave
from memory.store import MemoryStore
from tests.memory.filling import HOUR_S, SAID, STARTED_AT, contents, fill


def test_the_oldest_leave_some_at_a_time_until_none_is_old(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        before = STARTED_AT + 3.5 * HOUR_S
        left = []
        while not (gone := leave(store, before, keep_cited=False, limit=3)).is_nothing:
            left.append((gone.turns, gone.facts, gone.summaries, gone.stimuli))
        assert left == [(3, 2, 1, 0), (1, 0, 0, 0), (0, 1, 0, 1)]
        assert [turn.user_text for turn in store.last_turns("Ben", "Luna", 9)] == [said for *_, said, _ in SAID[4:]]
        assert store.last_turns("Anna", "Rex", 9) == ()
        assert is_wiping_due(store)
    assert contents(tmp_path / "memory.db")["stimuli"] == []


def test_what_is_still_believed_can_keep_the_turns_it_was_learned_from(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        fill(store)
        store.write("close a fact", lambda c: c.execute("UPDATE facts SET recorded_to = 1 WHERE id = 1"))
        for _ in range(3):
            leave(store, STARTED_AT + 99 * HOUR_S, keep_cited=True)
        assert leave(store, STARTED_AT + 99 * HOUR_S, keep_cited=True).is_nothing
    kept = contents(path)
    # The pet is not believed any more.
    assert [row[0] for row in kept["turns"]] == [2, 3, 5]
    assert [row[0] for row in kept["facts"]] == [2, 3, 4]


def test_a_clock_that_was_never_set_lets_nothing_leave(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        assert leave(store, 0.0, keep_cited=False).is_nothing
        assert not is_wiping_due(store)


def test_copies_that_were_set_aside_leave_by_the_time_in_their_names(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    old, new = (tmp_path / f"memory.corrupt-{day}T120000.000000Z.db" for day in ("20240101", "20240301"))
    wal, odd = Path(f"{old}-wal"), tmp_path / "memory.corrupt-of-mine.db"
    for copy in (old, new, wal, odd):
        copy.write_bytes(b"xylophones")
    with MemoryStore(path) as store:
        before = datetime(2024, 2, 1, tzinfo=UTC).timestamp()
        assert leave(store, 0.0, keep_cited=False).is_nothing
        assert old.exists()
        assert leave(store, before, keep_cited=True).is_nothing
        assert not old.exists()
        assert not wal.exists()
        assert new.exists()
        assert odd.exists()
        assert set(forget_copies(store)) == {new, odd}
    assert [entry.name for entry in tmp_path.iterdir()] == ["memory.db"]
