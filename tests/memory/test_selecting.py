"""What is meant by a selection: people's words, not ours, and conditions that narrow each other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from memory import facts
from memory.forgetting import preview
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.filling import HOUR_S, STARTED_AT, fill


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        fill(store)
        yield store


def counted(store: MemoryStore, selection: Selection) -> tuple[int, int, int]:
    found = preview(store, selection)
    return found.turns, found.facts, found.summaries


@pytest.mark.parametrize("word", ["speaker", "pet", "people", "likes", "fears"])
def test_names_of_ours_are_no_words_of_theirs(store: MemoryStore, word: str) -> None:
    assert preview(store, Selection(words=(word,))).facts == 0


def test_a_fact_is_found_by_what_it_tells_and_of_whom(store: MemoryStore) -> None:
    assert counted(store, Selection(words=("rhubarb",))) == (0, 1, 0)
    assert counted(store, Selection(words=("father",))) == (0, 1, 0)


def test_conditions_narrow_each_other(store: MemoryStore) -> None:
    mended = facts.correct(store, "Ben", "Luna", 4, "marmalade", STARTED_AT + 6 * HOUR_S)
    assert mended is not None
    assert mended.fact_id == 5
    later = STARTED_AT + 3.5 * HOUR_S
    assert counted(store, Selection(since=later)) == (2, 2, 1), (
        "no turn supports what was mended: it goes with its time"
    )
    assert counted(store, Selection(turn_ids=(6,), since=later)) == (1, 0, 1)
    assert counted(store, Selection(turn_ids=(1,), since=later)) == (0, 0, 0)
    assert counted(store, Selection(fact_ids=(5,), since=later)) == (0, 1, 0)
    assert counted(store, Selection(fact_ids=(1,), since=later)) == (0, 0, 0)
    assert counted(store, Selection(fact_ids=(1,), turn_ids=(6,))) == (1, 1, 1)
    assert counted(store, Selection(words=("Schnurri",))) == (2, 1, 1)
    assert counted(store, Selection(words=("Schnurri",), since=later)) == (0, 0, 0)
    assert counted(store, Selection(words=("Zanzibar",), until=later)) == (1, 0, 1)
    assert counted(store, Selection(words=("thunder",), until=later)) == (0, 0, 0)
    assert counted(store, Selection(words=("thunder",))) == (0, 0, 1)
