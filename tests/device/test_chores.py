"""What idle time is for: everything that was said is read, learned from, put in order, and at last let go."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from device.chores import memory_chores
from device.continuity import talk_file
from device.housekeeping import Chore
from device.reading import Reading
from memory import facts
from memory.forgetting import forget_newest, is_wiping_due, wipe
from memory.meanings import undescribed
from memory.messages import Turn
from memory.worker import AsyncMemory
from tests.device.fake_encoder import WordEncoder
from tests.device.fakes import NAME, PERSON

NOWHERE = Path("/nonexistent")
NOW = datetime(2026, 5, 4, 8, tzinfo=UTC)


def all_chores(
    memory: AsyncMemory, *, keep_days: int = 0, encoder: WordEncoder | None = None, states: Path = NOWHERE
) -> tuple[Chore, ...]:
    return tuple(
        memory_chores(
            memory,
            reading=Reading(encoder or WordEncoder()),
            by_model=None,
            learns=True,
            person=PERSON,
            character=NAME,
            keep_days=keep_days,
            keep_cited=False,
            states=states,
            local_time=lambda: NOW,
        )
    )


async def do_all(chores: Iterable[Chore]) -> dict[str, int]:
    """How many steps each took."""
    done = {}
    for chore in chores:
        done[chore.name] = 0
        while await chore.step():
            done[chore.name] += 1
            assert done[chore.name] < 1000
    return done


def with_memory(folder: Path, texts: Sequence[str], work: Callable[[AsyncMemory], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncMemory.open(folder / "memory.db") as memory:
            conversation_id = await memory.open_conversation(PERSON, NAME)
            for n, text in enumerate(texts):
                await memory.commit_turn(
                    Turn(
                        conversation_id=conversation_id,
                        person=PERSON,
                        character=NAME,
                        user_text=text,
                        reply_text="I see.",
                        said_at=(NOW - timedelta(days=3, minutes=-n)).timestamp(),
                    )
                )
            await work(memory)

    asyncio.run(main())


def test_what_nobody_came_to_is_read_and_learned_from(tmp_path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        await do_all(all_chores(memory))
        assert await memory.ask(undescribed, 99, "words") == ()
        assert [fact.object for fact in await memory.ask(facts.current, PERSON, NAME)] == ["dog called Rex"]

    with_memory(tmp_path, ["My dog is called Rex.", *(f"The weather is fine on day {n}." for n in range(40))], work)


def test_there_is_nothing_to_do_twice(tmp_path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        await do_all(all_chores(memory))
        assert set((await do_all(all_chores(memory))).values()) == {0}

    with_memory(tmp_path, ["My dog is called Rex.", "I like kites."], work)


def test_what_was_forgotten_is_wiped_off_the_disk(tmp_path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        await memory.ask(forget_newest, PERSON, NAME)
        assert await memory.ask(is_wiping_due)
        await do_all(all_chores(memory))
        assert not await memory.ask(is_wiping_due)

    with_memory(tmp_path, ["I like kites.", "I broke the vase."], work)
    assert not any(b"vase" in path.read_bytes() for path in tmp_path.iterdir())


def test_old_turns_leave_where_that_is_wanted(tmp_path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        await do_all(all_chores(memory, keep_days=7))
        assert len(await memory.last_turns(PERSON, NAME, 9)) == 2
        saved = talk_file(tmp_path, PERSON, NAME)
        saved.write_bytes(b"I broke the vase.")
        await do_all(all_chores(memory, keep_days=1, states=tmp_path))
        assert not saved.exists()
        assert await memory.last_turns(PERSON, NAME, 9) == ()

    with_memory(tmp_path, ["I like kites.", "I broke the vase."], work)


def test_an_encoder_that_fails_ends_the_reading(tmp_path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        done = await do_all(all_chores(memory, encoder=WordEncoder(fails=True)))
        assert done["reading what was said"] <= 1
        assert done["learning from what was said"] == 1

    with_memory(tmp_path, [f"The weather is fine on day {n}." for n in range(40)], work)


def test_a_wiping_breaks_off_for_whoever_speaks_and_is_made_up_for(tmp_path: Path) -> None:
    async def work(memory: AsyncMemory) -> None:
        await memory.ask(forget_newest, PERSON, NAME)
        stop = threading.Event()
        stop.set()
        await memory.ask(wipe, stop)
        assert await memory.ask(is_wiping_due)
        await memory.ask(wipe)
        assert not await memory.ask(is_wiping_due)

    with_memory(tmp_path, [f"The weather is fine on day {n}, and the vase is broken." for n in range(400)], work)
