"""Sleep: episodes told, repetitions lowered, the index merged, the log emptied; in steps, once, and never half."""

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory import facts, sleep
from memory.errors import MemoryStoreError
from memory.forgetting import forget
from memory.importance import SAID_AGAIN
from memory.messages import Fact
from memory.selecting import Selection
from memory.sleep import MAX_EPISODE_TURNS, Step, take_step
from memory.store import MemoryStore
from tests.memory.making import remember

MORNING_S = datetime(2026, 5, 3, 8, tzinfo=UTC).timestamp()
NIGHT = datetime(2026, 5, 4, 2, tzinfo=UTC)
DOG = "My dog Rex is very ill."
SEA = "We will see Grandma at the sea tomorrow."


def _say(store: MemoryStore, *texts: str, at_s: float = MORNING_S, **who: str) -> list[int]:
    turns = [remember(store, text, "Oh.", said_at=at_s + 20 * n, **who) for n, text in enumerate(texts)]  # type: ignore[arg-type]
    return [turn.turn_id or 0 for turn in turns]


def _describe(store: MemoryStore, turn_ids: Sequence[int], vectors: Sequence[Sequence[int]]) -> None:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR IGNORE INTO encoders (id, fingerprint) VALUES (1, 'test')")
        for turn_id, vector in zip(turn_ids, vectors, strict=True):
            embedding = np.array(vector, dtype=np.int8).tobytes()
            row = (2 * turn_id, embedding, bytes(28), 0.5)
            connection.execute("INSERT OR REPLACE INTO meanings VALUES (?, 1, ?, ?, ?)", row)

    store.write("describe turns", work)


def _summaries(store: MemoryStore) -> list[tuple[int, int, str]]:
    query = "SELECT first_turn_id, last_turn_id, text FROM summaries ORDER BY first_turn_id, id"
    return store.read("look", lambda connection: connection.execute(query).fetchall())


def _importances(store: MemoryStore) -> dict[int, float]:
    query = "SELECT utterance_id / 2, importance FROM meanings"
    return store.read("look", lambda connection: dict(connection.execute(query).fetchall()))


def steps(store: MemoryStore, at: datetime) -> list[Step]:
    """All steps, bounded: a sleep without end is to fail, not to hang."""
    taken = list(islice(sleep.steps(store, at), 1_000))
    assert len(taken) < 1_000
    return taken


def _dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def test_an_episode_that_is_over_is_summarised_with_its_date(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        first, last = _say(store, DOG, "What do you think?")
        told = [step for step in steps(store, NIGHT) if step.work == "summary"]
        assert told == [Step(work="summary", n_changed=1, first_turn_id=first, last_turn_id=last)]
        assert _summaries(store) == [(first, last, f'On 3 May 2026 we talked, and Anna said: "{DOG}"')]


def test_the_date_is_that_of_the_zone_of_the_listener(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, DOG, at_s=datetime(2026, 5, 3, 23, 30, tzinfo=UTC).timestamp())
        steps(store, (NIGHT + timedelta(days=1)).astimezone(timezone(timedelta(hours=2))))
        assert _summaries(store)[0][2].startswith("On 4 May 2026")


def test_a_time_that_no_calendar_has_is_told_without_a_date(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, DOG)
        store.write("break", lambda connection: connection.execute("UPDATE turns SET said_at = 1e300"))
        steps(store, NIGHT)
        assert _summaries(store)[0][2] == f'Once we talked, and Anna said: "{DOG}"'


def test_a_conversation_that_may_go_on_is_left_alone(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, DOG)
        soon = datetime.fromtimestamp(MORNING_S + 60, UTC)
        assert {step.work for step in steps(store, soon)} <= {"index", "log"}
        assert _summaries(store) == []
        _say(store, SEA, at_s=MORNING_S + 120)
        steps(store, NIGHT)
        assert [row[:2] for row in _summaries(store)] == [(1, 2)]


def test_a_long_pause_and_a_clock_set_back_end_an_episode(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, DOG, at_s=MORNING_S)
        _say(store, SEA, at_s=MORNING_S + 7200)
        _say(store, "I love my new red bicycle.", at_s=0.0)
        steps(store, NIGHT)
        assert [row[:2] for row in _summaries(store)] == [(1, 1), (2, 2), (3, 3)]
        assert _summaries(store)[2][2].startswith("On 1 January 1970")


def test_a_long_episode_is_told_in_parts(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, *(f"I have seen {n} blue whales." for n in range(MAX_EPISODE_TURNS + 5)))
        steps(store, NIGHT)
        assert [row[:2] for row in _summaries(store)] == [
            (1, MAX_EPISODE_TURNS),
            (MAX_EPISODE_TURNS + 1, MAX_EPISODE_TURNS + 5),
        ]


def test_people_and_characters_have_summaries_of_their_own(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, DOG)
        _say(store, SEA, person="Ben")
        _say(store, "I love my new red bicycle.", character="Rex")
        steps(store, NIGHT)
        assert [(row[:2], row[2].split(": ")[1]) for row in _summaries(store)] == [
            ((1, 1), f'"{DOG}"'),
            ((2, 2), f'"{SEA}"'),
            ((3, 3), '"I love my new red bicycle."'),
        ]


def test_what_is_left_of_an_episode_is_told_again_after_forgetting(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _say(store, DOG, SEA, "I like pancakes with syrup.")
        _say(store, "I love my new red bicycle.", at_s=MORNING_S + 9000)
        steps(store, NIGHT)
        assert [row[:2] for row in _summaries(store)] == [(1, 3), (4, 4)]
        later = _summaries(store)[1]

        def forget_the_dog(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM summaries WHERE first_turn_id <= 1 AND last_turn_id >= 1")
            connection.execute("DELETE FROM turns WHERE id = 1")

        store.write("forget", forget_the_dog)
        steps(store, NIGHT)
        assert [row[:2] for row in _summaries(store)] == [(2, 3), (4, 4)]
        assert "Rex" not in _summaries(store)[0][2]
        assert _summaries(store)[1] == later
        assert steps(store, NIGHT) == []


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("say"), st.sampled_from([20.0, 2_000.0, -90_000.0])),
            st.tuples(st.just("forget"), st.floats(0, 1)),
            st.tuples(st.just("sleep"), st.just(0.0)),
        ),
        max_size=25,
    )
)
def test_every_turn_stands_in_one_summary_whatever_is_said_and_forgotten(happenings: list[tuple[str, float]]) -> None:
    with tempfile.TemporaryDirectory() as folder, MemoryStore(Path(folder) / "memory.db") as store:
        at_s, there = MORNING_S, list[int]()
        for number, (what, value) in enumerate(happenings):
            if what == "say":
                at_s += value
                there += _say(store, f"I saw {number} red kites.", at_s=at_s)
            elif what == "sleep":
                steps(store, datetime.fromtimestamp(at_s, UTC))
            elif there:
                forget(store, Selection(turn_ids=(there.pop(int(value * (len(there) - 1))),)))
        steps(store, datetime.fromtimestamp(at_s + 9_000, UTC))
        told = [turn_id for first, last, _ in _summaries(store) for turn_id in there if first <= turn_id <= last]
        assert told == there
        assert steps(store, datetime.fromtimestamp(at_s + 9_000, UTC)) == []


def test_the_same_words_keep_their_importance_only_where_they_are_newest(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        ids = _say(store, "Tell me a story about dragons!", SEA, "tell me a story, about dragons")
        _describe(store, ids, [(127, 0), (0, 127), (0, -127)])
        steps(store, NIGHT)
        assert _importances(store) == {1: SAID_AGAIN, 2: 0.5, 3: 0.5}
        assert len(store.last_turns("Anna", "Luna", 9)) == 3
        again = _say(store, "Tell me a story about dragons?")
        _describe(store, again, [(127, 0)])
        steps(store, NIGHT)
        assert _importances(store) == {1: SAID_AGAIN, 2: 0.5, 3: SAID_AGAIN, 4: 0.5}


def test_what_another_person_says_repeats_nothing(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        ids = _say(store, DOG) + _say(store, DOG, person="Ben") + _say(store, DOG, character="Rex")
        _describe(store, ids, [(127, 0)] * 3)
        steps(store, NIGHT)
        assert set(_importances(store).values()) == {0.5}


def test_repetitions_are_found_across_steps(tmp_path: Path) -> None:
    n_between = 2 * sleep.NEW_TURNS
    with MemoryStore(tmp_path / "memory.db") as store:
        ids = _say(store, DOG, *(f"Whale number {n}" for n in range(n_between)), DOG)
        _describe(store, ids, [(n % 100, 100 - n % 100) for n in range(len(ids))])
        looked = [step for step in steps(store, NIGHT) if step.work == "repetition"]
        assert [step.n_changed for step in looked] == [0, 0, 1]
        assert [turn_id for turn_id, value in _importances(store).items() if value == SAID_AGAIN] == [1]


def test_turns_without_a_meaning_wait_for_one(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        ids = _say(store, DOG, DOG)
        steps(store, NIGHT)
        _describe(store, ids, [(1, 0), (1, 0)])
        assert [step.work for step in steps(store, NIGHT)] == ["repetition", "log"]
        assert _importances(store) == {1: SAID_AGAIN, 2: 0.5}


def test_a_meaning_that_comes_late_or_anew_is_looked_at_again(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        ids = _say(store, DOG, SEA, DOG)
        _describe(store, ids[1:], [(0, 1), (1, 0)])
        steps(store, NIGHT)
        assert _importances(store) == {2: 0.5, 3: 0.5}
        _describe(store, ids[:1], [(1, 0)])
        steps(store, NIGHT)
        assert _importances(store) == {1: SAID_AGAIN, 2: 0.5, 3: 0.5}
        _describe(store, ids, [(1, 0), (0, 1), (1, 0)])
        assert _importances(store) == {1: 0.5, 2: 0.5, 3: 0.5}
        steps(store, NIGHT)
        assert _importances(store) == {1: SAID_AGAIN, 2: 0.5, 3: 0.5}


def test_meanings_of_another_encoder_are_not_compared(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        ids = _say(store, "I am hungry for pizza", "For pizza am I hungry", "hungry for pizza")
        _describe(store, ids, [(1, 0), (1, 0), (1, 0)])

        def grow(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT INTO encoders (id, fingerprint) VALUES (2, 'larger')")
            connection.execute("UPDATE meanings SET encoder_id = 2, embedding = ? WHERE utterance_id > 2", (b"\1\0\0",))

        store.write("change the encoder", grow)
        steps(store, NIGHT)
        assert _importances(store) == {1: 0.5, 2: SAID_AGAIN, 3: 0.5}


def test_sleeping_twice_is_sleeping_once(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for day in range(4):
            ids = _say(store, DOG, f"I saw {day} red kites.", SEA, at_s=MORNING_S + 86400 * (day - 4))
            _describe(store, ids, [(127, day), (0, 127), (127, 0)])
        assert len(steps(store, NIGHT)) > 5
        slept = _dump(path)
        assert steps(store, NIGHT) == []
        assert steps(store, NIGHT + timedelta(hours=1)) == []
    with MemoryStore(path) as store:
        assert [step.work for step in steps(store, NIGHT)] in ([], ["log"])
    assert _dump(path) == slept


def test_stopping_between_any_two_steps_leads_to_the_same_memory(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole.db", tmp_path / "parts.db"
    for path in (whole, parts):
        with MemoryStore(path) as store:
            ids = [n for day in range(3) for n in _say(store, DOG, SEA, at_s=MORNING_S - 86400 * (3 - day))]
            _describe(store, ids, [(127, 0)] * len(ids))
            if path is whole:
                steps(store, NIGHT)
    going_on = True
    while going_on:
        with MemoryStore(parts) as store:
            going_on = take_step(store, NIGHT) is not None and len(_summaries(store)) < 3
    with MemoryStore(parts) as store:
        steps(store, NIGHT)
    for table in ("summaries", "meanings", "progress"):
        with closing(sqlite3.connect(whole)) as one, closing(sqlite3.connect(parts)) as other:
            rows = f"SELECT * FROM {table} ORDER BY 1, 2, 3"
            assert one.execute(rows).fetchall() == other.execute(rows).fetchall()


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        _say(store, DOG)
        refuse = "CREATE TRIGGER refuse BEFORE INSERT ON progress BEGIN SELECT raise(ABORT, 'no more'); END"
        store.write("hinder", lambda connection: connection.execute(refuse))
        before = _dump(path)
        with pytest.raises(MemoryStoreError, match=r"cannot put memories in order in .*memory\.db"):
            take_step(store, NIGHT)
        assert _summaries(store) == []
        assert _dump(path) == before


def test_the_index_is_merged_in_portions_and_finds_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sleep, "MERGE_PAGES", 1)
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        for n in range(60):
            remember(store, f"dragon {n} " + " ".join(f"w{n * k % 997}" for k in range(60)), said_at=MORNING_S)
        merged = [step for step in steps(store, NIGHT) if step.work == "index"]
        assert len(merged) > 1
        found = store.read(
            "look",
            lambda connection: connection.execute(
                "SELECT rowid FROM utterances WHERE utterances MATCH 'dragon'"
            ).fetchall(),
        )
        assert [row // 2 for (row,) in found] == list(range(1, 61))


def test_sleep_ends_whatever_the_tables_hold(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        _describe(store, _say(store, DOG, SEA), [(1, 0), (0, 1)])
        fact = Fact(subject="speaker", relation="lives_in", object="Gda\u0144sk", recorded_from=1.0, turn_ids=(1,))
        facts.record(store, "Anna", "Luna", [fact], 1.0)
        facts.current(store, "Anna", "Luna")
        facts.due_on(store, "Anna", "Luna", NIGHT.date())
        assert [step.work for step in steps(store, NIGHT)] == ["summary", "repetition", "index", "log"]
        assert steps(store, NIGHT) == []


def test_the_log_is_emptied_unless_somebody_reads(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    log = Path(f"{path}-wal")
    with MemoryStore(path) as store:
        _say(store, DOG)
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM turns").fetchone()
            _say(store, SEA)
            assert "log" not in [step.work for step in steps(store, NIGHT)]
            assert log.stat().st_size > 0
            reader.execute("COMMIT")
        assert [step.work for step in steps(store, NIGHT)] == ["log"]
        assert log.stat().st_size == 0


def test_an_empty_memory_sleeps_soundly(tmp_path: Path) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        assert {step.work for step in steps(store, NIGHT)} <= {"log"}
        assert steps(store, NIGHT) == []
