"""What the dialogue remembers: looked up for the words being said, and kept of those that were.

Ties the memory to the encoder: words are read once, found by meaning as well as by what they are, and what is found
becomes one short block of prompt. What was kept is digested when nobody waits: its meaning is stored, and the facts in
it. While somebody wants nothing remembered, nothing is kept at all.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from device.reading import Reading
from device.same_words import same_words
from memory import facts, forgetting, learning, meanings
from memory.asking import in_first_person
from memory.beliefs import already_told, withheld
from memory.budget import within_budget
from memory.company import are_alone, who_came
from memory.errors import MemoryStoreError
from memory.fact_rules import facts_said
from memory.importance import importance
from memory.messages import Fact, Meaning, Query, Recalled, Strategy, Turn
from memory.recall import recalled
from memory.relations import sentence_of_day
from memory.selecting import Selection
from memory.store import MemoryStore
from memory.vectors import packed, packed_shares
from models.encoder import Encoded

log = logging.getLogger(__name__)

TURNS_OF_A_DAY = 40
"""So many turns are looked through for what was told today already."""

MOST_UNKEPT = 64
"""Turns that wait in RAM for a memory that fails, a full disk say; when there are more, the oldest are lost."""

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
        on_notice: Callable[[str], None] = log.warning,
        local_time: Callable[[], datetime] = lambda: datetime.now().astimezone(),
    ) -> None:
        """`measure` counts the tokens of a text. Without `reading`, memories are found by their words alone. `redact`
        takes out of a person's words what is not to be kept. `on_notice` is told when memory fails. `local_time` is the
        person's own, aware of its zone."""
        self._memory = memory
        self._person, self._character = person, character
        self._recall = recall
        self._measure = measure
        self._reading = reading
        self._redact = redact
        self._learns = learns
        self._on_notice = on_notice
        self._local_time = local_time
        self._conversation_id = 0
        self._undigested: list[Turn] = []
        self._brought_back: list[int] = []
        self._told: set[int | None] = set()
        """Facts of today that were in a prompt which was answered."""
        self._digesting = asyncio.Lock()
        self._last_is_kept = True
        self._n_forgettings = 0
        self._unkept: list[Turn] = []
        self._failure = ""
        self._listener: str | None = None
        """Who else is here, as far as the person has said."""
        self.incognito = False
        """Whether what is said now is not to be remembered."""

    async def open(self) -> None:
        """Open the conversation; everything else comes after. Raises MemoryStoreError, as forgetting does."""
        self._conversation_id = await self._memory.open_conversation(self._person, self._character)
        self._n_forgettings = await self._memory.ask(forgetting.n_forgettings)

    async def last_turns(self, limit: int) -> tuple[Turn, ...]:
        """The newest turns of this pair, oldest first."""
        return await self._memory.last_turns(self._person, self._character, limit)

    async def look_up(self, text: str, n_in_prompt: int, read: Encoded | None) -> LookedUp:
        """What has to do with these words. The newest `n_in_prompt` turns are left out; `read` is what
        `Reading.read` gave for them. Nothing where the memory fails, which is told."""
        if self._recall.items == 0:
            return LookedUp()
        try:
            items = await self._recalled(text, n_in_prompt, read)
            today = await self._due()
        except MemoryStoreError as error:
            self._tell(error)
            return LookedUp()
        lines = [self._as_said(sentence_of_day(fact, self._local_time().date())) for fact in today]
        lines += [f'Earlier I told you: "{words}"' for words in dict.fromkeys(filter(None, map(self._told_by, items)))]
        return LookedUp(
            items=items,
            today=today,
            block="\n".join(within_budget(lines, self._recall.tokens, self._measure)),
        )

    async def _recalled(self, text: str, n_in_prompt: int, read: Encoded | None) -> tuple[Recalled, ...]:
        asked = await self._reading.read(self._as_said(text)) if read and self._reading else None
        query = Query(
            text=text,
            at=self._local_time(),
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
        listener = who_came(text) or (None if are_alone(text) else self._listener)
        if not items or listener is None:
            return items
        known = await self._memory.ask(facts.current, self._person, self._character)
        return tuple(item for item in items if item not in withheld(items, known, listener))

    async def _due(self) -> tuple[Fact, ...]:
        """Birthdays and plans of today and tomorrow that were not talked about yet."""
        today = self._local_time().date()
        due = await self._memory.ask(facts.due_on, self._person, self._character, today)
        due = tuple(fact for fact in due if fact.fact_id not in self._told)
        if not due:
            return ()
        begun_at = datetime.combine(today, datetime.min.time(), self._local_time().tzinfo).timestamp()
        turns = [turn for turn in await self.last_turns(TURNS_OF_A_DAY) if turn.said_at >= begun_at]
        return tuple(fact for fact in due if not already_told(sentence_of_day(fact, today), turns))

    async def keep(self, user_text: str, reply_text: str, *, interrupted: bool) -> bool:
        """Keep a turn. Returns whether memory now has every word of it: it has not where nothing is to be remembered,
        and where something was said that is not to be kept. Where memory fails, which is told, the turn waits in RAM
        and is kept with the next."""
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
        pending, self._unkept = [*self._unkept, turn], []  # nobody else commits these
        try:
            while pending:
                # Out of the list first: whoever is cancelled here has it committed all the same.
                self._undigested.append(await self._commit(pending.pop(0), pending))
        except MemoryStoreError as error:
            self._tell(error)
            return False
        finally:
            self._unkept = [*pending, *self._unkept][-MOST_UNKEPT:]
        self._failure = ""
        return kept_text == user_text

    async def _commit(self, turn: Turn, pending: list[Turn]) -> Turn:
        """Commit a turn, or put it back before those that are `pending`."""
        try:
            return await self._memory.commit_turn(turn)
        except MemoryStoreError:
            pending.insert(0, turn)
            raise

    def taken(self, text: str, looked_up: LookedUp) -> None:
        """These words were said, and the answer to a prompt that held this is about to be heard: what was told is not
        told again so soon, and whoever was said to be here listens from now on."""
        self._told.update(fact.fact_id for fact in looked_up.today)
        self._brought_back += [item.turn.turn_id for item in looked_up.items if item.turn and item.turn.turn_id]
        if came := who_came(text):
            self._listener = came
        elif are_alone(text):
            self._listener = None

    async def digest(self) -> None:
        """Store what the kept turns mean and the facts in them: some 20 ms each, for when nobody waits. What fails is
        left to idle time."""
        async with self._digesting:
            undigested, self._undigested = self._undigested, []
            brought_back, self._brought_back = self._brought_back, []
            try:
                for turn in undigested:
                    await self._digest(turn)
                if brought_back:
                    await self._memory.ask(recalled, brought_back, self._local_time().timestamp())
            except MemoryStoreError as error:
                self._tell(error)

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
        before = self._n_forgettings
        try:
            self._n_forgettings = await self._memory.ask(forgetting.n_forgettings)
        except MemoryStoreError as error:
            self._tell(error)
        return before != self._n_forgettings

    def _as_said(self, text: str) -> str:
        """In the first person of the one who talks."""
        return in_first_person(text, (self._person, self._character))

    def _told_by(self, item: Recalled) -> str:
        """A memory as the person would bring it up themselves.

        Of a turn their words alone: a small model takes its own old words for new ones to say.
        """
        return item.turn.user_text if item.turn else self._as_said(item.text)

    def _tell(self, error: MemoryStoreError) -> None:
        """Once for each thing that goes wrong."""
        if str(error) != self._failure:
            self._failure = str(error)
            self._on_notice(f"memory fails, the conversation goes on: {error}")

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
