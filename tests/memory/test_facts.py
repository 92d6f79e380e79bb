"""Facts in the store: contradictions, corrections, what was believed when, and what comes back on its day."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from memory import facts
from memory.errors import MemoryInputError, MemoryStoreError
from memory.fact_rules import facts_said
from memory.messages import Fact
from memory.relations import SPEAKER
from memory.store import MemoryStore
from tests.memory.making import remember

START = datetime(2026, 3, 11, 15, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        yield store


def _say(store: MemoryStore, text: str, days: float = 0, *, person: str = "Anna") -> int:
    """Say something so many days after START, and have it recorded at once."""
    at = START + timedelta(days=days)
    turn = remember(store, text, person=person, said_at=at.timestamp())
    assert turn.turn_id is not None
    facts.record(store, person, "Luna", facts_said(text, at, turn.turn_id), at.timestamp())
    return turn.turn_id


def _current(store: MemoryStore, person: str = "Anna") -> list[tuple[str, str]]:
    return [(fact.relation, fact.object) for fact in facts.current(store, person, "Luna")]


def _days(n: float) -> float:
    return (START + timedelta(days=n)).timestamp()


def test_what_was_said_is_known_with_its_turn(store: MemoryStore) -> None:
    turn_id = _say(store, "my dog is called rex")
    (fact,) = facts.current(store, "Anna", "Luna")
    assert (fact.relation, fact.object, fact.turn_ids) == ("pet", "dog called Rex", (turn_id,))
    assert (fact.valid_from, fact.recorded_from) == (START.timestamp(), START.timestamp())


def test_said_again_it_only_cites_one_more_turn(store: MemoryStore) -> None:
    first, second = _say(store, "i like cake"), _say(store, "I love CAKE", 1)
    (fact,) = facts.history(store, "Anna", "Luna")
    assert fact.turn_ids == (first, second)


def test_recording_the_same_turn_again_changes_nothing(store: MemoryStore) -> None:
    for n, text in enumerate(
        ("i like trains", "i live in Rome", "I don't like trains", "i live in Bern", "my dog died")
    ):
        _say(store, text, n)
    before = facts.history(store, "Anna", "Luna")
    for turn in store.last_turns("Anna", "Luna", 9):
        at = datetime.fromtimestamp(turn.said_at, UTC)
        assert turn.turn_id is not None
        facts.record(store, "Anna", "Luna", facts_said(turn.user_text, at, turn.turn_id), _days(9))
    assert facts.history(store, "Anna", "Luna") == before


def test_a_contradiction_closes_the_old_and_opens_the_new(store: MemoryStore) -> None:
    _say(store, "my favourite colour is blue")
    _say(store, "my favourite colour is red", 10)
    old, new = facts.history(store, "Anna", "Luna")
    assert (old.object, old.valid_to, old.recorded_to) == ("colour: blue", _days(10), None)
    assert (new.object, new.valid_from, new.valid_to) == ("colour: red", _days(10), None)
    assert _current(store) == [("favourite", "colour: red")]


def test_a_liking_that_turned_is_no_liking_any_more(store: MemoryStore) -> None:
    _say(store, "i like spinach")
    _say(store, "i don't like spinach any more", 3)
    assert _current(store) == [("dislikes", "spinach")]


def test_a_correction_takes_the_error_out_of_the_record(store: MemoryStore) -> None:
    _say(store, "my name is len")
    _say(store, "no, my name is Ben, not Len", 1)
    assert _current(store) == [("name", "Ben")]
    wrong = facts.history(store, "Anna", "Luna")[0]
    assert (wrong.object, wrong.valid_to, wrong.recorded_to) == ("Len", None, _days(1))


def test_what_is_over_is_closed(store: MemoryStore) -> None:
    _say(store, "i'm afraid of the dark")
    _say(store, "our cat is called Mimi")
    _say(store, "I'm not afraid of the dark any more", 5)
    _say(store, "our cat Mimi died", 6)
    assert _current(store) == [("lost", "cat called Mimi")]


def test_of_two_dogs_nobody_knows_which_is_meant(store: MemoryStore) -> None:
    _say(store, "my dog is called rex")
    _say(store, "my dog is called bo")
    _say(store, "my dog died", 1)
    assert _current(store) == [("pet", "dog called Rex"), ("pet", "dog called Bo"), ("lost", "dog")]


def test_a_name_makes_a_fact_more_exact(store: MemoryStore) -> None:
    first, second = _say(store, "i have a dog"), _say(store, "my dog is called rex", 2)
    (fact,) = facts.current(store, "Anna", "Luna")
    assert (fact.object, fact.turn_ids, fact.valid_from) == ("dog called Rex", (first, second), _days(0))
    _say(store, "i have a dog", 3)
    assert _current(store) == [("pet", "dog called Rex")]


def test_what_was_believed_and_what_was_so_can_be_asked_for(store: MemoryStore) -> None:
    _say(store, "i live in Rome", 0)
    _say(store, "i live in Bern", 10)
    _say(store, "my name is Len", 0)
    _say(store, "my name is Ben", 10)

    def known(valid: float, recorded: float) -> set[str]:
        found = facts.as_of(store, "Anna", "Luna", valid_at=_days(valid), recorded_at=_days(recorded))
        return {fact.object for fact in found}

    assert known(5, 5) == {"Rome", "Len"}
    assert known(5, 20) == {"Rome"}  # the name that was wrong is believed no more, the new one was first heard later
    assert known(20, 20) == {"Bern", "Ben"}
    assert known(-1, 20) == set()


def test_an_old_turn_read_late_ends_nothing_newer(store: MemoryStore) -> None:
    at = START.timestamp()
    old = remember(store, "i live in Rome", said_at=at).turn_id
    assert old is not None
    _say(store, "i live in Bern", 10)
    facts.record(store, "Anna", "Luna", facts_said("i live in Rome", START, old), _days(11))
    facts.record(store, "Anna", "Luna", facts_said("i like trains", START, old), _days(11))
    assert _current(store) == [("lives_in", "Bern"), ("likes", "trains")]
    (rome,) = [fact for fact in facts.history(store, "Anna", "Luna") if fact.object == "Rome"]
    assert (rome.valid_from, rome.valid_to) == (at, _days(10))


def test_clocks_that_run_backwards_give_no_negative_interval(store: MemoryStore) -> None:
    _say(store, "i live in Rome", 10)
    _say(store, "i live in Bern", 0)
    rome, bern = facts.history(store, "Anna", "Luna")
    assert rome.valid_from == rome.valid_to == _days(10)
    assert bern.valid_to is None


def test_facts_of_people_and_characters_are_never_mixed(store: MemoryStore) -> None:
    turn_id = _say(store, "i like cake", person="Ben")
    assert facts.current(store, "Anna", "Luna") == ()
    assert facts.current(store, "Ben", "Pip") == ()
    remember(store, "hello", person="Anna")
    facts.record(store, "Anna", "Luna", facts_said("i like cake", START, turn_id), _days(1))
    assert facts.current(store, "Anna", "Luna") == ()
    assert facts.current(store, "Ben", "Luna")[0].turn_ids == (turn_id,)


def test_nothing_is_known_from_a_turn_that_is_gone(store: MemoryStore) -> None:
    remember(store, "hello")
    facts.record(store, "Anna", "Luna", facts_said("i like cake", START, 99), _days(0))
    facts.record(store, "Nobody", "Luna", facts_said("i like cake", START, 1), _days(0))
    assert facts.history(store, "Anna", "Luna") == ()


def test_a_contradiction_is_whole_or_not_at_all(store: MemoryStore) -> None:
    _say(store, "i live in Rome")
    turn_id = remember(store, "i live in Bern").turn_id
    assert turn_id is not None
    with closing(sqlite3.connect(store.path)) as other:
        other.execute(
            "CREATE TRIGGER t BEFORE INSERT ON facts WHEN NEW.object = 'Bern' BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
        other.commit()
    with pytest.raises(MemoryStoreError):
        facts.record(store, "Anna", "Luna", facts_said("i live in Bern", START, turn_id), _days(1))
    assert _current(store) == [("lives_in", "Rome")]


def test_a_person_mends_the_record(store: MemoryStore) -> None:
    turn_id = _say(store, "my name is Len")
    (fact,) = facts.current(store, "Anna", "Luna")
    assert fact.fact_id is not None
    mended = facts.correct(store, "Anna", "Luna", fact.fact_id, "Lenn", _days(1))
    assert mended is not None
    assert facts.current(store, "Anna", "Luna") == (mended,)
    assert (mended.object, mended.source, mended.turn_ids) == ("Lenn", "person", (turn_id,))
    # The words are the same as ever, and still read as before.
    facts.record(store, "Anna", "Luna", facts_said("my name is Len", START, turn_id), _days(2))
    assert facts.current(store, "Anna", "Luna") == (mended,)
    assert mended.fact_id is not None
    assert facts.correct(store, "Anna", "Luna", mended.fact_id, None, _days(3)) is None
    assert facts.current(store, "Anna", "Luna") == ()
    with pytest.raises(MemoryInputError, match="no fact"):
        facts.correct(store, "Anna", "Luna", mended.fact_id, None, _days(4))


def test_birthdays_and_plans_come_back_on_their_day_and_its_eve(store: MemoryStore) -> None:
    _say(store, "my birthday is on may fifth")
    _say(store, "Tom's birthday is on May 6th.")
    _say(store, "on May 5th we will fly to grandma")
    _say(store, "i like cake")

    def due(*day: int) -> list[str]:
        return [f"{fact.subject} {fact.relation}" for fact in facts.due_on(store, "Anna", "Luna", date(*day))]

    assert due(2026, 5, 3) == []
    assert due(2026, 5, 4) == ["speaker birthday", "speaker plan"]
    assert due(2026, 5, 5) == ["speaker birthday", "speaker plan", "Tom birthday"]
    assert due(2027, 5, 6) == ["Tom birthday"]
    assert facts.due_on(store, "Nobody", "Luna", date(2026, 5, 5)) == ()


def test_a_plan_whose_day_is_over_holds_no_more(store: MemoryStore) -> None:
    _say(store, "tomorrow we go to the zoo")
    assert len(facts.current(store, "Anna", "Luna", date(2026, 3, 12))) == 1
    assert facts.current(store, "Anna", "Luna", date(2026, 3, 13)) == ()


def test_what_is_due_is_found_within_a_millisecond_among_thousands(store: MemoryStore) -> None:
    turn_id = _say(store, "my birthday is on may fifth")
    many = [
        Fact(subject=SPEAKER, relation="likes", object=f"thing {n}", recorded_from=0.0, turn_ids=(turn_id,))
        for n in range(2_000)
    ]

    def insert(connection: sqlite3.Connection) -> None:
        for n, fact in enumerate(many):
            day = f"{n % 12 + 1:02}-{n % 28 + 1:02}" if n % 4 == 0 else None
            facts._insert(connection, (1, 1), replace(fact, day=day))

    store.write("fill", insert)
    took_s = []
    for _ in range(20):
        begun = time.perf_counter()
        assert facts.due_on(store, "Anna", "Luna", date(2026, 5, 5))
        took_s.append(time.perf_counter() - begun)
    assert min(took_s) < 0.001
