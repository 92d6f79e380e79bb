"""What a forgotten fact had ended holds again, by what ended it and not by when; never two values of what has one."""

import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path

import pytest

from memory import facts
from memory.exchange import export
from memory.fact_rules import facts_said
from memory.forgetting import forget
from memory.importing import import_memory
from memory.messages import Fact
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.making import remember

START_S = 1_700_000_000.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        yield store


def say(store: MemoryStore, text: str, after_s: float = 0.0) -> int:
    at = datetime.fromtimestamp(START_S + after_s, UTC)
    turn_id = remember(store, text, said_at=at.timestamp()).turn_id or 0
    facts.record(store, "Anna", "Luna", facts_said(text, at, turn_id), at.timestamp())
    return turn_id


def live_in(store: MemoryStore, town: str, turn_id: int) -> None:
    fact = Fact(subject="speaker", relation="lives_in", object=town, recorded_from=0.0, turn_ids=(turn_id,))
    facts.record(store, "Anna", "Luna", [fact], START_S + turn_id)


def current(store: MemoryStore) -> list[str]:
    return [f"{fact.relation} {fact.object}" for fact in facts.current(store, "Anna", "Luna")]


def number_of(store: MemoryStore, thing: str) -> int:
    return next(fact.fact_id or 0 for fact in facts.history(store, "Anna", "Luna") if fact.object == thing)


def test_what_was_said_in_the_same_breath_reopens_nothing(store: MemoryStore) -> None:
    say(store, "I like pizza")
    say(store, "I don't like pizza. I like sushi", 100)
    assert current(store) == ["dislikes pizza", "likes sushi"]
    forget(store, Selection(fact_ids=(number_of(store, "sushi"),)))
    assert current(store) == ["dislikes pizza"]
    forget(store, Selection(turn_ids=(2,)))
    assert current(store) == ["likes pizza"]


def test_who_died_lives_when_that_is_forgotten(store: MemoryStore) -> None:
    say(store, "my dog is called Rex")
    say(store, "my dog died", 100)
    assert current(store) == ["lost dog"]
    forget(store, Selection(turn_ids=(2,)))
    assert current(store) == ["pet dog called Rex"]


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_in_a_chain_the_end_is_handed_on(tmp_path: Path, order: tuple[int, ...]) -> None:
    with MemoryStore(tmp_path / "memory.db") as store:
        towns = {turn_id: say(store, f"I live in {town}", 100.0 * turn_id) and town for turn_id, town in _TOWNS.items()}
        for turn_id in order:
            forget(store, Selection(turn_ids=(turn_id,)))
            del towns[turn_id]
            assert current(store) == [f"lives_in {town}" for town in list(towns.values())[-1:]]
            intervals = [(fact.valid_from, fact.valid_to) for fact in facts.history(store, "Anna", "Luna")]
            assert [end for _, end in intervals[:-1]] == [start for start, _ in intervals[1:]]


_TOWNS = {1: "Rome", 2: "Bern", 3: "Ulm"}


def test_at_once_or_one_after_the_other_is_the_same(tmp_path: Path) -> None:
    for gone in ((2, 3), (1, 2), (1, 3)):
        with MemoryStore(tmp_path / f"{gone}.db") as store:
            for turn_id, town in _TOWNS.items():
                say(store, f"I live in {town}", 100.0 * turn_id)
            forget(store, Selection(turn_ids=gone))
            (kept,) = _TOWNS.keys() - {*gone}
            assert current(store) == [f"lives_in {_TOWNS[kept]}"]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_read_late_and_forgotten_one_value_holds_the_newest(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    with MemoryStore(tmp_path / "memory.db") as store:
        turn_ids = [remember(store, f"turn {n}", said_at=START_S + n).turn_id or 0 for n in range(8)]
        for turn_id in chance.sample(turn_ids, len(turn_ids)):
            live_in(store, f"Town{turn_id}", turn_id)
            assert len(current(store)) == 1
        for turn_id in chance.sample(turn_ids, len(turn_ids)):
            forget(store, Selection(turn_ids=(turn_id,)))
            turn_ids.remove(turn_id)
            assert current(store) == [f"lives_in Town{n}" for n in turn_ids[-1:]]


def test_an_error_that_was_mended_comes_back_with_the_end_of_what_mended_it(store: MemoryStore) -> None:
    say(store, "I live in Rome")
    say(store, "I live in Bern", 100)
    mended = facts.correct(store, "Anna", "Luna", number_of(store, "Rome"), "Roma", START_S + 200)
    assert mended is not None
    assert current(store) == ["lives_in Bern"]
    forget(store, Selection(turn_ids=(2,)))
    assert current(store) == ["lives_in Roma"]
    forget(store, Selection(fact_ids=(mended.fact_id or 0,)))
    assert current(store) == ["lives_in Rome"]


def test_what_was_denied_stays_denied(store: MemoryStore) -> None:
    say(store, "I live in Rome")
    say(store, "I live in Bern", 100)
    facts.correct(store, "Anna", "Luna", number_of(store, "Rome"), None, START_S + 200)
    forget(store, Selection(turn_ids=(2,)))
    assert current(store) == []


def test_what_ended_it_is_taken_along(store: MemoryStore, tmp_path: Path) -> None:
    say(store, "I live in Rome")
    say(store, "I live in Bern", 100)
    export(store, tmp_path / "out.json")
    with MemoryStore(tmp_path / "other.db") as other:
        import_memory(other, tmp_path / "out.json")
        forget(other, Selection(turn_ids=(2,)))
        assert current(other) == ["lives_in Rome"]


def test_a_fact_that_is_gone_is_named_by_none(store: MemoryStore) -> None:
    say(store, "I live in Rome")
    say(store, "I live in Bern", 100)

    def work(connection: sqlite3.Connection) -> list[tuple[int | None]]:
        connection.execute("DELETE FROM facts WHERE object = 'Bern'")
        return connection.execute("SELECT ended_by FROM facts").fetchall()

    assert store.write("delete", work) == [(None,)]
