"""The tool that kills the memory sees what would be wrong: each flaw is made on purpose."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from memory import facts, forgetting
from memory.messages import Fact
from memory.relations import SPEAKER
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.making import remember
from tools.kill_memory_checks import Ledger, flaws
from tools.kill_memory_life import HOME

SQL = Callable[[sqlite3.Connection], object]


def _written(path: Path) -> Ledger:
    """Three turns, the last of which says where Anna lives."""
    ledger = Ledger()
    with MemoryStore(path) as store:
        for n in range(3):
            turn = remember(store, f"I saw w1q{n}z, a dragon.", "Oh.")
            ledger.take("done", "talk", {"turn_id": turn.turn_id or 0, "text": turn.user_text})
        fact = Fact(subject=SPEAKER, relation=HOME, object="Town1", recorded_from=1.0, turn_ids=(3,))
        facts.record(store, "Anna", "Luna", [fact], 1.0)
        ledger.take("done", "record", {"relation": HOME, "value": "Town1"})
    return ledger


def _change(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(sql)


def test_a_sound_memory_has_no_flaws(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    ledger = _written(path)
    assert ledger.broken_promises(path) == []
    assert flaws(path, with_index=True) == []
    assert ledger.n_acknowledged == 4


@pytest.mark.parametrize(
    ("sql", "flaw"),
    [
        ("DELETE FROM turns WHERE id = 3", "a row of fact_turns refers to nothing"),
        ("INSERT INTO meanings VALUES (99, 1, x'', x'', 0.5)", "a meaning of no turn"),
        ("DELETE FROM fact_turns", "a fact of no turn"),
        ("INSERT INTO summaries VALUES (1, 1, 1, 1, 9, 'x', 1.0)", "a summary of a turn that is not there"),
        (
            "INSERT INTO summaries VALUES (1, 1, 1, 1, 2, 'x', 1.0), (2, 1, 1, 2, 3, 'y', 1.0)",
            "two summaries of one turn",
        ),
        ("UPDATE turns SET user_text = 'other' WHERE id = 2", "the full-text index is not that of the turns"),
        ("DELETE FROM utterances_data WHERE id > 10", "the full-text index contradicts itself"),
    ],
)
def test_what_is_half_done_in_the_file_is_found(tmp_path: Path, sql: str, flaw: str) -> None:
    path = tmp_path / "memory.db"
    _written(path)
    _change(path, sql)
    assert any(found.startswith(flaw) for found in flaws(path, with_index=flaw.endswith("turns")))


@pytest.mark.parametrize(
    ("sql", "flaw"),
    [
        ("DELETE FROM turns WHERE id = 2", "turn 2 was acknowledged and is lost"),
        ("UPDATE turns SET user_text = 'other' WHERE id = 2", "turn 2 has other words"),
        ("INSERT INTO turns VALUES (9, 1, 1, 1, 'x', '', 1.0, 0)", "turn 9 came back, or nobody said it"),
        ("UPDATE facts SET valid_to = 2.0", f"{HOME} is None, not one of"),
        (
            "INSERT INTO facts SELECT 9, 1, 1, subject, relation, 'x', day, 1, NULL, 1, NULL, source, NULL FROM facts",
            "2 values",
        ),
        ("CREATE TABLE more AS SELECT 'w1q7z' AS words", "turn 8 was forgotten and can be read"),
    ],
)
def test_a_broken_promise_is_found(tmp_path: Path, sql: str, flaw: str) -> None:
    path = tmp_path / "memory.db"
    ledger = _written(path)
    ledger.forgotten[8] = "I saw w1q7z, a dragon."
    _change(path, sql)
    assert any(found.startswith(flaw) for found in ledger.broken_promises(path))


def test_what_was_being_done_may_have_happened_or_not_but_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    ledger = _written(path)
    ledger.take("begins", "talk", {"text": "I saw w1q9z, a dragon."})
    with MemoryStore(path) as store:
        remember(store, "I saw w1q9z, a dragon.")
    assert ledger.broken_promises(path) == []
    with MemoryStore(path) as store:
        forgetting.forget(store, Selection(turn_ids=(4,)))
    assert ledger.broken_promises(path) == ["turn 4 was acknowledged and is lost"]


def test_a_forgetting_that_was_not_acknowledged_may_have_happened(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    ledger = _written(path)
    ledger.take("begins", "forget", {"turn_id": 1})
    with MemoryStore(path) as store:
        forgetting.forget(store, Selection(turn_ids=(1,)))
    assert ledger.broken_promises(path) == []
    assert 1 in ledger.forgotten
