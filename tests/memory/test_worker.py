"""The store on a thread of its own: calls keep their order, and a turn that was said is stored whoever still waits."""

import asyncio
import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from memory import database, worker
from memory.errors import MemoryAccessError, MemoryInputError
from memory.messages import Turn
from memory.store import MemoryStore
from memory.worker import AsyncMemory
from tests.memory.making import query, remember


def _turn(text: str, conversation_id: int = 1) -> Turn:
    return Turn(
        conversation_id=conversation_id, person="Anna", character="Luna", user_text=text, reply_text="Yes.", said_at=1.0
    )


def test_turns_are_remembered_and_recalled_from_the_loop(tmp_path: Path) -> None:
    async def talk() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            assert await memory.open_conversation("Anna", "Luna") == 1
            first = await memory.commit_turn(_turn("My dog is called Biscuit"))
            second = await memory.commit_turn(_turn("Good morning"))
            assert await memory.last_turns("Anna", "Luna", 5) == (first, second)
            (found,) = await memory.recall("Anna", "Luna", query("dog", 5, exclude_newest=1))
            assert found.turn == first
            assert memory.notice is None
            with pytest.raises(MemoryInputError):
                await memory.commit_turn(first)

    asyncio.run(talk())


def test_the_loop_runs_on_while_a_commit_waits(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"

    async def talk() -> None:
        async with AsyncMemory.open(path) as memory:
            await memory.open_conversation("Anna", "Luna")
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                commit = asyncio.ensure_future(memory.commit_turn(_turn("hello")))
                for _ in range(20):
                    await asyncio.sleep(0.001)
                assert not commit.done()
                other.execute("ROLLBACK")
            assert (await commit).turn_id == 1

    asyncio.run(talk())


def test_leaving_waits_for_commits_whose_callers_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"

    async def talk() -> None:
        async with AsyncMemory.open(path) as memory:
            await memory.open_conversation("Anna", "Luna")
            commits = [asyncio.ensure_future(memory.commit_turn(_turn(f"turn {n}"))) for n in range(50)]
            await asyncio.sleep(0)
            for commit in commits:
                commit.cancel()
            outcomes = await asyncio.gather(*commits, return_exceptions=True)
            assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    asyncio.run(talk())
    with MemoryStore(path) as store:
        assert [turn.user_text for turn in store.last_turns("Anna", "Luna", 99)] == [f"turn {n}" for n in range(50)]


def test_a_commit_that_fails_when_nobody_waits_is_told_to_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def talk() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            commit = asyncio.ensure_future(memory.commit_turn(_turn("a secret", conversation_id=77)))
            await asyncio.sleep(0)
            commit.cancel()
            with pytest.raises(asyncio.CancelledError):
                await commit

    asyncio.run(talk())
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.message.startswith("a turn was not stored: cannot store a turn in")
    assert "secret" not in caplog.text


def test_leaving_does_not_wait_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CLOSE_TIMEOUT_S", 0.05)
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 1.0)
    path = tmp_path / "memory.db"

    async def talk(other: sqlite3.Connection) -> None:
        async with AsyncMemory.open(path) as memory:
            await memory.open_conversation("Anna", "Luna")
            other.execute("BEGIN IMMEDIATE")
            commit = asyncio.ensure_future(memory.commit_turn(_turn("hello")))
            await asyncio.sleep(0)
        assert "was not closed within 0.05 s" in caplog.text
        other.execute("ROLLBACK")
        assert (await commit).turn_id == 1

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        asyncio.run(talk(other))


def test_opening_fails_with_the_stores_own_error(tmp_path: Path) -> None:
    async def talk() -> None:
        async with AsyncMemory.open(tmp_path):
            pass

    with pytest.raises(MemoryAccessError, match="Is a directory"):
        asyncio.run(talk())


def test_one_memory_can_be_opened_again_after_it_was_left(tmp_path: Path) -> None:
    async def talk() -> tuple[Turn, ...]:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            return await memory.last_turns("Anna", "Luna", 5)

    assert asyncio.run(talk()) == ()
    with MemoryStore(tmp_path / "memory.db") as store:
        turn = remember(store, "hello")
    assert asyncio.run(talk()) == (turn,)
