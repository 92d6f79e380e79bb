"""The dialogue: history, prompt and memory hold what was heard, nothing else, and the last conversation goes on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.dialogue import ReplyEvent
from device.guarded import open_guarding
from device.settings import GuardSettings
from memory.errors import MemoryFullError
from memory.forgetting import forget, still_there
from memory.messages import Query, Recalled, Turn
from memory.selecting import Selection
from memory.worker import AsyncMemory
from models.character import starter_character
from models.errors import PromptTooLongError
from models.messages import Finished, Piece, Prefilled
from tests.device.fakes import NAME, PERSON, ScriptedBrain, dialogue_of, mind_of, pieces, said, talk_with

REPLY = "I live in the garden. Do you?"


class RecallingMemory:
    """Recalls what it was made with; keeps what it was asked and told."""

    def __init__(self, *user_texts: str) -> None:
        self.turns = [turn(text, f"Reply to {text}") for text in user_texts]
        self.excluded: list[int] = []
        self.committed: list[Turn] = []

    async def open_conversation(self, person: str, character: str) -> int:
        return 1

    async def commit_turn(self, turn: Turn) -> Turn:
        self.committed.append(turn)
        return replace(turn, turn_id=len(self.committed))

    async def last_turns(self, person: str, character: str, limit: int) -> tuple[Turn, ...]:
        return ()

    async def recall(self, person: str, character: str, query: Query) -> tuple[Recalled, ...]:
        self.excluded.append(query.exclude_newest)
        return tuple(
            Recalled(text=turn.user_text, turn=turn, said_at=turn.said_at, score=1.0, why="")
            for turn in self.turns[: query.limit]
        )

    async def ask(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return ()


def turn(user_text: str, reply_text: str) -> Turn:
    return Turn(
        conversation_id=1, person=PERSON, character=NAME, user_text=user_text, reply_text=reply_text, said_at=0.0
    )


def prompt_with(memory: RecallingMemory, words: str, *, recall_items: int = 5) -> str:
    """What the brain is asked for these words."""
    brain = ScriptedBrain()
    asyncio.run(dialogue_of(brain, memory, recall_items=recall_items).prepare(words))
    return brain.prefills[-1]


def test_the_last_conversation_is_continued(tmp_path: Path) -> None:
    async def first() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            dialogue = dialogue_of(ScriptedBrain(), memory)
            assert not await dialogue.restore()
            await dialogue.record("Where do you live?", pieces(REPLY), len(REPLY), interrupted=False)
            await dialogue.record("Yes.", pieces("How nice."), len("How"), interrupted=True)
            await dialogue.record("Hello?", (), 0, interrupted=True)

    async def second() -> None:
        brain = ScriptedBrain()
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            dialogue = dialogue_of(brain, memory)
            await dialogue.restore()
            await dialogue.prepare("Are you there?")
        assert said(dialogue) == [
            ("user", "Where do you live?"),
            ("assistant", REPLY),
            ("user", "Yes."),
            ("assistant", "How"),
            ("user", "Hello?"),
        ]
        assert brain.prefills[-1].endswith("Hello?\n\nAre you there?<|im_end|>\n<|im_start|>assistant\n")

    asyncio.run(first())
    asyncio.run(second())


def test_only_as_many_turns_come_back_as_wanted(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            before = dialogue_of(ScriptedBrain(), memory)
            await before.restore()
            for number in range(5):
                await before.record(f"Number {number}.", pieces("Good."), 5, interrupted=False)
            after = dialogue_of(ScriptedBrain(), memory, restore_turns=2)
            await after.restore()
            assert [text for role, text in said(after) if role == "user"] == ["Number 3.", "Number 4."]

    asyncio.run(main())


def test_a_reply_is_cut_to_the_words_heard_in_history_and_memory() -> None:
    memory = RecallingMemory()
    dialogue = dialogue_of(ScriptedBrain(), memory)
    heard = asyncio.run(
        dialogue.record("Where?", pieces(REPLY), REPLY.index(" the garden") + len(" the"), interrupted=True)
    )

    assert heard == "I live in the"
    assert said(dialogue) == [("user", "Where?"), ("assistant", "I live in the")]
    assert "".join(map(chr, dialogue.history[-1].tokens)) == "I live in the"
    assert [(turn.reply_text, turn.interrupted) for turn in memory.committed] == [("I live in the", True)]


def test_a_reply_of_which_nothing_was_heard_leaves_the_words_of_the_person() -> None:
    memory = RecallingMemory()
    dialogue = dialogue_of(ScriptedBrain(), memory)

    assert asyncio.run(dialogue.record("Where?", pieces(REPLY), 0, interrupted=True)) == ""
    assert said(dialogue) == [("user", "Where?")]
    assert [(turn.user_text, turn.reply_text) for turn in memory.committed] == [("Where?", "")]


def test_a_greeting_is_remembered_without_words_of_the_person() -> None:
    memory = RecallingMemory()
    dialogue = dialogue_of(ScriptedBrain(), memory)
    asyncio.run(dialogue.record("", [Piece(text="Hello!", tokens=())], 6, interrupted=False))

    assert said(dialogue) == [("assistant", "Hello!")]
    assert [(turn.user_text, turn.reply_text) for turn in memory.committed] == [("", "Hello!")]


def test_only_words_of_the_person_are_recalled() -> None:
    prompt = prompt_with(RecallingMemory("My dog is called Rex."), "Do you know my dog?")

    assert 'Earlier I told you: "My dog is called Rex."\n\nDo you know my dog?' in prompt
    assert "Reply to" not in prompt


def test_recalled_words_are_bounded() -> None:
    memory = RecallingMemory("a" * 150, "b" * 150, "c" * 5_000, "d" * 40)
    prompt = prompt_with(memory, "And then?")

    assert "a" * 150 in prompt
    assert not any(letters in prompt for letters in ("bb", "cc"))
    assert prompt.count("Earlier I told you") <= 2
    assert len(prompt) < 200 + 400


def test_who_asks_the_same_thing_again_is_not_told_so() -> None:
    assert "Earlier" not in prompt_with(RecallingMemory("What is your name?"), "what IS your name...")


def test_with_recall_turned_off_memory_is_not_asked() -> None:
    memory = RecallingMemory("My dog is called Rex.")

    assert "Earlier" not in prompt_with(memory, "My dog?", recall_items=0)
    assert memory.excluded == []


def test_turns_in_the_prompt_are_not_recalled() -> None:
    async def excluded(*turns: tuple[str, str]) -> int:
        memory = RecallingMemory()
        dialogue = dialogue_of(ScriptedBrain(), memory)
        for user_text, reply in turns:
            await dialogue.record(user_text, pieces(reply), len(reply), interrupted=False)
        await dialogue.prepare("Well?")
        return memory.excluded[-1]

    assert asyncio.run(excluded()) == 0
    assert asyncio.run(excluded(("", "Hello!"), ("Hi.", "How are you?"))) == 2
    assert asyncio.run(excluded(("Hi.", ""), ("Hello?", ""), ("You?", "Yes."))) == 3


def test_what_has_left_the_prompt_is_forgotten_from_history() -> None:
    async def main() -> None:
        brain = ScriptedBrain()
        dialogue = dialogue_of(brain, None, n_ctx=700)
        for number in range(12):
            reply = f"Answer number {number}, of some length."
            await dialogue.record(f"Question number {number}.", pieces(reply), len(reply), interrupted=False)
        await dialogue.prepare("And now?")

        newest = [text for _, text in said(dialogue)]
        assert 2 <= len(newest) < 24
        assert newest[0].startswith("Question")
        assert newest[-1] == "Answer number 11, of some length."
        assert all(text in brain.prefills[-1] for text in newest)
        assert "number 0" not in brain.prefills[-1]

    asyncio.run(main())


def test_words_that_are_too_many_are_refused_and_the_next_ones_taken() -> None:
    async def main() -> None:
        dialogue = dialogue_of(ScriptedBrain(), None, n_ctx=700)
        with pytest.raises(PromptTooLongError):
            await dialogue.prepare("word " * 300)
        await dialogue.prepare("Hello.")

    asyncio.run(main())


def test_without_memory_there_is_a_conversation_all_the_same() -> None:
    async def main() -> Sequence[ReplyEvent]:
        dialogue = dialogue_of(ScriptedBrain(REPLY), None)
        assert not await dialogue.restore()
        prepared = await dialogue.prepare("Where do you live?")
        assert prepared.looked_up.items == ()
        answer = [item async for item in dialogue.reply(prepared)]
        await dialogue.record("Where do you live?", pieces(REPLY), len(REPLY), interrupted=False)
        assert said(dialogue) == [("user", "Where do you live?"), ("assistant", REPLY)]
        return answer

    answer = asyncio.run(main())
    assert "".join(piece.text for piece in answer if isinstance(piece, Piece)) == REPLY
    assert answer[-1] == Finished(reason="end_of_turn")


def test_settling_prefills_history_and_the_turn_being_heard() -> None:
    async def main() -> str:
        brain = ScriptedBrain()
        dialogue = dialogue_of(brain, None)
        await dialogue.record("Hi.", pieces("Hello."), 6, interrupted=False)
        await dialogue.settle("Where?", pieces(REPLY), len("I live in the garden."))
        assert said(dialogue) == [("user", "Hi."), ("assistant", "Hello.")]
        return brain.prefills[-1]

    assert asyncio.run(main()).endswith(
        "user\nHi.<|im_end|>\n<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nWhere?<|im_end|>\n"
        "<|im_start|>assistant\nI live in the garden.<|im_end|>\n<|im_start|>user\n"
    )


def test_a_reply_ends_with_its_third_sentence() -> None:
    async def main() -> str:
        dialogue = dialogue_of(ScriptedBrain("Hello again, Dr. Fox! I am 3.5 years old. And you? I also like"), None)
        prepared = await dialogue.prepare("Hello.")
        answer = [item async for item in dialogue.reply(prepared)]
        assert answer[-1] == Finished(reason="end_of_turn")
        return "".join(piece.text for piece in answer if isinstance(piece, Piece))

    assert asyncio.run(main()).strip() == "Hello again, Dr. Fox! I am 3.5 years old. And you?"


def test_words_too_long_for_a_prompt_are_kept_in_memory_alone() -> None:
    memory = RecallingMemory()
    dialogue = dialogue_of(ScriptedBrain(), memory)
    asyncio.run(dialogue.remember("word " * 300))

    assert [(turn.user_text, turn.reply_text) for turn in memory.committed] == [("word " * 300, "")]
    assert said(dialogue) == []


def test_how_the_prompt_was_prefilled_is_told_also_if_that_had_to_wait_for_the_reply() -> None:
    async def main(superseded: bool) -> Prefilled:
        brain = ScriptedBrain("Yes.")
        brain.superseded = superseded
        dialogue = dialogue_of(brain, None)
        prepared = await dialogue.prepare("Hi.")
        assert (prepared.prefilled is None) == superseded
        first, *_ = [item async for item in dialogue.reply(prepared)]
        assert isinstance(first, Prefilled)
        return first

    assert asyncio.run(main(False)).n_prefilled == 1, "as it was prepared"
    assert asyncio.run(main(True)).n_reused > 0, "as the reply itself told"


# Secrets --------------------------------------------------------------------------------------------------------------


def without_banana(text: str) -> str:
    return text.replace("banana", "something")


def test_secrets_are_in_no_prompt_no_history_and_no_memory(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            brain = ScriptedBrain("A banana? Nice!", "Well.")
            mind = replace(mind_of(memory), redact=without_banana)
            dialogue = dialogue_of(brain, memory, mind=mind)
            await dialogue.restore()
            assert await talk_with(dialogue, "My word is banana.") == "A banana? Nice!", "what is heard is heard"
            await dialogue.remember("A long story of a banana.")
            await talk_with(dialogue, "What now?")
            assert not any("banana" in prompt for prompt in (*brain.prompts, *brain.prefills))
            assert said(dialogue)[:2] == [("user", "My word is something."), ("assistant", "A something? Nice!")]
            turns = await memory.last_turns(PERSON, NAME, 9)
            assert [(turn.user_text, turn.reply_text) for turn in turns] == [
                ("My word is something.", "A something? Nice!"),
                ("A long story of a something.", ""),
                ("What now?", "Well."),
            ]
            assert not dialogue.is_off_record, "there is nothing in it that memory has not"

    asyncio.run(main())


def test_a_secret_that_the_guard_finds_is_on_record_without_it(tmp_path: Path) -> None:
    guarding = open_guarding(GuardSettings(), starter_character(), "en")

    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            brain = ScriptedBrain("Well.")
            dialogue = dialogue_of(brain, memory, mind=mind_of(memory, guarding=guarding))
            await dialogue.restore()
            await talk_with(dialogue, "My password is banana split.", "What now?")
            assert "banana" not in brain.prompts[-1]
            assert not dialogue.is_off_record

    asyncio.run(main())


def test_a_secret_leaves_the_prompt_while_somebody_listens_from_whom_it_is_kept(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            brain = ScriptedBrain(*["Nice!"] * 9)
            dialogue = dialogue_of(brain, memory, recall_items=0)
            await dialogue.restore()
            await talk_with(dialogue, "I like kites.", "We have a surprise party for mum. Don't tell mum!")
            await talk_with(dialogue, "Mum is here! What did I tell you?")
            assert "surprise party" not in brain.prompts[-1]
            assert "kites" in brain.prompts[-1]
            assert "surprise party" not in brain.prefills[-1], "the cache is settled without it"
            await talk_with(dialogue, "What else?")
            assert "surprise party" not in brain.prompts[-1]
            await talk_with(dialogue, "Mum is gone.")
            assert "surprise party" in brain.prompts[-1]

    asyncio.run(main())


# What memory does to the history --------------------------------------------------------------------------------------


def test_what_is_said_while_forgotten_turns_are_looked_for_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            dialogue = dialogue_of(ScriptedBrain(*["Nice!"] * 9), memory, restore_turns=1)
            await dialogue.restore()
            await talk_with(dialogue, "I like kites.", "I broke the vase.", "I like soup.")
            await memory.ask(forget, Selection(words=("kites",)))
            real, asked, going = memory.ask, asyncio.Event(), asyncio.Event()

            async def slow(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
                result = await real(function, *args, **kwargs)
                asked.set()
                await going.wait()
                return result

            memory.ask = slow  # type: ignore[method-assign]
            over = asyncio.create_task(dialogue.turn_over())
            await asked.wait()
            memory.ask = real  # type: ignore[method-assign]
            await dialogue.record("To the lake!", pieces("Good."), 5, interrupted=False)
            going.set()
            await over
            assert [text for role, text in said(dialogue) if role == "user"] == [
                "I broke the vase.",
                "I like soup.",
                "To the lake!",
            ]

    asyncio.run(main())


def test_a_turn_is_off_record_until_memory_has_it_also_if_nobody_waits(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            dialogue = dialogue_of(ScriptedBrain(), memory)
            await dialogue.restore()
            recording = asyncio.create_task(dialogue.record("Hi.", pieces("Hello."), 6, interrupted=False))
            await asyncio.sleep(0)
            assert dialogue.is_off_record
            recording.cancel()
            await asyncio.wait((recording,))
            await dialogue.turn_over()
            assert not dialogue.is_off_record
            assert len(await memory.last_turns(PERSON, NAME, 9)) == 1

    asyncio.run(main())


def test_a_memory_that_fails_neither_prevents_nor_ends_a_conversation(tmp_path: Path) -> None:
    async def main() -> None:
        told: list[str] = []
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            brain = ScriptedBrain(*["Nice!"] * 9)
            dialogue = dialogue_of(brain, memory, mind=mind_of(memory, on_notice=told.append))

            async def full(*_args: Any, **_kwargs: Any) -> Any:
                raise MemoryFullError("the disk is full")

            names = ("open_conversation", "commit_turn", "last_turns", "recall", "ask")
            real = {name: getattr(memory, name) for name in names}
            for name in names:
                setattr(memory, name, full)
            assert not await dialogue.restore()
            assert await talk_with(dialogue, "I like kites.") == "Nice!"
            assert told == ["memory fails, the conversation goes on: the disk is full"]
            assert dialogue.is_off_record
            for name, method in real.items():
                setattr(memory, name, method)
            await talk_with(dialogue, "I like soup.")
            assert not dialogue.is_off_record
            assert [turn.user_text for turn in await memory.last_turns(PERSON, NAME, 9)] == [
                "I like kites.",
                "I like soup.",
            ]
            await memory.ask(forget, Selection(words=("kites",)))

            async def half(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
                return await (full if function is still_there else real["ask"])(function, *args, **kwargs)

            memory.ask = half
            await dialogue.turn_over()
            assert len(said(dialogue)) == 4
            memory.ask = real["ask"]
            await dialogue.turn_over()
            assert said(dialogue) == [("user", "I like soup."), ("assistant", "Nice!")], "asked again"

    asyncio.run(main())
