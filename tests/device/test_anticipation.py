"""Work on words that may still change: it is there when they stay, and leaves nothing behind when they do not."""

import asyncio
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from device.anticipation import agreed_words
from device.draft import EVENTS_AHEAD
from models.errors import ModelError
from models.messages import Finished
from tests.device.fakes import ScriptedBrain, dialogue_of, pieces, running, said, scene, user_words
from tests.voice.scripted_ears import PATIENCE_S, until
from tests.voice.scripted_mouth import LETTER_SAMPLES

WORDS = st.lists(st.sampled_from(["How", "are", "you", "today", "HOW", "old"]), max_size=8)


def test_a_reply_begun_in_the_pause_is_the_reply_if_the_words_stay(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: user_words(room.brain.prompts) == ["How are you?"])
            room.person.ends("How are you?")
            await room.until("reply_done")
            assert user_words(room.brain.prompts) == ["How are you?"]
            assert await room.remembered() == [("How are you?", "Good.", False)]

    asyncio.run(main())


def test_case_and_punctuation_do_not_change_the_words(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("how are you")
            await until(lambda: len(room.brain.prompts) == 1)
            room.person.ends("How are you?")
            await room.until("reply_done")
            assert len(room.brain.prompts) == 1
            assert said(room.dialogue)[0] == ("user", "how are you"), "as it stands in the cache"

    asyncio.run(main())


def test_a_reply_to_words_that_changed_leaves_no_trace(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "To the wrong words. *nods*", "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are")
            await until(lambda: user_words(room.brain.prompts) == ["How are"])
            room.person.ends("How old are you?")
            await room.until("reply_done")
            await room.idle()
            assert room.speaker.n_written == len("Good.") * LETTER_SAMPLES
            assert room.body.expressed == []
            assert said(room.dialogue) == [("user", "How old are you?"), ("assistant", "Good.")]
            assert await room.remembered() == [("How old are you?", "Good.", False)]
            assert "wrong" not in str(room.records) + str(room.display.updates)

    asyncio.run(main())


def test_a_reply_is_dropped_when_the_person_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        waiting = asyncio.Event()
        async with scene(tmp_path, (waiting, "To half of it."), "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you")
            await until(lambda: len(room.brain.prompts) == 1)
            room.person.resumes()
            await until(lambda: room.brain.n_aborted == 1)
            room.person.pauses("How are you today?")
            room.person.ends("How are you today?")
            await room.until("reply_done")
            assert room.speaker.n_written == len("Good.") * LETTER_SAMPLES

    asyncio.run(main())


def test_the_first_clause_is_made_in_the_pause_and_heard_after_it(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "I am very well. How are you?", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: room.voice.said == ["I am very well."])
            assert room.speaker.n_written == 0
            room.person.ends("How are you?")
            await room.until("reply_done")
            assert room.voice.said == ["I am very well.", "How are you?"]
            assert await room.remembered() == [("How are you?", "I am very well. How are you?", False)]

    asyncio.run(main())


def test_a_reply_that_fails_unheard_troubles_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, (ModelError("no more memory"),), "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are")
            await until(lambda: len(room.brain.prompts) == 1)
            room.person.ends("How old are you?")
            await room.until("reply_done")
            assert room.voice.said == ["Good."]

    asyncio.run(main())


def test_a_reply_that_nobody_will_take_keeps_no_conversation_from_ending(tmp_path: Path) -> None:
    async def main() -> None:
        long = "word " * (2 * EVENTS_AHEAD)
        async with asyncio.timeout(PATIENCE_S), scene(tmp_path, long, by_itself=True) as room:
            async with running(room):
                room.person.begins()
                room.person.pauses("How are you?")
                await until(lambda: len(room.brain.prompts) == 1)
            assert said(room.dialogue) == [("user", "How are you?")]

    asyncio.run(main())


def test_a_fault_on_the_way_ends_nothing_before_the_words_are_final(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            for text in ("Tell me about", "Tell me about the"):
                room.brain.failure = ModelError("no more memory")
                room.person.murmurs(text)
            await until(lambda: len(room.brain.prefills) == 1)
            room.person.pauses("Tell me about the sea.")
            await until(lambda: len(room.brain.prefills) == 2)
            room.brain.failure = None
            room.person.ends("Tell me about the sea.")
            await room.until("reply_done")
            assert room.voice.said == ["Good."]

    asyncio.run(main())


def test_half_a_reply_that_something_newer_stopped_is_not_taken(tmp_path: Path) -> None:
    async def main() -> None:
        stopped = ("Half of", Finished(reason="aborted"))
        async with scene(tmp_path, stopped, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: len(room.brain.prompts) == 1)
            room.person.ends("How are you?")
            await room.until("reply_done")
            assert await room.remembered() == [("How are you?", "Good.", False)]

    asyncio.run(main())


def test_words_recognised_late_leave_no_reply_behind(tmp_path: Path) -> None:
    """The person speaks again before the first turn's words are final: one answer for both."""

    async def main() -> None:
        waiting = asyncio.Event()
        async with scene(tmp_path, (waiting, "To half of it."), "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            room.person.pauses("I have a dog.")
            await until(lambda: len(room.brain.prompts) == 1)
            room.person.falls_silent()
            late = room.person.heard("I have a dog.", final=True)
            room.person.begins()
            room.person.tell(late)
            await until(lambda: room.brain.n_aborted == 1)
            room.person.ends("His name is Rex.")
            await room.until("reply_done", turn=2)
            assert await room.remembered() == [("I have a dog. His name is Rex.", "Good.", False)]

    asyncio.run(main())


def test_without_speculation_only_the_prompt_is_prepared(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True, speculate=False) as room, running(room):
            room.person.begins()
            room.person.pauses("How are you?")
            await until(lambda: user_words(room.brain.prefills) == ["How are you?"])
            assert room.brain.prompts == []
            room.person.ends("How are you?")
            await room.until("reply_done")
            assert user_words(room.brain.prompts) == ["How are you?"]
            assert user_words(room.brain.prefills) == ["How are you?"], "once, in the pause"

    asyncio.run(main())


def test_words_that_settled_are_taken_in_while_the_person_speaks(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, "Good.", by_itself=True) as room, running(room):
            room.person.begins()
            for text in ("Tell", "Tell me", "Tell me about the", "Tell me about the sea", "Tell me about the sea now"):
                room.person.murmurs(text)
            await until(
                lambda: room.brain.prefills[-1:] != [] and room.brain.prefills[-1].endswith("Tell me about the")
            )
            room.person.ends("Tell me about the sea now.")
            await room.until("reply_done")
            assert user_words(room.brain.prompts) == ["Tell me about the sea now."]

    asyncio.run(main())


def test_words_without_room_are_not_taken_in_before_they_are_final() -> None:
    """Making room for them would forget a turn, for words that were perhaps never said."""

    async def main() -> None:
        brain = ScriptedBrain()
        dialogue = dialogue_of(brain, None, n_ctx=700)
        await dialogue.record("Hello.", pieces("Hello my friend. "), 16, interrupted=False)
        words = "word " * 95
        assert await dialogue.take_in(words) is None
        assert await dialogue.anticipate(words) is None
        assert brain.prefills == []
        assert len(dialogue.history) == 2
        await dialogue.prepare(words)
        assert len(dialogue.history) == 0

    asyncio.run(main())


# Which words have settled ---------------------------------------------------------------------------------------------


def test_words_have_settled_when_two_texts_agree_and_go_on_behind_them() -> None:
    assert agreed_words("", "Tell me about") == ""
    assert agreed_words("Tell me", "Tell me about the") == "Tell"
    assert agreed_words("tell me about", "Tell me about the") == "Tell me"
    assert agreed_words("Tell me of the", "Tell me about the sea") == "Tell me"
    assert agreed_words("Tell me", "Tell me") == "Tell"


@given(before=WORDS, now=WORDS)
@settings(deadline=None, max_examples=200)
def test_what_has_settled_is_the_beginning_of_both(before: list[str], now: list[str]) -> None:
    agreed = agreed_words(" ".join(before), " ".join(now)).split()
    assert agreed == now[: len(agreed)]
    assert [word.casefold() for word in agreed] == [word.casefold() for word in before[: len(agreed)]]
    assert len(agreed) < max(1, min(len(before), len(now)))
