"""What the dialogue remembers: looked up for the words being said, and kept of those that were.

Ties the memory to the encoder: words are read once, found by meaning as well as by what they are, and what is found
becomes one short block of prompt. What was kept is digested when nobody waits: its meaning is stored, and the facts in
it. While somebody wants nothing remembered, nothing is kept at all. How a turn gets into memory is for
`device.keeping`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from device.history import Entry
from device.keeping import Keeping
from device.reading import Reading
from device.same_words import same_words
from memory import facts, forgetting, learning, meanings
from memory.asking import in_first_person
from memory.beliefs import already_told, secrets_from, withheld
from memory.budget import within_budget
from memory.company import are_alone, who_came
from memory.errors import MemoryStoreError
from memory.fact_rules import facts_said
from memory.forgetting import Forgotten
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
    """What words brought back. `block` is what of it goes into the prompt: of `items`, and of what is due `today`.
    `secret_turns` are not to be in that prompt, since somebody listens from whom they are kept."""

    items: tuple[Recalled, ...] = ()
    today: tuple[Fact, ...] = ()
    block: str = ""
    secret_turns: frozenset[int] = frozenset()


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
        takes out of words what is not to be kept. `on_notice` is told when memory fails. `local_time` is the person's
        own, aware of its zone."""
        self._memory = memory
        self._person, self._character = person, character
        self._recall = recall
        self._measure = measure
        self._reading = reading
        self._redact = redact
        self._learns = learns
        self._on_notice = on_notice
        self._local_time = local_time
        self._keeping = Keeping(memory, on_kept=self._kept, on_failure=self._on_keeping)
        self._undigested: list[Turn] = []
        self._brought_back: list[int] = []
        self._told: set[int | None] = set()
        """Facts of today that were in a prompt which was answered."""
        self._digesting = asyncio.Lock()
        self._n_forgettings: int | None = None
        self._failure = ""
        self._secret_turns: frozenset[int] = frozenset()
        """Those kept from whoever last listened, for when memory fails."""
        self._listener: str | None = None
        """Who else is here, as far as the person has said."""
        self.incognito = False
        """Whether what is said now is not to be remembered."""

    async def open(self) -> None:
        """Open the conversation. Where memory fails, which is told, that is tried again before the next turn is
        kept."""
        try:
            await self._keeping.open(self._person, self._character)
        except MemoryStoreError as error:
            self._tell(error)

    async def last_turns(self, limit: int) -> tuple[Turn, ...]:
        """The newest turns of this pair, oldest first; none where memory fails, which is told."""
        try:
            return await self._memory.last_turns(self._person, self._character, limit)
        except MemoryStoreError as error:
            self._tell(error)
            return ()

    async def look_up(self, text: str, n_in_prompt: int, read: Encoded | None) -> LookedUp:
        """What has to do with these words. The newest `n_in_prompt` turns are left out; `read` is what
        `Reading.read` gave for them. Nothing where the memory fails, which is told."""
        listener = who_came(text) or (None if are_alone(text) else self._listener)
        known: tuple[Fact, ...] = ()
        secret_turns = self._secret_turns if listener is not None else frozenset[int]()
        items: tuple[Recalled, ...] = ()
        today: tuple[Fact, ...] = ()
        try:
            if listener is not None:
                known = await self._memory.ask(facts.current, self._person, self._character)
                self._secret_turns = secret_turns = _turns_of(secrets_from(known, listener))
            if self._recall.items:
                items = await self._recalled(text, n_in_prompt, read)
                today = await self._due()
        except MemoryStoreError as error:
            self._tell(error)
            return LookedUp(secret_turns=secret_turns)
        if listener is not None:
            secret = withheld(items, known, listener)
            items = tuple(item for item in items if item not in secret)
            today = tuple(fact for fact in today if not self._is_secret(fact, known, listener))
        lines = [self._as_said(sentence_of_day(fact, self._local_time().date())) for fact in today]
        lines += [f'Earlier I told you: "{words}"' for words in dict.fromkeys(filter(None, map(self._told_by, items)))]
        return LookedUp(
            items=items,
            today=today,
            block="\n".join(within_budget(lines, self._recall.tokens, self._measure)),
            secret_turns=secret_turns,
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
        return tuple(item for item in found if not same_words(item.text, text))

    async def _due(self) -> tuple[Fact, ...]:
        """Birthdays and plans of today and tomorrow that were not talked about yet."""
        today = self._local_time().date()
        due = await self._memory.ask(facts.due_on, self._person, self._character, today)
        due = tuple(fact for fact in due if fact.fact_id not in self._told)
        if not due:
            return ()
        begun_at = datetime.combine(today, datetime.min.time(), self._local_time().tzinfo).timestamp()
        turns = await self._memory.last_turns(self._person, self._character, TURNS_OF_A_DAY)
        turns = tuple(turn for turn in turns if turn.said_at >= begun_at)
        return tuple(fact for fact in due if not already_told(sentence_of_day(fact, today), turns))

    def _is_secret(self, due: Fact, known: Sequence[Fact], listener: str) -> bool:
        """Whether what is due must not be said to this listener: the surprise itself, or what gives it away."""
        sentence = sentence_of_day(due, self._local_time().date())
        as_recalled = Recalled(kind="fact", text=sentence, said_at=due.recorded_from, score=0, why="")
        secret_turns = _turns_of(secrets_from(known, listener))
        return bool(secret_turns & set(due.turn_ids) or withheld((as_recalled,), known, listener))

    async def keep(self, user_text: str, reply_text: str, *, interrupted: bool, entry: Entry | None = None) -> bool:
        """Keep a turn; `entry` gets its id once memory has every word of it. Returns whether it has: not where nothing
        is to be remembered, and where something was said that is not to be kept. Where memory fails, which is told, the
        turn waits in RAM (`flush`)."""
        if self.incognito:
            return False
        kept_text, kept_reply = self._redact(user_text), self._redact(reply_text)
        turn = Turn(
            conversation_id=0,
            person=self._person,
            character=self._character,
            user_text=kept_text,
            reply_text=kept_reply,
            said_at=self._local_time().timestamp(),
            interrupted=interrupted,
        )
        in_full = (kept_text, kept_reply) == (user_text, reply_text)
        entry = entry if entry is not None and in_full else Entry()
        await self._keeping.keep(turn, entry)
        return in_full and entry.turn_id is not None

    async def flush(self) -> int:
        """Keep what waits for a memory that failed. Returns how many turns could not be kept."""
        await self._keeping.flush()
        return self._keeping.n_unkept

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
        await self._keeping.flush()
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

    async def forget_last(self, entry: Entry | None) -> bool:
        """The turn of this entry, the newest of the history, and all that was made of it; without one, the newest that
        memory has. Returns whether there was anything to forget. Raises MemoryStoreError, as all forgetting does."""
        if entry is None and self.incognito:
            return False
        if entry is not None and (await self._keeping.drop(entry) or entry.turn_id is None):
            return True
        await self.digest()
        if entry is None or entry.turn_id is None:
            forgotten = await self._memory.ask(forgetting.forget_newest, self._person, self._character)
        else:
            chosen = Selection(person=self._person, character=self._character, turn_ids=(entry.turn_id,))
            forgotten = await self._memory.ask(forgetting.forget, chosen)
        return not forgotten.is_nothing

    async def forget(self, words: str = "") -> None:
        """Every turn with these words in it; without any, everything that this pair shares, and the copies beside the
        memory, in which nobody could look for it."""
        await self._keeping.drop_about(words)
        await self.digest()
        await self._memory.ask(forgetting.forget, self._chosen(words))
        if not words:
            self._keeping.reopen()
            await self._memory.ask(forgetting.forget_copies)  # damaged ones that were set aside have words too

    async def preview(self, words: str) -> Forgotten:
        """What `forget` would forget of what memory has."""
        await self.digest()
        return await self._memory.ask(forgetting.preview, self._chosen(words))

    async def still_there(self, turn_ids: Sequence[int]) -> frozenset[int]:
        """Those of these turns that memory still has."""
        return await self._memory.ask(forgetting.still_there, turn_ids)

    async def forgotten_of(self, turn_ids: Sequence[int]) -> frozenset[int]:
        """Those of these turns, all that the history has, that were forgotten since this was last asked, by another
        program or by age. None where memory fails, which is told: then they come the next time."""
        try:
            n_forgettings = await self._memory.ask(forgetting.n_forgettings)
            if n_forgettings == self._n_forgettings:
                return frozenset()
            there = await self.still_there(turn_ids)
        except MemoryStoreError as error:
            self._tell(error)
            return frozenset()
        self._n_forgettings = n_forgettings
        return frozenset(turn_ids) - there

    def _chosen(self, words: str) -> Selection:
        return Selection(
            person=self._person, character=self._character, words=(words,) if words else (), everything=not words
        )

    def _kept(self, turn: Turn) -> None:
        self._undigested.append(turn)

    def _on_keeping(self, error: MemoryStoreError | None) -> None:
        if error is not None:
            self._tell(error)
        else:
            self._failure = ""

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


def _turns_of(said: Sequence[Fact]) -> frozenset[int]:
    """The turns in which these facts were said."""
    return frozenset(turn_id for fact in said for turn_id in fact.turn_ids)


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
