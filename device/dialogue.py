"""The dialogue: what was said so far, in the prompt, in the KV cache and in memory. It knows no sound and no terminal.

One person and one character. Takes the words of a person, gives the pieces of a reply, and is told afterwards how much
of it was really heard: that, and nothing else, becomes history. Voice (`device.conversation`) and text
(`device.text_mode`) both talk through it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from device.given import Given
from device.guarded import GuardedPiece
from device.history import Entry, History, continued_from, entry_of
from device.mind import Mind
from device.remembering import LookedUp
from firmware_bridge.body import Expression
from models.encoder import Encoded
from models.errors import PromptTooLongError
from models.messages import Finished, Message, Piece, Prefilled, Prompt
from models.prompt import PromptBuilder, Tokenizer, cut_reply
from models.sampling import Sampling
from models.stops import ReplyLimits
from voice.borders import ends_sentence
from voice.clauses import ClauseSplitter
from voice.messages import Clause

END_OF_SPEECH = ("\n",)
"""What is said aloud is one paragraph; a small model that begins another has lost the thread."""

TURNS_SINCE_SAVED = 32
"""A saved conversation that more turns than this have followed is not looked for."""

ReplyEvent = Prefilled | Piece | Finished

_Result = TypeVar("_Result")


class Brain(Protocol):
    """What thinks: `models.worker.LlamaWorker` here."""

    async def prefill(self, prompt: Prompt) -> Prefilled | None:
        """Prepare a reply to `prompt`, computing only what does not stand in the KV cache, with no effect on the
        conversation there. None if a newer request came."""
        ...

    async def settle(self, prompt: Prompt) -> Prefilled | None:
        """Make `prompt` the conversation in the KV cache. None if a newer request came."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits) -> AsyncGenerator[ReplyEvent, None]:
        """Prefill what is missing, then the reply piece by piece. Cancelling the consumer aborts within a token."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Words of a person, without secrets, with everything looked up and prefilled: the reply can start at once.

    `prompt` is None where the answer is `given`. `recalled_at_s` and `ready_at_s` are monotonic. `prefilled` is None if
    something newer stopped the prefill: then the reply begins with it.
    """

    text: str
    prompt: Prompt | None
    given: Given | None
    prefilled: Prefilled | None
    looked_up: LookedUp
    recall_s: float
    prefill_s: float
    recalled_at_s: float
    ready_at_s: float

    @property
    def remembers(self) -> bool:
        """Whether the turn becomes history."""
        return self.given is None or self.given.remembers


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """`limits` but for the end of the paragraph, which ends every reply; `restore_turns`: how many turns of the last
    conversation come back at start; more cost prefill time."""

    limits: ReplyLimits
    max_sentences: int
    language: str
    sampling: Sampling
    restore_turns: int


class Dialogue:
    """The history of one person and one character, kept equal in prompt, cache and memory."""

    def __init__(
        self,
        *,
        brain: Brain,
        tokenizer: Tokenizer,
        prompts: PromptBuilder,
        mind: Mind,
        settings: DialogueSettings,
        on_turn_over: Callable[[Sequence[Message], int], Awaitable[None]] | None = None,
    ) -> None:
        """`on_turn_over` gets the history and `n_recorded` whenever a turn is over and nobody waits; not while the
        history has words in it that memory has not."""
        self._brain = brain
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._reading = mind.reading
        self._remembering = mind.remembering
        self._feelings = mind.feelings
        self._guarding = mind.guarding
        self._wishes = mind.wishes
        self._redact = mind.redact
        self._settings = settings
        self._history = History()
        self._hidden: frozenset[int] = frozenset()
        """Turns that are kept from somebody who listens."""
        self._on_turn_over = on_turn_over
        self.n_recorded = 0
        """Turns that became history since the start."""
        self._settling = asyncio.Lock()

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages that still stand in the prompt, oldest first."""
        return self._history.messages(self._hidden)

    @property
    def language(self) -> str:
        """The language that is spoken, as ISO 639-1 code."""
        return self._settings.language

    async def restore(self, saved: Sequence[Message] = ()) -> bool:
        """Continue where the last conversation was. `saved` are its messages as they stood in the cache: with them, all
        of that comes back. Returns whether they were used; they are not where memory has not every word of them, or
        fails."""
        if self._remembering is None:
            return False
        await self._remembering.open()
        n_saved = len(saved) + TURNS_SINCE_SAVED if saved else 0
        turns = await self._remembering.last_turns(self._settings.restore_turns + n_saved)
        continued = continued_from(saved, turns)
        newest = turns[max(0, len(turns) - self._settings.restore_turns) :]
        self._history = History(map(entry_of, newest) if continued is None else continued)
        return continued is not None

    @property
    def head(self) -> tuple[int, ...]:
        """The tokens of the prompt before anything was said: the character."""
        return self._prompts.build_idle(()).tokens

    async def settle(self, user_text: str = "", pieces: Sequence[Piece] = (), end: int = 0) -> Prefilled | None:
        """Bring the cache up to the history, and to a turn that is still being heard (its reply up to `end`).

        The next turn then computes only its own words. It also takes the volatile block out.

        Called when nobody waits: at start, and while a reply is being spoken. None if something newer came between.
        """
        newest = self._messages(user_text, self._reply(pieces, end))
        prompt = self._prompts.build_idle([*self.history, *newest])
        self._history.drop_first(prompt.n_messages_dropped, self._hidden)
        async with self._settling:
            return await self._brain.settle(prompt)

    async def take_in(self, text: str) -> Prefilled | None:
        """Prefill words that are still being said, as far as they go without an effect on anything else."""
        text = self._redact(text)
        looked_up = await self._look_up(text, await self._read(text))
        history = self._history.messages(looked_up.secret_turns)
        try:
            prompt = self._prompts.build_open(history, text, self._volatile(looked_up))
        except PromptTooLongError:
            return None
        return None if prompt.n_messages_dropped else await self._prefill(prompt)

    async def anticipate(self, text: str) -> Prepared | None:
        """`prepare`, for words that may still change: repeatable and without effect on anything but a fork of the
        cache. None if they do not fit unless something older is forgotten."""
        try:
            return await self._prepared(text, final=False)
        except PromptTooLongError:
            return None

    async def prepare(self, text: str) -> Prepared:
        """Recall, build the prompt and prefill it: these are the words. Turns for which no room is left are forgotten.

        Raises PromptTooLongError.
        """
        prepared = await self._prepared(text, final=True)
        assert prepared is not None, "what is final makes its room"
        return prepared

    async def _prepared(self, text: str, *, final: bool) -> Prepared | None:
        started_s = time.monotonic()
        given = self._given(text)
        text = self._redact(text)
        read = await self._read(text)
        looked_up = LookedUp() if given else await self._look_up(text, read)
        recalled_at_s = ready_at_s = time.monotonic()
        prompt = prefilled = None
        if given is None:
            history = self._history.messages(looked_up.secret_turns)
            prompt = self._prompts.build(history, text, self._volatile(looked_up))
            if prompt.n_messages_dropped and not final:
                return None
            self._history.drop_first(prompt.n_messages_dropped, looked_up.secret_turns)
            prefilled = await self._prefill(prompt)
            ready_at_s = time.monotonic()
        # Before the first clause is synthesized, which is to sound of it.
        if self._feelings is not None and read is not None:
            self._feelings.heard(read.emotions.tolist())
            self._feelings.recalled([item.feelings for item in looked_up.items if item.feelings is not None])
        return Prepared(
            text=text,
            prompt=prompt,
            given=given,
            prefilled=prefilled,
            looked_up=looked_up,
            recall_s=recalled_at_s - started_s,
            prefill_s=ready_at_s - recalled_at_s,
            recalled_at_s=recalled_at_s,
            ready_at_s=ready_at_s,
        )

    def _given(self, text: str) -> Given | None:
        """The answer, where it is no matter for a model. A crisis comes before a wish, a wish before a mere concern:
        who says "forget about my phone number" wants just that."""
        guarded = self._guarding.before(text) if self._guarding is not None else None
        if self._wishes is not None and not (guarded and guarded.is_crisis) and (wish := self._wishes.answer(text)):
            return wish
        return Given(piece=guarded) if guarded else None

    async def _prefill(self, prompt: Prompt) -> Prefilled | None:
        """Newer requests stop older ones; but a conversation half settled would have to be forked from where it was."""
        async with self._settling:
            pass
        return await self._brain.prefill(prompt)

    async def reply(self, prepared: Prepared) -> AsyncGenerator[ReplyEvent, None]:
        """The character's answer: how its prompt was prefilled, then piece by piece, ending with Finished.

        Read it under `contextlib.aclosing`.
        """
        if prepared.prompt is None:
            assert prepared.given is not None, "what no model is asked is given"
            yield prepared.given.piece
            yield Finished(reason="end_of_turn")
            return
        settings = self._settings
        sampling = self._feelings.sampling(settings.sampling) if self._feelings is not None else settings.sampling
        stream = self._brain.stream(prepared.prompt, sampling, replace(settings.limits, stop=END_OF_SPEECH))
        if self._guarding is not None:
            stream = self._guarding.filtered(stream)
        splitter, n_sentences = ClauseSplitter(language=self.language), 0
        async with aclosing(stream):
            async for item in stream:
                if isinstance(item, Prefilled):
                    yield prepared.prefilled or item
                    continue
                if isinstance(item, Piece) and not isinstance(item, GuardedPiece):  # the guard is heard out
                    n_sentences += sum(
                        isinstance(part, Clause) and ends_sentence(part.speech) for part in splitter.push(item.text)
                    )
                    if n_sentences >= settings.max_sentences:
                        # This piece begins one sentence too many: only by it did the splitter see that the last ended.
                        yield Finished(reason="end_of_turn")
                        return
                yield item

    async def take(self, prepared: Prepared) -> Piece | None:
        """These words are what was said, and their answer is about to be heard: what that entails happens now, once,
        and to its end, also if this is cancelled.

        Returns what is to be said in place of the answer, if it promises what was not done.
        """
        if prepared.given is not None:
            return await _to_its_end(self._carry_out(prepared.given))
        self._hidden = prepared.looked_up.secret_turns
        if self._remembering is not None:
            self._remembering.taken(prepared.text, prepared.looked_up)
        if self._wishes is not None:
            self._wishes.taken()
        return None

    async def _carry_out(self, given: Given) -> Piece | None:
        instead = await given.carry_out(self._history)
        if self._wishes is not None:
            self._wishes.taken()
        return instead

    async def record(
        self,
        user_text: str,
        pieces: Sequence[Piece],
        heard_end: int,
        *,
        interrupted: bool,
        remembers: bool = True,
    ) -> str:
        """Make a turn history: the person's words and the reply as far as it was heard. Returns the latter.

        A reply of which nothing was heard leaves the person's words alone in history. A turn that nobody is to
        remember (see `Given`) leaves nothing, and secrets leave nothing of themselves.
        """
        reply = self._reply(pieces, heard_end)
        heard = reply.text.strip() if reply else ""
        if self._guarding is not None:
            self._guarding.recorded(pieces)
        if remembers:
            # Off the record before anything is awaited, until memory has it.
            entry = Entry(messages=tuple(self._messages(user_text, reply)))
            self._history.add(entry)
            self.n_recorded += 1
            await self._keep(entry, user_text, heard, interrupted=interrupted)
        if self._feelings is not None:
            read = await self._read(heard)
            self._feelings.said(read.emotions.tolist() if read else None)
        return heard

    async def turn_over(self) -> None:
        """A turn is over and the cache is settled: the moment for what would be in the way at any other."""
        if self._remembering is not None:
            await self._remembering.digest()
            asked = self._history.turn_ids
            gone = await self._remembering.forgotten_of(asked)  # by `familiar memory forget`, say
            self._history.keep_only(set(asked) - gone, of=asked)
        if self._feelings is not None:
            await self._feelings.save()
        if self._on_turn_over is not None and not self.is_off_record:
            await self._on_turn_over(self.history, self.n_recorded)

    def expression(self, at_s: float) -> Expression | None:
        """What the body shows of how the character feels, at `at_s` of the monotonic clock; None for nothing."""
        return self._feelings.expression(at_s) if self._feelings is not None else None

    @property
    def is_off_record(self) -> bool:
        """Whether the history has words in it that are not to be kept on any disk, or not kept yet."""
        return self._history.is_off_record

    async def remember(self, user_text: str) -> None:
        """Keep in memory alone what is too long for a prompt: in history it would push out everything before it."""
        entry = Entry()
        self._history.add(entry)
        await self._keep(entry, user_text, "", interrupted=True)

    async def _keep(self, entry: Entry, user_text: str, reply_text: str, *, interrupted: bool) -> None:
        if self._remembering is not None:
            kept = self._redact(user_text), self._redact(reply_text)
            await self._remembering.keep(*kept, interrupted=interrupted, entry=entry)

    async def _read(self, text: str) -> Encoded | None:
        return await self._reading.read(text) if self._reading is not None else None

    async def _look_up(self, text: str, read: Encoded | None) -> LookedUp:
        if self._remembering is None:
            return LookedUp()
        return await self._remembering.look_up(text, self._history.n_kept, read)

    def _volatile(self, looked_up: LookedUp) -> str:
        """What changes from turn to turn, as one short block of prompt."""
        line = self._feelings.line() if self._feelings is not None else ""
        return "\n".join(filter(None, (line, looked_up.block)))

    def _reply(self, pieces: Sequence[Piece], heard_end: int) -> Message | None:
        return cut_reply(self._tokenizer, pieces, heard_end)

    def _messages(self, user_text: str, reply: Message | None) -> list[Message]:
        """What of a turn stands in the history: without secrets, whoever said them."""
        if reply is not None and (kept := self._redact(reply.text)) != reply.text:
            reply = Message(role="assistant", text=kept)
        asked = [Message(role="user", text=self._redact(user_text))] if user_text else []
        return [*asked, reply] if reply else asked


async def _to_its_end(work: Coroutine[Any, Any, _Result]) -> _Result:
    """What `work` gives. Who is cancelled here waits for its end all the same: what has begun is finished."""
    task = asyncio.create_task(work, name="carry-out")
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
