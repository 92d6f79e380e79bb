"""What somebody wishes about remembering is done at once, in fixed words, and leaves no trace of itself."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from device.dialogue import Dialogue
from device.wishes import answers_in
from memory.worker import AsyncMemory
from tests.device.fakes import NAME, PERSON, ScriptedBrain, dialogue_of, mind_of, said, talk_with

ANSWERS = answers_in("en")


class Removing:
    """Counts how often the saved states had to go."""

    def __init__(self) -> None:
        self.n = 0

    async def __call__(self) -> None:
        self.n += 1


def with_memory(
    folder: Path, talk: Callable[[Dialogue, AsyncMemory, ScriptedBrain, Removing], Awaitable[None]]
) -> None:
    """Have `talk` with a dialogue that remembers."""

    async def main() -> None:
        brain, removing = ScriptedBrain(*["Nice!"] * 9), Removing()
        async with AsyncMemory.open(folder / "memory.db") as memory:
            dialogue = dialogue_of(brain, memory, mind=mind_of(memory, on_forgotten=removing))
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
    from memory.forgetting import forget
    from memory.selecting import Selection
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
