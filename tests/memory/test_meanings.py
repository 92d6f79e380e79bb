"""What an encoder made of utterances is kept beside them, and what it has not read is found."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from memory.errors import MemoryInputError
from memory.meanings import store_meanings, undescribed
from memory.messages import Meaning
from memory.store import MemoryStore
from tests.memory.making import remember


@pytest.fixture(name="store")
def open_store(tmp_path: Path) -> Iterator[MemoryStore]:
    with MemoryStore(tmp_path / "memory.db") as store:
        yield store


def made(turn_id: int | None, *, in_reply: bool = False, embedding: bytes = b"\x01\x02") -> Meaning:
    assert turn_id is not None
    return Meaning(turn_id=turn_id, in_reply=in_reply, embedding=embedding, feelings=bytes(28), importance=0.5)


def stored(store: MemoryStore) -> list[tuple[int, str, bytes]]:
    with closing(sqlite3.connect(store.path)) as connection:
        return connection.execute(
            "SELECT utterance_id, fingerprint, embedding FROM meanings JOIN encoders ON encoders.id = encoder_id "
            "ORDER BY utterance_id"
        ).fetchall()


def test_what_was_not_read_comes_oldest_first_without_empty_sides(store: MemoryStore) -> None:
    first, second = remember(store, "one", "two"), remember(store, "", "three")
    found = undescribed(store, 9, "one")
    assert [(each.turn_id, each.in_reply, each.text) for each in found] == [
        (first.turn_id, False, "one"),
        (first.turn_id, True, "two"),
        (second.turn_id, True, "three"),
    ]
    assert undescribed(store, 2, "one") == found[:2]
    assert undescribed(store, 9, "one", after=first.turn_id or 0) == found[2:]
    assert undescribed(store, 0, "one") == ()


def test_what_one_encoder_has_read_another_has_not(store: MemoryStore) -> None:
    turn = remember(store, "one", "two")
    store_meanings(store, [made(turn.turn_id)], "first")
    assert [each.text for each in undescribed(store, 9, "first")] == ["two"]
    assert [each.text for each in undescribed(store, 9, "second")] == ["one", "two"]
    store_meanings(store, [made(turn.turn_id, embedding=b"\x03")], "second")
    assert stored(store) == [(2 * (turn.turn_id or 0), "second", b"\x03")]


def test_meanings_of_forgotten_turns_are_left_out(store: MemoryStore) -> None:
    turn = remember(store, "one", "two")
    store_meanings(store, [made(999), made(turn.turn_id, in_reply=True)], "first")
    assert [row[0] for row in stored(store)] == [2 * (turn.turn_id or 0) + 1]


def test_what_no_encoder_makes_is_refused_whole(store: MemoryStore) -> None:
    turn = remember(store, "one", "two")
    for meanings, fingerprint in (
        ([made(turn.turn_id), made(turn.turn_id, in_reply=True, embedding=b"\x01")], "first"),
        ([made(turn.turn_id, embedding=b"")], "first"),
        ([made(turn.turn_id)], ""),
    ):
        with pytest.raises(MemoryInputError, match="embeddings of one length"):
            store_meanings(store, meanings, fingerprint)
    store_meanings(store, [], "")
    assert stored(store) == []
