"""What a dialogue remembers: by words and by meaning, with what is due today, and without what is not to be kept."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from device.reading import Reading
from device.remembering import LookedUp, RecallSettings, Remembering
from memory import facts
from memory.meanings import undescribed
from memory.worker import AsyncMemory
from tests.device.fake_encoder import WordEncoder
from tests.device.fakes import NAME, PERSON

MORNING = datetime(2026, 5, 4, 8, tzinfo=UTC)


class Clock:
    """The person's own time, as the test sets it."""

    def __init__(self) -> None:
        self.now = MORNING

    def __call__(self) -> datetime:
        return self.now


def with_memory(
    folder: Path,
    work: Callable[[Remembering, AsyncMemory, Clock], Awaitable[None]],
    *,
    tokens: int = 200,
    encoder: WordEncoder | None = None,
    redact: Callable[[str], str] = str,
) -> None:
    async def main() -> None:
        clock = Clock()
        async with AsyncMemory.open(folder / "memory.db") as memory:
            remembering = Remembering(
                memory,
                person=PERSON,
                character=NAME,
                recall=RecallSettings(items=2, tokens=tokens),
                measure=len,
                reading=Reading(encoder or WordEncoder()),
                redact=redact,
                local_time=clock,
            )
            await remembering.open()
            await work(remembering, memory, clock)

    asyncio.run(main())


async def block(remembering: Remembering, text: str) -> str:
    read = await Reading(WordEncoder()).read(text)
    return (await remembering.look_up(text, 0, read)).block


async def keep(remembering: Remembering, *texts: str) -> None:
    for text in texts:
        await remembering.keep(text, "I see.", interrupted=False)
    await remembering.digest()


def test_what_was_said_comes_back_as_it_was_said(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        await keep(remembering, "We planted tulips behind the shed.", "The soup was too salty.")
        told = await block(remembering, "Where are my tulips?")
        assert 'Earlier I told you: "We planted tulips behind the shed."' in told

    with_memory(tmp_path, work)


def test_every_kept_turn_is_read_once_and_its_facts_are_learned(tmp_path: Path) -> None:
    encoder = WordEncoder()

    async def work(remembering: Remembering, memory: AsyncMemory, _clock: Clock) -> None:
        await keep(remembering, "My dog is called Rex.")
        await remembering.digest()
        assert sorted(encoder.read) == ["I see.", "My dog is called Rex."]
        assert await memory.ask(undescribed, 9, "words") == ()
        (dog,) = await memory.ask(facts.current, PERSON, NAME)
        assert (dog.relation, dog.object) == ("pet", "dog called Rex")

    with_memory(tmp_path, work, encoder=encoder)


def test_a_birthday_comes_up_on_its_day_until_it_was_talked_about(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, clock: Clock) -> None:
        await keep(remembering, "My birthday is on May 6.")
        assert await block(remembering, "Hello!") == ""
        clock.now = MORNING + timedelta(days=2)
        looked_up = await remembering.look_up("Hello!", 0, None)
        assert looked_up.block == "Today is my birthday."
        remembering.taken("Hello!", looked_up)
        assert await block(remembering, "Hello again!") == ""

    with_memory(tmp_path, work)


def test_a_prompt_gets_no_more_than_it_may_hold(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        await keep(remembering, "I have a kite that is red and green and blue and flies high.", "My kite is broken.")
        assert await block(remembering, "What about my kite?") == 'Earlier I told you: "My kite is broken."'

    with_memory(tmp_path, work, tokens=50)


def test_what_is_not_to_be_kept_is_taken_out_and_said_so(tmp_path: Path) -> None:
    async def work(remembering: Remembering, memory: AsyncMemory, _clock: Clock) -> None:
        assert await remembering.keep("I like kites.", "", interrupted=False)
        assert not await remembering.keep("The password is banana.", "", interrupted=False)
        kept = [turn.user_text for turn in await remembering.last_turns(9)]
        assert kept == ["I like kites.", "The password is hidden."]

    with_memory(tmp_path, work, redact=lambda text: text.replace("banana", "hidden"))


def test_without_anything_that_reads_words_alone_are_remembered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        await keep(remembering, "We planted tulips behind the shed.")
        looked_up = await remembering.look_up("Where are my tulips?", 0, None)
        assert "tulips behind the shed" in looked_up.block

    with_memory(tmp_path, work, encoder=WordEncoder(fails=True))
    assert caplog.text.count("install Familiar again") == 1


def test_a_memory_that_fails_ends_no_conversation_and_gets_the_turns_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        other = sqlite3.connect(tmp_path / "memory.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")  # another program writes, and does not end
        assert not await remembering.keep("I like kites.", "", interrupted=False)
        other.execute("ROLLBACK")
        other.close()
        assert await remembering.keep("I like soup.", "", interrupted=False)
        assert [turn.user_text for turn in await remembering.last_turns(9)] == ["I like kites.", "I like soup."]

    with_memory(tmp_path, work)
    assert caplog.text.count("the conversation goes on") == 1


def test_a_surprise_is_not_spoiled_while_somebody_listens(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        await keep(remembering, "We bake a chocolate cake for mum. Don't tell mum, it's a surprise!")
        question = "What cake did we bake?"
        assert "chocolate" in await block(remembering, question)
        remembering.taken("Mum is here.", LookedUp())
        assert "chocolate" not in await block(remembering, question)
        remembering.taken("Mum is gone.", LookedUp())
        assert "chocolate" in await block(remembering, question)

    with_memory(tmp_path, work)


def test_what_was_talked_about_today_is_no_news_after_a_restart(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, clock: Clock) -> None:
        await keep(remembering, "Tom's birthday is on May 6.")
        clock.now = MORNING + timedelta(days=2)
        assert await block(remembering, "Hello!") == "Today is Tom's birthday."
        await remembering.keep("Hello!", "Today is Tom's birthday, hurray!", interrupted=False)
        assert await block(remembering, "What else?") == ""

    with_memory(tmp_path, work)


def test_a_plan_that_is_the_surprise_is_not_told_while_its_person_listens(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, clock: Clock) -> None:
        await keep(remembering, "We have a surprise party for mum on Saturday. Don't tell mum!", "I like soup.")
        clock.now = MORNING + timedelta(days=5)
        assert "party" in await block(remembering, "Hello!")
        looked_up = await remembering.look_up("Mum is here! What are we doing today?", 0, None)
        assert (looked_up.today, looked_up.block) == ((), "")
        assert len(looked_up.secret_turns) == 1
        assert (await remembering.look_up("Mum is gone.", 0, None)).secret_turns == frozenset()

    with_memory(tmp_path, work, tokens=300)


def test_what_could_not_be_kept_is_counted_and_kept_when_nobody_waits(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        with sqlite3.connect(tmp_path / "memory.db", isolation_level=None) as other:
            other.execute("BEGIN IMMEDIATE")  # another program writes, and does not end
            await remembering.keep("I like kites.", "", interrupted=False)
            other.execute("ROLLBACK")
        other.close()
        assert await remembering.flush() == 0
        assert [turn.user_text for turn in await remembering.last_turns(9)] == ["I like kites."]

    with_memory(tmp_path, work)


def test_what_the_character_repeats_is_kept_without_secrets(tmp_path: Path) -> None:
    async def work(remembering: Remembering, _memory: AsyncMemory, _clock: Clock) -> None:
        assert not await remembering.keep("What is it?", "It is banana!", interrupted=False)
        assert [turn.reply_text for turn in await remembering.last_turns(9)] == ["It is hidden!"]

    with_memory(tmp_path, work, redact=lambda text: text.replace("banana", "hidden"))
