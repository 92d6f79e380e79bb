"""Interruptions and ends of a conversation: history and memory hold the words heard, and no words are lost."""

import asyncio
from pathlib import Path

import pytest

from device.conversation import UNANSWERED_LETTERS
from device.display import CharacterSays, PersonSays, StateChanged
from device.errors import first_error
from memory.messages import Turn
from tests.device.fakes import Scene, running, said, scene, user_words
from tests.voice.scripted_ears import until
from tests.voice.scripted_mouth import ToneVoice

REPLY = "Hello my little one. I like the garden. Do you like it too?"


class BreakdownError(Exception):
    """What an engine of these tests fails with."""


def test_a_greeting_can_be_interrupted(tmp_path: Path) -> None:
    async def main() -> None:
        greeting = "Hello my little friend. I am Pip."
        async with scene(tmp_path, "Good.") as room, running(room, greeting=greeting):
            await room.until("first_audio_queued")
            await room.hear(greeting, "little")
            room.person.begins()
            await room.until("playback_stopped")
            room.speaker.by_itself = True
            room.person.ends("Wait.")
            await room.until("reply_done", turn=1)
            assert await room.remembered() == [("", "Hello my little", True), ("Wait.", "Good.", False)]

    asyncio.run(main())


def test_an_interruption_silences_and_history_holds_what_was_heard(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY, "Good.") as room, running(room):
            room.person.says("What do you like?")
            await room.until("cache_settled")
            await room.hear(REPLY, "I like")
            room.person.begins()
            await room.until("playback_stopped")
            assert room.speaker.n_written == room.speaker.n_played
            await room.until("reply_done", turn=1)

            heard = "Hello my little one. I like"
            assert said(room.dialogue) == [("user", "What do you like?"), ("assistant", heard)]
            assert await room.remembered() == [("What do you like?", heard, True)]
            assert CharacterSays(text=heard, final=True, interrupted=True) in room.display.updates
            barge_in = next(record for record in room.records if record["event"] == "barge_in")
            assert (barge_in["turn"], barge_in["over_turn"], barge_in["audible"]) == (2, 1, True)
            assert room.events(1)[-2:] == ["playback_stopped", "reply_done"]

            room.speaker.by_itself = True
            room.person.ends("No, wait.")
            await room.until("reply_done", turn=2)
            assert f"assistant\n{heard}<|im_end|>\n<|im_start|>user\nNo, wait.<|im_end|>" in room.brain.prompts[1]
            assert "garden" not in room.brain.prompts[1]

    asyncio.run(main())


def test_an_interruption_stops_the_model(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, ("Hello my little one. And", asyncio.Event(), "never said")) as room, running(room):
            room.person.says("What do you like?")
            await room.until("first_audio_queued")
            await room.hear(REPLY, "little")
            room.person.begins()
            await room.until("reply_done", turn=1)
            assert room.brain.n_aborted == 1
            assert await room.remembered() == [("What do you like?", "Hello my little", True)]

    asyncio.run(main())


def test_words_of_a_reply_that_was_not_heard_wait_for_the_next_turn(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY, "Good.") as room, running(room):
            room.person.says("I have a dog.")
            await room.until("first_audio_queued")
            room.person.begins()
            room.person.pauses("His name is Rex.")
            await room.until("barge_in")
            room.speaker.by_itself = True
            room.person.ends("His name is Rex.")
            await room.until("reply_done", turn=2)
            both = "I have a dog. His name is Rex."
            assert user_words(room.brain.prompts) == ["I have a dog.", both]
            assert await room.remembered() == [(both, "Good.", False)]
            assert "reply_done" not in room.events(1)

    asyncio.run(main())


def test_words_wait_too_if_the_reply_was_only_being_prepared(tmp_path: Path) -> None:
    """A reply that never began has heard nothing, whatever was heard of the one before."""

    async def main() -> None:
        async with scene(tmp_path, REPLY, "Good.", by_itself=True) as room, running(room):
            room.person.says("What do you like?")
            await room.until("reply_done", turn=1)
            room.brain.prefilling.clear()
            room.person.says("I have a dog.")
            await room.until("asr_final", turn=2)
            room.person.begins()
            assert (await room.until("barge_in"))["audible"] is False
            room.brain.prefilling.set()
            room.person.ends("His name is Rex.")
            await room.until("reply_done", turn=3)
            assert "playback_stopped" not in room.events(2), "nothing was played"
            assert (await room.remembered())[1:] == [("I have a dog. His name is Rex.", "Good.", False)]

    asyncio.run(main())


def test_words_wait_too_if_the_reply_had_not_even_begun(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.says("I have a dog.")
            room.person.says("His name is Rex.")  # both arrive in one go: the first reply never takes a step
            await room.until("reply_done", turn=2)
            assert "recall_done" not in room.events(1)
            assert await room.remembered() == [("I have a dog. His name is Rex.", "Good.", False)]

    asyncio.run(main())


def test_a_preparation_ends_with_the_reply_that_it_was_for(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.") as room, running(room):
            room.brain.prefilling.clear()
            room.person.begins()
            room.person.pauses("I have a dog.")
            await until(lambda: len(room.brain.prefills) == 1)
            room.person.ends("I have a dog.")
            room.person.begins()  # in one go with the end: the reply never takes a step
            await until(lambda: room.brain.n_dropped == 1)
            room.brain.prefilling.set()
            room.person.ends("")
            room.speaker.by_itself = True
            await room.until("reply_done", turn=2)

    asyncio.run(main())


def test_words_that_never_get_an_answer_do_not_pile_up(tmp_path: Path) -> None:
    async def main() -> None:
        story = "And then the dog ran away again. " * 6
        async with scene(tmp_path, "Really?", n_ctx=1_500) as room, running(room):
            room.brain.prefilling.clear()
            for _ in range(12):
                room.person.begins()
                room.person.ends(story.strip())
            await room.until("asr_final", turn=12)
            room.brain.prefilling.set()
            room.speaker.by_itself = True
            await room.until("reply_done", turn=12)
            turns = await room.remembered()
            assert sum(user_text.count("And then") for user_text, _, _ in turns) == 12 * 6
            assert max(len(user_text) for user_text, _, _ in turns) <= UNANSWERED_LETTERS + len(story)
            assert turns[-1][1] == "Really?", "all of them together would have been too many to answer"

    asyncio.run(main())


def test_noise_before_a_reply_began_does_not_cost_the_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY, "Good.") as room, running(room):
            room.person.says("I have a dog.")
            await room.until("first_audio_queued")
            room.person.begins()
            await room.until("barge_in")
            room.speaker.by_itself = True
            room.person.ends("")
            await room.until("reply_done", turn=2)
            assert user_words(room.brain.prompts) == ["I have a dog.", "I have a dog."]
            assert await room.remembered() == [("I have a dog.", "Good.", False)]
            assert [u.text for u in room.display.updates if isinstance(u, PersonSays) and u.final] == ["I have a dog."]

    asyncio.run(main())


def test_noise_alone_is_not_answered(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.") as room, running(room):
            room.person.begins()
            room.person.ends("")
            await room.until("asr_final")
            await room.idle()
            assert room.brain.prompts == []
            assert await room.remembered() == []
            assert room.display.updates[-1] == StateChanged(state="listening")

    asyncio.run(main())


def test_when_recognition_is_behind_the_person_is_not_spoken_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.falls_silent()
            late = room.person.heard("I have a dog.", final=True)
            room.person.begins()
            room.person.tell(late)
            await room.until("asr_final")
            assert not room.conversation.idle
            assert room.brain.prompts == []
            room.person.ends("His name is Rex.")
            await room.until("reply_done")
            assert await room.remembered() == [("I have a dog. His name is Rex.", "Good.", False)]

    asyncio.run(main())


def test_speech_after_the_last_word_was_heard_is_no_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", "Fine.", by_itself=True) as room, running(room):
            committing, going, commit_turn = asyncio.Event(), asyncio.Event(), room.memory.commit_turn

            async def slow_disk(turn: Turn) -> Turn:
                committing.set()
                await going.wait()
                return await commit_turn(turn)

            monkeypatch.setattr(room.memory, "commit_turn", slow_disk)
            room.person.says("Hello?")
            async with asyncio.timeout(10):
                await committing.wait()
            room.person.begins()
            await room.until("speech_started", turn=2)
            going.set()
            room.person.ends("And?")
            await room.until("reply_done", turn=2)
            assert "barge_in" not in room.events(2)
            assert "playback_stopped" not in room.events(1)
            assert await room.remembered() == [("Hello?", "Good.", False), ("And?", "Fine.", False)]

    asyncio.run(main())


# Ending ---------------------------------------------------------------------------------------------------------------


def test_cancelling_records_what_was_heard(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room:
            task = asyncio.create_task(room.conversation.run())
            room.person.says("What do you like?")
            await room.until("first_audio_queued")
            await room.hear(REPLY, "little")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await room.remembered() == [("What do you like?", "Hello my little", True)]

    asyncio.run(main())


def test_cancelling_records_words_without_an_answer(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room:
            task = asyncio.create_task(room.conversation.run())
            room.person.says("What do you like?")
            await room.until("first_audio_queued")
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await room.remembered() == [("What do you like?", "", True)]

    asyncio.run(main())


def test_cancelling_while_a_person_pauses_records_their_words(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room:
            task = asyncio.create_task(room.conversation.run())
            room.person.begins()
            room.person.pauses("I have")
            room.person.resumes()
            room.person.pauses("I have a dog.")
            room.person.resumes()
            await until(lambda: room.person.all_told)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await room.remembered() == [("I have a dog.", "", True)]

    asyncio.run(main())


def test_cancelling_in_the_middle_of_an_interruption_records_what_was_heard(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room:
            task = asyncio.create_task(room.conversation.run())
            room.person.says("What do you like?")
            await room.until("cache_settled")
            await room.hear(REPLY, "little")
            room.person.begins()
            async with asyncio.timeout(10):
                while "playback_stopped" not in room.events(1):  # noqa: ASYNC110 - not a step further than that
                    await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await room.remembered() == [("What do you like?", "Hello my little", True)]

    asyncio.run(main())


def test_the_end_of_the_microphone_ends_the_conversation_with_everything_recorded(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room:
            async with running(room):
                room.person.says("What do you like?")
                await room.until("cache_settled")
                await room.hear(REPLY, "one.")
            assert await room.remembered() == [("What do you like?", "Hello my little one.", True)]

    asyncio.run(main())


async def _failure(room: Scene) -> BaseException:
    """What the conversation ends with after a question."""
    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.timeout(10):
            await room.conversation.run()
    return first_error(caught.value)


def test_a_failing_brain_ends_the_conversation_and_the_words_are_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, ("Hello my little one. And", BreakdownError("brain"))) as room:
            room.person.says("What do you like?")
            assert str(await _failure(room)) == "brain"
            assert await room.remembered() == [("What do you like?", "", True)]

    asyncio.run(main())


def test_a_brain_that_fails_while_speaking_leaves_what_was_heard(tmp_path: Path) -> None:
    async def main() -> None:
        fail = asyncio.Event()
        async with scene(tmp_path, ("Hello my little one. And", fail, BreakdownError("brain"))) as room:
            room.person.says("What do you like?")
            ending = asyncio.create_task(_failure(room))
            await room.until("first_audio_queued")
            await room.hear(REPLY, "little")
            fail.set()
            assert str(await ending) == "brain"
            assert await room.remembered() == [("What do you like?", "Hello my little", True)]

    asyncio.run(main())


def test_a_failing_preparation_ends_the_conversation_and_the_words_are_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path) as room:
            room.brain.failure = BreakdownError("prefill")
            room.person.begins()
            room.person.ends("What do you like?")
            assert str(await _failure(room)) == "prefill"
            assert await room.remembered() == [("What do you like?", "", True)]

    asyncio.run(main())


def test_a_failing_voice_ends_the_conversation_and_the_words_are_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY, voice=ToneVoice(failure=BreakdownError("voice"))) as room:
            room.person.says("What do you like?")
            assert str(await _failure(room)) == "voice"
            assert await room.remembered() == [("What do you like?", "", True)]

    asyncio.run(main())


def test_failing_ears_end_the_conversation_and_what_was_heard_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, REPLY) as room:
            room.person.says("What do you like?")
            ending = asyncio.create_task(_failure(room))
            await room.until("cache_settled")
            await room.hear(REPLY, "one.")
            room.person.fails(BreakdownError("ears"))
            assert str(await ending) == "ears"
            assert await room.remembered() == [("What do you like?", "Hello my little one.", True)]

    asyncio.run(main())
