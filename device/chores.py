"""What is done about the memory in idle time: a list of chores for `device.housekeeping`, in the order of their worth.

Each step is one small piece of work, whole or not at all: a dozen utterances read by the encoder, some turns looked
through for facts, one episode summarised, old turns forgotten, what was forgotten wiped off the disk. Where `memory`
says what is to be done, this only runs it.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path

from device.housekeeping import Chore
from device.memory_file import forget_talks
from device.reading import Reading
from device.remembering import Memory, meaning_of
from memory import extraction, forgetting, learning, meanings, retention, sleep
from memory.extraction import Batch
from memory.fact_rules import facts_said
from memory.messages import Fact
from models.character import Character, Exchange
from models.errors import PromptTooLongError
from models.grammar import json_schema
from models.messages import Piece, Prompt
from models.prompt import PromptBuilder
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.worker import LlamaWorker

READ_AT_ONCE = 16
"""Utterances in one step: 50 ms on a desktop core, and one commit."""

EXTRACTION_TOKENS = 220
"""Of an answer with as many facts as the schema allows."""

LocalTime = Callable[[], datetime]


class ReadingChore:
    """Meanings of utterances that the encoder has not read: of a memory older than it, or of turns whose process ended
    before it came to them."""

    def __init__(self, memory: Memory, reading: Reading, *, local_time: LocalTime) -> None:
        self._memory = memory
        self._reading = reading
        self._local_time = local_time
        self._after = 0

    async def step(self) -> bool:
        if not self._reading.works:
            return False
        fingerprint = self._reading.fingerprint
        found = await self._memory.ask(meanings.undescribed, READ_AT_ONCE, fingerprint, self._after)
        made = [
            meaning_of(each.turn_id, each.text, read, in_reply=each.in_reply, at=self._local_time())
            for each in found
            if (read := await self._reading.read(each.text)) is not None
        ]
        await self._memory.ask(meanings.store_meanings, made, fingerprint)
        if found:
            # The reply of the last turn may be left, unless there was nothing in any of these to be read.
            self._after = found[-1].turn_id - (1 if made else 0)
        return bool(found)


class ExtractionChore:
    """Facts that rules do not find, by the language model."""

    def __init__(
        self,
        memory: Memory,
        engine: LlamaWorker,
        prompts: Callable[[Character], PromptBuilder],
        *,
        person: str,
        character: str,
        local_time: LocalTime,
    ) -> None:
        """`prompts` makes the builder of prompts for another character than the one that talks."""
        self._memory = memory
        self._engine = engine
        self._prompts = prompts
        self._pair = (person, character)
        self._local_time = local_time

    async def step(self) -> bool:
        batch = await self._memory.ask(extraction.next_batch, *self._pair)
        if batch is None:
            return False
        now = self._local_time()
        found: tuple[Fact, ...] = ()
        if batch.turns:
            known = [
                fact
                for turn in batch.turns
                if turn.turn_id is not None
                for fact in facts_said(turn.user_text, datetime.fromtimestamp(turn.said_at, now.tzinfo), turn.turn_id)
            ]
            try:
                answer = await self._answer(batch)
            except PromptTooLongError:
                return False  # the conversation leaves no room for it; another time
            found = extraction.accepted(answer, batch.turns, known)
        await self._memory.ask(extraction.finish, batch, found, now.timestamp())
        return True

    async def _answer(self, batch: Batch) -> str:
        sampling = Sampling(temperature=0, grammar=json_schema(extraction.schema(batch)))
        limits = ReplyLimits(max_tokens=EXTRACTION_TOKENS)
        async with aclosing(self._engine.stream(self._prompt(batch), sampling, limits, aside=True)) as events:
            return "".join([event.text async for event in events if isinstance(event, Piece)])

    def _prompt(self, batch: Batch) -> Prompt:
        (_, instructions), *examples, (_, question) = extraction.messages(batch)
        texts = [text for _, text in examples]
        exchanges = tuple(Exchange(user=user, reply=reply) for user, reply in zip(texts[::2], texts[1::2], strict=True))
        asked = Character(name="Reader", persona=instructions, examples=exchanges)
        return self._prompts(asked).build((), question)


def memory_chores(
    memory: Memory,
    *,
    reading: Reading | None,
    by_model: ExtractionChore | None,
    learns: bool,
    person: str,
    character: str,
    keep_days: int,
    keep_cited: bool,
    states: Path,
    local_time: LocalTime,
) -> Iterator[Chore]:
    """All chores of a memory. `keep_days`: 0 lets nothing leave by its age. `states` is the folder of what the engine
    has saved of conversations, which leaves with them."""

    async def learn() -> bool:
        now = local_time()
        assert now.tzinfo is not None, "a person's own time knows its zone"
        return await memory.ask(learning.learn, person, character, now.tzinfo, now.timestamp()) > 0

    async def leave() -> bool:
        before = local_time().timestamp() - keep_days * 86_400
        gone = await memory.ask(retention.leave, before, keep_cited=keep_cited)
        if gone.pairs:
            await asyncio.to_thread(forget_talks, states, gone.pairs)
        return not gone.is_nothing

    async def take_step() -> bool:
        return await memory.ask(sleep.take_step, local_time()) is not None

    async def wipe() -> bool:
        if not await memory.ask(forgetting.is_wiping_due):
            return False
        stop = threading.Event()
        try:
            await memory.ask(forgetting.wipe, stop)
        except asyncio.CancelledError:
            stop.set()  # somebody speaks, and may ask the memory something
            raise
        return True

    if reading is not None:
        yield Chore(name="reading what was said", step=ReadingChore(memory, reading, local_time=local_time).step)
    if learns:
        yield Chore(name="learning from what was said", step=learn)
    if by_model is not None:
        yield Chore(name="learning by the model", step=by_model.step)
    if keep_days:
        yield Chore(name="letting old turns go", step=leave)
    yield Chore(name="putting memories in order", step=take_step)
    yield Chore(name="wiping what was forgotten", step=wipe)
