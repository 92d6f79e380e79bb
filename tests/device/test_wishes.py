"""What somebody wishes about remembering is done at once, in fixed words, and leaves no trace of itself."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from device.dialogue import Dialogue
from device.guarded import open_guarding
from device.settings import GuardSettings
from device.wishes import INCOGNITO_BEGINS, INCOGNITO_ENDS, INCOGNITO_S, OPEN_FOR_S, answers_in
from memory.errors import MemoryFullError
from memory.forgetting import forget
from memory.messages import Turn
from memory.selecting import Selection
from memory.worker import AsyncMemory
from models.character import starter_character
from tests.device.fakes import NAME, PERSON, ScriptedBrain, dialogue_of, mind_of, running, said, scene, talk_with

ANSWERS = answers_in("en")


class Clock:
    """Monotonic time, as the test sets it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


class Removing:
    """Counts how often the saved states had to go."""

    def __init__(self) -> None:
        self.n = 0

    async def __call__(self) -> None:
        self.n += 1


def with_memory(
    folder: Path, talk: Callable[[Dialogue, AsyncMemory, ScriptedBrain, Removing], Awaitable[None]], **mind: Any
) -> None:
    """Have `talk` with a dialogue that remembers; `mind` goes to `mind_of`."""

    async def main() -> None:
        brain, removing = ScriptedBrain(*["Nice!"] * 9), Removing()
        async with AsyncMemory.open(folder / "memory.db") as memory:
            dialogue = dialogue_of(brain, memory, mind=mind_of(memory, on_forgotten=removing, **mind))
            await dialogue.restore()
            await talk(dialogue, memory, brain, removing)

    asyncio.run(main())


async def remembered(memory: AsyncMemory) -> list[str]:
    return [turn.user_text for turn in await memory.last_turns(PERSON, NAME, 99)]


def test_forget_that_takes_the_last_turn_out_of_history_and_memory(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.", "I broke the vase.")
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.forgotten
        assert await remembered(memory) == ["I like kites."]
        assert said(dialogue) == [("user", "I like kites."), ("assistant", "Nice!")]
        assert removing.n == 1
        await talk_with(dialogue, "What now?")
        assert "vase" not in brain.prompts[-1]

    with_memory(tmp_path, talk)


def test_forgetting_about_something_takes_it_out_of_the_prompt_too(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "My hamster is ill.", "I like kites.", "Forget about my hamster.")
        assert await remembered(memory) == ["I like kites."]
        await talk_with(dialogue, "What now?")
        assert "hamster" not in brain.prompts[-1].casefold()
        assert "kites" in brain.prompts[-1]

    with_memory(tmp_path, talk)


def test_everything_is_forgotten_only_after_a_yes(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        assert await talk_with(dialogue, "Forget everything about me.") == ANSWERS.ask_everything
        await talk_with(dialogue, "Is it raining?")
        assert await talk_with(dialogue, "Yes.") == "Nice!", "the question was not answered in time"
        assert "I like kites." in await remembered(memory)
        await talk_with(dialogue, "Forget everything about me.")
        assert await talk_with(dialogue, "Yes, forget everything.") == ANSWERS.forgot_everything
        assert await remembered(memory) == []
        assert said(dialogue) == []
        await talk_with(dialogue, "Hello!")
        assert await remembered(memory) == ["Hello!"]

    with_memory(tmp_path, talk)


def test_nothing_said_in_confidence_reaches_the_disk(tmp_path: Path) -> None:
    kept: list[int] = []

    async def keep(_history: object, n_recorded: int) -> None:
        kept.append(n_recorded)

    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            brain = ScriptedBrain(*["Nice!"] * 9)
            dialogue = dialogue_of(brain, memory, on_turn_over=keep)
            await dialogue.restore()
            assert await talk_with(dialogue, "Don't remember this.") == ANSWERS.begins
            await talk_with(dialogue, "I am in love with Zacharias.")
            assert dialogue.is_off_record
            assert await talk_with(dialogue, "Forget that.") == ANSWERS.forgotten
            assert not dialogue.is_off_record
            await talk_with(dialogue, "His name is Zacharias.")
            assert "Zacharias" in brain.prompts[-1], "it knows while they talk"
            n_kept = len(kept)
            assert await talk_with(dialogue, "You can remember again.") == ANSWERS.ends
            await talk_with(dialogue, "I like kites.")
            assert await remembered(memory) == ["I like kites."]
            assert len(kept) == n_kept, "the conversation has words in it that are not to be kept"

    asyncio.run(main())
    assert not any(b"Zacharias" in path.read_bytes() for path in tmp_path.iterdir())


def test_forget_that_in_confidence_leaves_what_was_said_before(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.", "Don't remember this.", "I broke the vase.", "Forget that.")
        assert await remembered(memory) == ["I like kites."]

    with_memory(tmp_path, talk)


def test_a_wish_that_is_only_anticipated_has_no_effect(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        assert await dialogue.anticipate("Forget that.") is not None
        assert await remembered(memory) == ["I like kites."]
        assert removing.n == 0

    with_memory(tmp_path, talk)


def test_what_another_program_forgot_leaves_the_conversation_too(tmp_path: Path) -> None:
    from memory.store import MemoryStore

    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "My hamster is ill.", "I like kites.")
        with MemoryStore(tmp_path / "memory.db") as other:
            forget(other, Selection(words=("hamster",)))
        await talk_with(dialogue, "What now?", "And now?")
        assert "hamster" not in brain.prompts[-1]
        assert "kites" in brain.prompts[-1]

    with_memory(tmp_path, talk)


@pytest.mark.parametrize("language", ["en", "de", "es", "zh"])
def test_every_language_with_wishes_has_answers(language: str) -> None:
    answers = answers_in(language)
    assert language == "en" or answers != ANSWERS
    assert answers_in("fi") == ANSWERS


def test_what_could_not_be_forgotten_is_not_said_to_be(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I broke the vase.")
        prepared = await dialogue.prepare("Forget that.")
        with sqlite3.connect(tmp_path / "memory.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")  # another program writes, and does not end
            instead = await dialogue.take(prepared)
            other.execute("ROLLBACK")
        assert instead is not None
        assert instead.text == ANSWERS.failed
        assert await remembered(memory) == ["I broke the vase."]

    with_memory(tmp_path, talk)


# Once it is begun, it is done -----------------------------------------------------------------------------------------


def test_a_wish_whose_answer_was_interrupted_is_not_carried_out_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with scene(tmp_path, *["Nice."] * 3) as room, running(room):
            room.speaker.by_itself = True
            for number, words in enumerate(("I like kites.", "I broke the vase."), start=1):
                room.person.says(words)
                await room.until("reply_done", turn=number)
                await room.idle()
            room.speaker.by_itself = False
            room.person.says("Forget that.")
            await room.until("first_audio_queued", turn=3)
            room.person.begins()  # before a word of the answer was heard
            await room.until("barge_in")
            room.speaker.by_itself = True
            room.person.pauses("Please.")
            room.person.ends("Please.")
            await room.until("reply_done", turn=4)
            assert [words for words, *_ in await room.remembered()] == ["I like kites.", "Please."]

    asyncio.run(main())


def test_forgetting_that_was_begun_is_finished_in_history_and_on_the_disk(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.", "I broke the vase.")
        real, begun, going = memory.ask, asyncio.Event(), asyncio.Event()

        async def slow(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            result = await real(function, *args, **kwargs)
            if function is forget:
                begun.set()
                await going.wait()
            return result

        memory.ask = slow  # type: ignore[method-assign]
        taking = asyncio.create_task(dialogue.take(await dialogue.prepare("Forget that.")))
        await begun.wait()
        taking.cancel()
        await asyncio.sleep(0)
        going.set()
        await asyncio.wait((taking,))
        assert taking.cancelled()
        assert (await remembered(memory), removing.n) == (["I like kites."], 1)
        assert said(dialogue) == [("user", "I like kites."), ("assistant", "Nice!")]

    with_memory(tmp_path, talk)


# What memory does not have --------------------------------------------------------------------------------------------


def test_forget_that_is_about_the_turn_that_memory_could_not_keep_yet(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        await while_failing(memory, talk_with(dialogue, "I wet my bed.", "My hamster is ill."))
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.forgotten
        await talk_with(dialogue, "What now?")
        assert await remembered(memory) == ["I like kites.", "I wet my bed.", "What now?"]
        assert "hamster" not in brain.prompts[-1]

    with_memory(tmp_path, talk)


@pytest.mark.parametrize("wishes", [("Forget everything you know about my bed.",), ("Forget everything.", "Yes.")])
def test_what_memory_could_not_keep_yet_is_forgotten_with_the_rest(tmp_path: Path, wishes: tuple[str, ...]) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        answer = await while_failing(memory, talk_with(dialogue, "I wet my bed.", *wishes))
        assert answer in (ANSWERS.forgotten, ANSWERS.forgot_everything)
        await talk_with(dialogue, "What now?")
        assert await remembered(memory) == ["What now?"]
        assert "bed" not in brain.prompts[-1]

    with_memory(tmp_path, talk)


async def while_failing(memory: AsyncMemory, talk: Awaitable[str]) -> str:
    """Have this talk while the disk is full: nothing new is kept."""

    async def full(turn: Turn) -> Turn:
        raise MemoryFullError("the disk is full")

    real = memory.commit_turn
    memory.commit_turn = full  # type: ignore[method-assign]
    try:
        return await talk
    finally:
        memory.commit_turn = real  # type: ignore[method-assign]


def test_forgetting_something_else_leaves_the_words_said_in_confidence(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "My hamster is ill.", "Don't remember this.", "I wet my bed.")
        assert await talk_with(dialogue, "Forget everything about my hamster.") == ANSWERS.forgotten
        assert said(dialogue) == [("user", "I wet my bed."), ("assistant", "Nice!")]
        assert await talk_with(dialogue, "Forget everything about my bed.") == ANSWERS.forgotten
        assert said(dialogue) == []

    with_memory(tmp_path, talk)


def test_forgetting_the_last_turn_takes_the_same_from_memory_and_history(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        await dialogue.remember("A very long story.")
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.forgotten
        assert (await remembered(memory), said(dialogue)[0]) == (["I like kites."], ("user", "I like kites."))
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.forgotten
        assert (await remembered(memory), said(dialogue)) == ([], [])
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.nothing_known

    with_memory(tmp_path, talk)


def test_without_memory_the_conversation_forgets() -> None:
    async def main() -> None:
        brain = ScriptedBrain(*["Nice!"] * 9)
        dialogue = dialogue_of(brain, None)
        await talk_with(dialogue, "My hamster is ill.", "I like kites.", "I broke the vase.")
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.forgotten
        assert await talk_with(dialogue, "Forget everything about my hamster.") == ANSWERS.forgotten
        assert said(dialogue) == [("user", "I like kites."), ("assistant", "Nice!")]
        assert await talk_with(dialogue, "Forget everything.", "Yes.") == ANSWERS.forgot_everything
        assert said(dialogue) == []
        assert await talk_with(dialogue, "Forget that.") == ANSWERS.nothing_known

    asyncio.run(main())


# How much, and how surely ---------------------------------------------------------------------------------------------


def test_what_is_not_known_is_not_said_to_be_forgotten(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        assert await talk_with(dialogue, "Forget everything you know about Kevin.") == ANSWERS.nothing_known
        assert await remembered(memory) == ["I like kites."]

    with_memory(tmp_path, talk)


def test_many_turns_are_forgotten_only_after_a_yes_in_time(tmp_path: Path) -> None:
    clock = Clock()
    homework = [f"My homework number {number} is done." for number in range(4)]

    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.", *homework)
        question = ANSWERS.ask_about.format(n=4, words="homework")
        assert await talk_with(dialogue, "Forget everything about my homework.") == question
        clock.now_s += OPEN_FOR_S + 1
        assert await talk_with(dialogue, "Yes.") == "Nice!", "this is no answer to that any more"
        assert len(await remembered(memory)) == 6
        assert await talk_with(dialogue, "Forget everything about my homework.") == question
        assert await talk_with(dialogue, "Yes, forget it all.") == ANSWERS.forgotten
        assert await remembered(memory) == ["I like kites.", "Yes."]
        assert not any("homework" in text for _, text in said(dialogue))

    with_memory(tmp_path, talk, clock=clock)


def test_where_a_grown_up_wants_it_so_only_the_last_turn_is_forgotten_on_demand(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.", "I broke the vase.")
        assert await talk_with(dialogue, "Forget everything about my kites.") == ANSWERS.ask_grown_up
        assert await talk_with(dialogue, "Forget everything.", "Yes.") == "Nice!"
        assert await talk_with(dialogue, "Forget that.", "Forget that.") == ANSWERS.forgotten
        assert await remembered(memory) == ["I like kites."]

    with_memory(tmp_path, talk, may_forget_much=False)


def test_forget_that_within_a_longer_turn_means_this_turn_alone(tmp_path: Path) -> None:
    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        assert await talk_with(dialogue, "I broke the vase. Forget that.") == ANSWERS.forgotten
        assert await remembered(memory) == ["I like kites."]
        assert said(dialogue) == [("user", "I like kites."), ("assistant", "Nice!")]

    with_memory(tmp_path, talk)


def test_a_wish_comes_before_a_concern_of_the_guard_and_a_crisis_before_a_wish(tmp_path: Path) -> None:
    guarding = open_guarding(GuardSettings(), starter_character(), "en")

    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "I like kites.")
        assert await talk_with(dialogue, "My password is kiwi. Forget that.") == ANSWERS.forgotten
        answer = await talk_with(dialogue, "I want to kill myself. Forget that.")
        assert answer not in (ANSWERS.forgotten, ANSWERS.nothing_known, "Nice!")
        assert (await remembered(memory))[0] == "I like kites."

    with_memory(tmp_path, talk, guarding=guarding)


# In confidence --------------------------------------------------------------------------------------------------------


def test_confidence_ends_by_itself_after_a_long_silence_and_is_told(tmp_path: Path) -> None:
    clock, told = Clock(), list[str]()

    async def talk(dialogue: Dialogue, memory: AsyncMemory, brain: ScriptedBrain, removing: Removing) -> None:
        await talk_with(dialogue, "Don't remember this.", "I wet my bed.")
        assert told == [INCOGNITO_BEGINS]
        clock.now_s += INCOGNITO_S - 1
        await talk_with(dialogue, "I am still here.")
        clock.now_s += INCOGNITO_S + 1
        await talk_with(dialogue, "I like kites.")
        assert told == [INCOGNITO_BEGINS, INCOGNITO_ENDS]
        assert await remembered(memory) == ["I like kites."]
        await talk_with(dialogue, "Don't remember this.", "You can remember again.")
        assert told == [INCOGNITO_BEGINS, INCOGNITO_ENDS] * 2

    with_memory(tmp_path, talk, clock=clock, on_notice=told.append)


@pytest.mark.parametrize("language", ["en", "de", "es", "zh"])
def test_the_question_about_much_says_how_much_and_of_what(language: str) -> None:
    question = answers_in(language).ask_about.format(n=7, words="{homework}")
    assert "7" in question
    assert "{homework}" in question
