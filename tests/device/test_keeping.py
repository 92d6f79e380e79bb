"""Turns reach the memory in order and once, whoever waits for it and whenever it works again."""

import asyncio
from dataclasses import replace

from device.history import Entry
from device.keeping import MOST_UNKEPT, Keeping
from memory.errors import MemoryFullError, MemoryStoreError
from memory.messages import Turn


class FailingMemory:
    """Fails as long as it is told to, and holds commits back while `going` is clear."""

    def __init__(self) -> None:
        self.fails = False
        self.going = asyncio.Event()
        self.going.set()
        self.begun = asyncio.Event()
        self.committed: list[Turn] = []
        self.n_opened = 0

    async def open_conversation(self, person: str, character: str) -> int:
        self._fail()
        self.n_opened += 1
        return self.n_opened

    async def commit_turn(self, turn: Turn) -> Turn:
        self._fail()
        self.begun.set()
        await self.going.wait()
        self.committed.append(turn)
        return replace(turn, turn_id=len(self.committed))

    def _fail(self) -> None:
        if self.fails:
            raise MemoryFullError("the disk is full")


def turn(words: str) -> Turn:
    return Turn(conversation_id=0, person="Ada", character="Pip", user_text=words, reply_text="", said_at=0.0)


def keeping_of(memory: FailingMemory, told: list[MemoryStoreError | None] | None = None) -> Keeping:
    told = [] if told is None else told
    return Keeping(memory, on_kept=lambda _: None, on_failure=told.append)


def words_of(memory: FailingMemory) -> list[str]:
    return [turn.user_text for turn in memory.committed]


def test_what_failed_waits_and_is_kept_in_its_order_with_its_conversation() -> None:
    async def main() -> None:
        memory, first, told = FailingMemory(), Entry(), list[MemoryStoreError | None]()
        keeping = keeping_of(memory, told)
        memory.fails = True
        await keeping.keep(turn("one"), first)
        assert (first.turn_id, keeping.n_unkept) == (None, 1)
        memory.fails = False
        await keeping.keep(turn("two"), Entry())
        assert words_of(memory) == ["one", "two"]
        assert {turn.conversation_id for turn in memory.committed} == {1}, "opened once it could be"
        assert (first.turn_id, keeping.n_unkept) == (1, 0)
        assert [str(error) for error in told] == ["the disk is full", "None"]

    asyncio.run(main())


def test_a_turn_whose_keeper_is_cancelled_is_kept_once_and_gets_its_id() -> None:
    async def main() -> None:
        memory, entry = FailingMemory(), Entry()
        keeping = keeping_of(memory)
        memory.going.clear()
        task = asyncio.create_task(keeping.keep(turn("one"), entry))
        await memory.begun.wait()
        task.cancel()
        await asyncio.wait((task,))
        memory.going.set()
        await keeping.keep(turn("two"), Entry())
        assert words_of(memory) == ["one", "two"]
        assert entry.turn_id == 1

    asyncio.run(main())


def test_what_is_forgotten_while_it_waits_is_never_kept() -> None:
    async def main() -> None:
        memory, entry = FailingMemory(), Entry()
        keeping = keeping_of(memory)
        memory.fails = True
        await keeping.keep(turn("I like kites."), Entry())
        await keeping.keep(turn("My hamsters are ill."), Entry())
        await keeping.keep(turn("I broke the vase."), entry)
        assert await keeping.drop(entry)
        assert not await keeping.drop(entry)
        await keeping.drop_about("hamster")
        memory.fails = False
        await keeping.flush()
        assert words_of(memory) == ["I like kites."]
        memory.fails = True
        await keeping.keep(turn("Never mind."), Entry())
        await keeping.drop_about()
        assert keeping.n_unkept == 0

    asyncio.run(main())


def test_too_many_waiting_turns_are_counted_as_unkept() -> None:
    async def main() -> None:
        memory = FailingMemory()
        keeping = keeping_of(memory)
        memory.fails = True
        for number in range(MOST_UNKEPT + 2):
            await keeping.keep(turn(f"number {number}"), Entry())
        assert keeping.n_unkept == MOST_UNKEPT + 2
        memory.fails = False
        await keeping.flush()
        assert words_of(memory)[0] == "number 2"
        assert keeping.n_unkept == 2

    asyncio.run(main())
