"""What the dialogue remembers: looked up for the words being said, and kept of those that were.

Ties the memory to the encoder: words are read once, found by meaning as well as by what they are, and what is found
becomes one short block of prompt. What was kept is digested when nobody waits: its meaning is stored, and the facts in
it. While somebody wants nothing remembered, nothing is kept at all.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from device.reading import Reading
from device.same_words import same_words
from memory import facts, forgetting, learning, meanings
from memory.asking import in_first_person
from memory.budget import within_budget
from memory.fact_rules import facts_said
from memory.importance import importance
from memory.messages import Fact, Meaning, Query, Recalled, Strategy, Turn
from memory.recall import recalled
from memory.relations import sentence_of_day
from memory.selecting import Selection
from memory.store import MemoryStore
from memory.vectors import packed, packed_shares
from models.encoder import Encoded

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


class Memory(Protocol):
    """What remembers: `memory.worker.AsyncMemory` here."""

    async def open_conversation(self, person: str, character: str) -> int: ...

    async def commit_turn(self, turn: Turn) -> Turn: ...

    async def last_turns(self, person: str, character: str, limit: int) -> tuple[Turn, ...]: ...

    async def recall(self, person: str, character: str, query: Query) -> tuple[Recalled, ...]: ...

    async def ask(
        self,
        function: Callable[Concatenate[MemoryStore, _Arguments], _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallSettings:
    """`items` is how many memories come back at most, `tokens` how many tokens they may take of a prompt: they are
    prefilled anew in every turn that has them. `strategy` says how feelings count."""

    items: int
    tokens: int
    strategy: Strategy = "c-a"


@dataclass(frozen=True, slots=True, kw_only=True)
class LookedUp:
    """What words brought back. `block` is what of it goes into the prompt: of `items`, and of what is due `today`."""

    items: tuple[Recalled, ...] = ()
    today: tuple[Fact, ...] = ()
    block: str = ""


class Remembering:
    """The memory that one person and one character share."""

    def __init__(
        self,
        memory: Memory,
        *,
        person: str,
        character: str,
        recall: RecallSettings,
        measure: Callable[[str], int],
        reading: Reading | None = None,
        redact: Callable[[str], str] = str,
        learns: bool = True,
        local_time: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`measure` counts the tokens of a text. Without `reading`, memories are found by their words alone. `redact`
        takes out of a person's words what is not to be kept. `local_time` is the person's own, aware of its zone."""
        self._memory = memory
        self._person, self._character = person, character
        self._recall = recall
        self._measure = measure
        self._reading = reading
        self._redact = redact
        self._learns = learns
        self._local_time = local_time
        self._conversation_id = 0
        self._undigested: list[Turn] = []
        self._brought_back: list[int] = []
        self._told: set[int | None] = set()
        """Facts of today that were in a prompt which was answered."""
        self._digesting = asyncio.Lock()
        self._last_is_kept = True
        self._n_forgettings = 0
        self.incognito = False
        """Whether what is said now is not to be remembered."""

    async def open(self) -> None:
        """Open the conversation; everything else comes after. Raises MemoryStoreError, as all methods do."""
        self._conversation_id = await self._memory.open_conversation(self._person, self._character)
        self._n_forgettings = await self._memory.ask(forgetting.n_forgettings)

    async def last_turns(self, limit: int) -> tuple[Turn, ...]:
        """The newest turns of this pair, oldest first."""
        return await self._memory.last_turns(self._person, self._character, limit)

    async def look_up(self, text: str, n_in_prompt: int, read: Encoded | None) -> LookedUp:
        """What has to do with these words. The newest `n_in_prompt` turns are left out; `read` is what
        `Reading.read` gave for them."""
        if self._recall.items == 0:
            return LookedUp()
        now = self._local_time()
        names = (self._person, self._character)
        asked = await self._reading.read(in_first_person(text, names)) if read and self._reading else None
        query = Query(
            text=text,
            at=now,
            embedding=packed(asked.embedding) if asked else None,
            feelings=packed_shares(read.emotions) if read else None,
            encoder=self._reading.fingerprint if asked and self._reading else None,
            limit=self._recall.items,
            exclude_newest=n_in_prompt,
            strategy=self._recall.strategy,
        )
        found = await self._memory.recall(self._person, self._character, query)
        # Somebody who asks the same thing again does not want to hear that they have asked it before.
        items = tuple(item for item in found if not same_words(item.text, text))
        due = await self._memory.ask(facts.due_on, self._person, self._character, now.date())
        today = tuple(fact for fact in due if fact.fact_id not in self._told)
        lines = [in_first_person(sentence_of_day(fact, now.date()), names) for fact in today]
        lines += [f'Earlier I told you: "{words}"' for words in dict.fromkeys(_told(item, names) for item in items)]
        return LookedUp(
            items=items,
            today=today,
            block="\n".join(within_budget(tuple(filter(None, lines)), self._recall.tokens, self._measure)),
        )

    async def keep(self, user_text: str, reply_text: str, *, interrupted: bool) -> bool:
        """Keep a turn. Returns whether memory now has every word of it: it has not where nothing is to be remembered,
        and where something was said that is not to be kept."""
        self._last_is_kept = not self.incognito
        if self.incognito:
            return False
        kept_text = self._redact(user_text)
        turn = Turn(
            conversation_id=self._conversation_id,
            person=self._person,
            character=self._character,
            user_text=kept_text,
            reply_text=reply_text,
            said_at=self._local_time().timestamp(),
            interrupted=interrupted,
        )
        self._undigested.append(await self._memory.commit_turn(turn))
        return kept_text == user_text

    def answered(self, looked_up: LookedUp) -> None:
        """A reply was heard to a prompt that held this: what was told is not told again so soon."""
        self._told.update(fact.fact_id for fact in looked_up.today)
        self._brought_back += [item.turn.turn_id for item in looked_up.items if item.turn and item.turn.turn_id]

    async def digest(self) -> None:
        """Store what the kept turns mean and the facts in them: some 20 ms each, for when nobody waits."""
        async with self._digesting:
            while self._undigested:
                await self._digest(self._undigested[0])
                del self._undigested[0]
            brought_back, self._brought_back = self._brought_back, []
            if brought_back:
                now_s = self._local_time().timestamp()
                await self._memory.ask(recalled, brought_back, now_s)

    async def forget_last(self) -> None:
        """The last turn and all that was made of it, if it was kept."""
        await self.digest()
        if self._last_is_kept:
            await self._memory.ask(forgetting.forget_newest, self._person, self._character)
            await self.was_forgotten()

    async def forget(self, words: str = "") -> None:
        """Every turn with these words in it; without any, everything that this pair shares."""
        await self.digest()
        chosen = Selection(
            person=self._person, character=self._character, words=(words,) if words else (), everything=not words
        )
        await self._memory.ask(forgetting.forget, chosen)
        await self.was_forgotten()
        if chosen.everything:  # the conversation is gone with it
            await self.open()

    async def was_forgotten(self) -> bool:
        """Whether another program has had something forgotten since this was last asked."""
        before, self._n_forgettings = self._n_forgettings, await self._memory.ask(forgetting.n_forgettings)
        return before != self._n_forgettings

    async def _digest(self, turn: Turn) -> None:
        assert turn.turn_id is not None, "what was kept has an id"
        made = []
        for text, in_reply in ((turn.user_text, False), (turn.reply_text, True)):
            if self._reading is not None and (read := await self._reading.read(text)):
                made.append(meaning_of(turn.turn_id, text, read, in_reply=in_reply, at=self._local_time()))
        if made and self._reading is not None:
            await self._memory.ask(meanings.store_meanings, made, self._reading.fingerprint)
        if not self._learns:
            return
        now = self._local_time()
        assert now.tzinfo is not None, "a person's own time knows its zone"
        await self._memory.ask(learning.learn, self._person, self._character, now.tzinfo, now.timestamp())


def meaning_of(turn_id: int, text: str, read: Encoded, *, in_reply: bool, at: datetime) -> Meaning:
    """What is stored of an utterance that was read; `at` is a time of the person's own, aware of its zone."""
    feelings = packed_shares(read.emotions)
    is_factual = not in_reply and bool(facts_said(text, at, turn_id))
    return Meaning(
        turn_id=turn_id,
        in_reply=in_reply,
        embedding=packed(read.embedding),
        feelings=feelings,
        importance=importance(text, feelings, is_factual=is_factual),
    )


def _told(item: Recalled, names: tuple[str, str]) -> str:
    """A memory as the person would bring it up themselves.

    Of a turn their words alone: a small model takes its own old words for new ones to say.
    """
    return item.turn.user_text if item.turn else in_first_person(item.text, names)
