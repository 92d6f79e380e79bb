"""Every turn is learned from once, in order, whole or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from memory import facts, learning
from memory.errors import MemoryStoreError
from memory.learning import learn
from memory.store import MemoryStore
from tests.memory.making import remember


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        yield store


def _known(store: MemoryStore, person: str = "Anna") -> list[str]:
    return [f"{fact.relation} {fact.object}" for fact in facts.current(store, person, "Luna")]


def test_facts_and_beliefs_of_new_turns_are_learned_once(store: MemoryStore) -> None:
    remember(store, "my dog is called rex", "I like cats!")
    remember(store, "i'm sad")
    assert learn(store, "Anna", "Luna", UTC, 1.0) == 2
    assert _known(store) == ["pet dog called Rex", "feels sad"]
    assert learn(store, "Anna", "Luna", UTC, 2.0) == 0
    remember(store, "i like cake")
    assert learn(store, "Anna", "Luna", UTC, 3.0) == 1
    assert _known(store)[2:] == ["likes cake"]


def test_nothing_is_learned_from_a_stranger_or_for_another(store: MemoryStore) -> None:
    assert learn(store, "Nobody", "Luna", UTC, 1.0) == 0
    remember(store, "i like cake", person="Ben")
    remember(store, "hello", person="Anna")
    learn(store, "Anna", "Luna", UTC, 1.0)
    assert _known(store) == []
    learn(store, "Ben", "Luna", UTC, 1.0)
    assert _known(store, "Ben") == ["likes cake"]


def test_a_day_is_that_of_the_persons_own_time(store: MemoryStore) -> None:
    remember(store, "today is my birthday", said_at=1_700_000_000.0)  # 22:13 in London, next morning in Tokyo
    learn(store, "Anna", "Luna", ZoneInfo("Asia/Tokyo"), 1.0)
    assert _known(store) == ["birthday November 15"]


def test_much_is_learned_in_several_steps(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MAX_TURNS", 2)
    for thing in ("cake", "pie", "jam"):
        remember(store, f"i like {thing}")
    assert [learn(store, "Anna", "Luna", UTC, 1.0) for _ in range(3)] == [2, 1, 0]
    assert _known(store) == ["likes cake", "likes pie", "likes jam"]


def test_a_secret_about_what_was_said_before_cites_both_turns(store: MemoryStore) -> None:
    first = remember(store, "we bought grandpa a hat")
    learn(store, "Anna", "Luna", UTC, 1.0)
    second = remember(store, "don't tell grandpa")
    learn(store, "Anna", "Luna", UTC, 1.0)
    (secret,) = facts.current(store, "Anna", "Luna")
    assert secret.turn_ids == (first.turn_id, second.turn_id)


def test_a_failure_leaves_the_turns_to_be_learned_later(store: MemoryStore) -> None:
    remember(store, "i like cake")
    remember(store, "i like pie")
    with closing(sqlite3.connect(store.path)) as other:
        other.execute(
            "CREATE TRIGGER t BEFORE INSERT ON facts WHEN NEW.object = 'pie' BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
        other.commit()
        with pytest.raises(MemoryStoreError):
            learn(store, "Anna", "Luna", UTC, 1.0)
        assert _known(store) == []
        other.execute("DROP TRIGGER t")
        other.commit()
    assert learn(store, "Anna", "Luna", UTC, 2.0) == 2
    assert _known(store) == ["likes cake", "likes pie"]


def test_a_turn_of_no_time_is_passed_over(store: MemoryStore) -> None:
    remember(store, "i like cake")
    store.write("break", lambda connection: connection.execute("UPDATE turns SET said_at = 1e15"))
    remember(store, "i like pie")
    assert learn(store, "Anna", "Luna", UTC, 1.0) == 2
    assert _known(store) == ["likes pie"]
