"""A reply is recorded once and wholly, however often that is cancelled, and its words are answered once."""

import asyncio
from pathlib import Path

from device.guarded import open_guarding
from device.settings import GuardSettings
from memory.messages import Turn
from models.character import starter_character
from tests.device.fakes import mind_of, running, scene


def test_a_reply_whose_recording_is_cancelled_is_recorded_once_and_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room:
            real, begun, going = room.memory.commit_turn, asyncio.Event(), asyncio.Event()

            async def slow(turn: Turn) -> Turn:
                begun.set()
                await going.wait()
                return await real(turn)

            room.memory.commit_turn = slow  # type: ignore[method-assign]
            conversation = asyncio.create_task(room.conversation.run())
            room.person.says("How are you?")
            await begun.wait()
            conversation.cancel()
            for _ in range(9):  # it ends, but for what waits for the memory
                await asyncio.sleep(0)
            going.set()
            await asyncio.wait((conversation,))
            assert room.events(1).count("reply_done") == 1
            assert await room.remembered() == [("How are you?", "Good.", False)]
            assert not room.dialogue.is_off_record

    asyncio.run(main())


def test_words_answered_by_the_guard_still_wait_if_nothing_of_the_answer_was_heard(tmp_path: Path) -> None:
    """Nothing was done for them, and they may need that answer."""
    guarding = open_guarding(GuardSettings(), starter_character(), "en")

    async def main() -> None:
        async with scene(tmp_path, mind=lambda memory: mind_of(memory, guarding=guarding)) as room, running(room):
            room.person.says("I want to kill myself.")
            await room.until("first_audio_queued", turn=1)
            room.person.begins()
            await room.until("barge_in")
            room.speaker.by_itself = True
            room.person.pauses("Please.")
            room.person.ends("Please.")
            await room.until("reply_done", turn=2)
            (remembered,) = await room.remembered()
            assert remembered[0] == "I want to kill myself. Please."
            assert guarding is not None
            assert sum(guarding.counts.values()) == 1

    asyncio.run(main())
