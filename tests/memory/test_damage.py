"""Damage anywhere in the file: what was said is never quoted, what can be read is, and the conversation goes on."""

import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memory import database, facts, forgetting, sleep
from memory.errors import MemoryStoreError
from memory.meanings import store_meanings
from memory.messages import Fact, Meaning
from memory.selecting import Selection
from memory.store import MemoryStore
from tests.memory.making import recall, remember

PAGE_BYTES = 4096
MORNING_S = 1_700_000_000.0
LATER = datetime.fromtimestamp(MORNING_S + 86400, UTC)

Damage = Callable[[random.Random, bytearray], None]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A memory with something in nearly every table."""
    path = tmp_path_factory.mktemp("sound") / "memory.db"
    with MemoryStore(path) as store:
        turns = [remember(store, f"the dragon {n} flies", "word " * 60, said_at=MORNING_S + 600 * n) for n in range(60)]
        meanings = [
            Meaning(
                turn_id=turn.turn_id or 0, in_reply=False, embedding=b"\1" * 384, feelings=bytes(28), importance=0.5
            )
            for turn in turns
        ]
        store_meanings(store, meanings, "test")
        fact = Fact(subject="speaker", relation="lives_in", object="Town", recorded_from=1.0, turn_ids=(3,))
        facts.record(store, "Anna", "Luna", [fact], 1.0)
        for _ in sleep.steps(store, LATER):
            pass
    return path


def _pages(path: Path) -> dict[str, list[int]]:
    """The pages of each table and index."""
    pages: dict[str, list[int]] = {}
    with closing(sqlite3.connect(path)) as connection:
        for name, number in connection.execute("SELECT name, pageno FROM dbstat"):
            pages.setdefault(name, []).append(number)
    return pages


def _damaged(sound: Path, folder: Path, number: int, damage: Damage, chance: random.Random) -> Path:
    folder.mkdir()
    path = folder / "memory.db"
    shutil.copy(sound, path)
    with path.open("r+b") as file:
        file.seek(PAGE_BYTES * (number - 1))
        page = bytearray(file.read(PAGE_BYTES))
        damage(chance, page)
        file.seek(PAGE_BYTES * (number - 1))
        file.write(page)
    return path


def _noise(chance: random.Random, page: bytearray) -> None:
    page[:] = chance.randbytes(PAGE_BYTES)


def _some_bytes(chance: random.Random, page: bytearray) -> None:
    for _ in range(32):
        page[chance.randrange(PAGE_BYTES)] = chance.randrange(256)


def _live(store: MemoryStore) -> Sequence[str]:
    """What a companion does in a day; returns the errors it would have told of."""
    told = []
    for work in (
        lambda: store.last_turns("Anna", "Luna", 99),
        lambda: recall(store, "Anna", "Luna", "the dragon flies", 5),
        lambda: facts.current(store, "Anna", "Luna"),
        lambda: sum(1 for _ in sleep.steps(store, LATER)),
        lambda: forgetting.forget(store, Selection(turn_ids=(5,))),
        lambda: forgetting.wipe(store),
    ):
        try:
            work()
        except MemoryStoreError as error:
            told.append(str(error))
    return told


@pytest.mark.parametrize("damage", [_noise, _some_bytes])
@pytest.mark.parametrize("checked_bytes", [database.CHECKED_BYTES, 0], ids=["at_the_start", "when_it_is_read"])
def test_the_conversation_goes_on_whatever_page_is_damaged(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Damage, checked_bytes: int
) -> None:
    monkeypatch.setattr(database, "CHECKED_BYTES", checked_bytes)
    chance = random.Random(1)
    n_aside = 0
    pages = _pages(sound)
    if damage is _noise:
        del pages["sqlite_schema"]  # noise from the first page on is what an encrypted memory looks like
    for name, numbers in pages.items():
        path = _damaged(sound, tmp_path / name, chance.choice(numbers), damage, chance)
        with MemoryStore(path) as store:
            told = _live(store)
            turn = remember(store, "we go on")
            assert store.last_turns("Anna", "Luna", 1) == (turn,), name
            asides = list(path.parent.glob("memory.corrupt-*"))
            assert bool(asides) == (store.notice is not None and "is kept as" in store.notice), name
            assert not any("dragon" in text or "word" in text for text in told), name
            n_aside += bool(asides)
    assert n_aside > 0


def test_a_flipped_bit_in_a_word_costs_a_letter(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    with MemoryStore(path) as store:
        remember(store, "my dragon is green", "How nice")
    path.write_bytes(path.read_bytes().replace(b"is green", b"is gr\xffen"))
    with MemoryStore(path) as store:
        (turn,) = store.last_turns("Anna", "Luna", 9)
        assert turn.user_text == "my dragon is gr\ufffden"
        assert [each.turn for each in recall(store, "Anna", "Luna", "the dragon", 5)] == [turn]
        assert store.notice is None
