"""The dialogue: what was said so far, in the prompt, in the KV cache and in memory. It knows no sound and no terminal.

One person and one character. Takes the words of a person, gives the pieces of a reply, and is told afterwards how much
of it was really heard: that, and nothing else, becomes history. Voice (`device.conversation`) and text
(`device.text_mode`) both talk through it.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Protocol

from device.same_words import same_words
from memory.messages import Query, Recalled, Turn
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

RECALL_LETTERS = 200
"""The most of recalled words in one prompt, about fifty tokens: they are prefilled anew in every turn that has them."""


TURNS_SINCE_SAVED = 32
"""A saved conversation that more turns than this have followed is not looked for."""

ReplyEvent = Prefilled | Piece | Finished


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


class Memory(Protocol):
    """What remembers: `memory.worker.AsyncMemory` here."""

    async def open_conversation(self, person: str, character: str) -> int: ...

    async def commit_turn(self, turn: Turn) -> Turn: ...

    async def last_turns(self, person: str, character: str, limit: int) -> tuple[Turn, ...]: ...

    async def recall(self, person: str, character: str, query: Query) -> tuple[Recalled, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Words of a person with everything looked up and prefilled: the reply can start at once.

    `recalled_at_s` and `ready_at_s` are monotonic. `prefilled` is None if something newer stopped the prefill: then the
    reply begins with it.
    """

    text: str
    prompt: Prompt
    prefilled: Prefilled | None
    n_recalled: int
    recall_s: float
    prefill_s: float
    recalled_at_s: float
    ready_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DialogueSettings:
    """`limits` but for the end of the paragraph, which ends every reply; `restore_turns`: how many turns of the last
    conversation come back at start; more cost prefill time."""

    person: str
    character: str
    limits: ReplyLimits
    max_sentences: int
    language: str
    sampling: Sampling
    restore_turns: int
    recall_items: int


class Dialogue:
    """The history of one person and one character, kept equal in prompt, cache and memory."""

    def __init__(
        self,
        *,
        brain: Brain,
        tokenizer: Tokenizer,
        prompts: PromptBuilder,
        memory: Memory | None,
        settings: DialogueSettings,
        on_turn_over: Callable[[Sequence[Message], int], Awaitable[None]] | None = None,
    ) -> None:
        """`on_turn_over` gets the history and `n_recorded` whenever a turn is over and nobody waits."""
        self._brain = brain
        self._tokenizer = tokenizer
        self._prompts = prompts
        self._memory = memory
        self._settings = settings
        self._history: list[Message] = []
        self._conversation_id = 0
        self._on_turn_over = on_turn_over
        self.n_recorded = 0
        """Turns that became history since the start."""
        self._settling = asyncio.Lock()

    @property
    def history(self) -> tuple[Message, ...]:
        """The messages that still stand in the prompt, oldest first."""
        return tuple(self._history)

    @property
    def language(self) -> str:
        """The language that is spoken, as ISO 639-1 code."""
        return self._settings.language

    async def restore(self, saved: Sequence[Message] = ()) -> bool:
        """Continue where the last conversation was. `saved` are its messages as they stood in the cache: with them, all
        of that comes back. Returns whether they were used; they are not where memory has not every word of them."""
        if self._memory is None:
            return False
        pair = (self._settings.person, self._settings.character)
        self._conversation_id = await self._memory.open_conversation(*pair)
        n_saved = len(saved) + TURNS_SINCE_SAVED if saved else 0
        turns = await self._memory.last_turns(*pair, self._settings.restore_turns + n_saved)
        remembered = [message for turn in turns for message in _remembered(turn)]
        continued = _continued(saved, remembered)
        if continued is None:
            newest = turns[max(0, len(turns) - self._settings.restore_turns) :]
            self._history = [message for turn in newest for message in _remembered(turn)]
        else:
            self._history = continued
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
        newest = self._messages(user_text, pieces, end)
        prompt = self._prompts.build_idle([*self._history, *newest])
        del self._history[: prompt.n_messages_dropped]
        async with self._settling:
            return await self._brain.settle(prompt)

    async def take_in(self, text: str) -> Prefilled | None:
        """Prefill words that are still being said, as far as they go without an effect on anything else."""
        recalled = await self._recall(text)
        try:
            prompt = self._prompts.build_open(self._history, text, _volatile(recalled))
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
        recalled = await self._recall(text)
        recalled_at_s = time.monotonic()
        prompt = self._prompts.build(self._history, text, _volatile(recalled))
        if prompt.n_messages_dropped and not final:
            return None
        del self._history[: prompt.n_messages_dropped]
        prefilled = await self._prefill(prompt)
        ready_at_s = time.monotonic()
        return Prepared(
            text=text,
            prompt=prompt,
            prefilled=prefilled,
            n_recalled=len(recalled),
            recall_s=recalled_at_s - started_s,
            prefill_s=ready_at_s - recalled_at_s,
            recalled_at_s=recalled_at_s,
            ready_at_s=ready_at_s,
        )

    async def _prefill(self, prompt: Prompt) -> Prefilled | None:
        """Newer requests stop older ones; but a conversation half settled would have to be forked from where it was."""
        async with self._settling:
            pass
        return await self._brain.prefill(prompt)

    async def reply(self, prepared: Prepared) -> AsyncGenerator[ReplyEvent, None]:
        """The character's answer: how its prompt was prefilled, then piece by piece, ending with Finished.

        Read it under `contextlib.aclosing`.
        """
        settings = self._settings
        stream = self._brain.stream(prepared.prompt, settings.sampling, replace(settings.limits, stop=END_OF_SPEECH))
        splitter, n_sentences = ClauseSplitter(language=self.language), 0
        async with aclosing(stream):
            async for item in stream:
                if isinstance(item, Prefilled):
                    yield prepared.prefilled or item
                    continue
                if isinstance(item, Piece):
                    n_sentences += sum(
                        isinstance(part, Clause) and ends_sentence(part.speech) for part in splitter.push(item.text)
                    )
                    if n_sentences >= settings.max_sentences:
                        # This piece begins one sentence too many: only by it did the splitter see that the last ended.
                        yield Finished(reason="end_of_turn")
                        return
                yield item

    async def record(self, user_text: str, pieces: Sequence[Piece], heard_end: int, *, interrupted: bool) -> str:
        """Make a turn history: the person's words and the reply as far as it was heard. Returns the latter.

        A reply of which nothing was heard leaves the person's words alone in history.
        """
        messages = self._messages(user_text, pieces, heard_end)
        self._history += messages
        self.n_recorded += 1
        heard = "".join(message.text for message in messages if message.role == "assistant").strip()
        await self._commit(user_text, heard, interrupted=interrupted)
        return heard

    async def turn_over(self) -> None:
        """A turn is over and the cache is settled: the moment for what would be in the way at any other."""
        if self._on_turn_over is not None:
            await self._on_turn_over(self.history, self.n_recorded)

    async def remember(self, user_text: str) -> None:
        """Keep in memory alone what is too long for a prompt: in history it would push out everything before it."""
        await self._commit(user_text, "", interrupted=True)

    async def _commit(self, user_text: str, reply_text: str, *, interrupted: bool) -> None:
        if self._memory is not None:
            await self._memory.commit_turn(
                Turn(
                    conversation_id=self._conversation_id,
                    person=self._settings.person,
                    character=self._settings.character,
                    user_text=user_text,
                    reply_text=reply_text,
                    said_at=time.time(),
                    interrupted=interrupted,
                )
            )

    async def _recall(self, text: str) -> tuple[Recalled, ...]:
        if self._memory is None or self._settings.recall_items == 0:
            return ()
        in_prompt = _turn_count(self._history)
        found = await self._memory.recall(
            self._settings.person,
            self._settings.character,
            Query(
                text=text,
                at=datetime.now().astimezone(),
                limit=self._settings.recall_items,
                exclude_newest=in_prompt,
            ),
        )
        # Somebody who asks the same thing again does not want to hear that they have asked it before.
        return tuple(item for item in found if not same_words(item.text, text))

    def _messages(self, user_text: str, pieces: Sequence[Piece], heard_end: int) -> list[Message]:
        reply = cut_reply(self._tokenizer, pieces, heard_end)
        asked = [Message(role="user", text=user_text)] if user_text else []
        return [*asked, reply] if reply else asked


def _turn_count(history: Sequence[Message]) -> int:
    """Turns in a history: each begins with words of the person, but for a reply to nothing, such as a greeting."""
    roles = ["assistant", *(message.role for message in history)]
    return sum(role == "user" or before == "assistant" for before, role in pairwise(roles))


def _remembered(turn: Turn) -> list[Message]:
    both = (Message(role="user", text=turn.user_text), Message(role="assistant", text=turn.reply_text))
    return [message for message in both if message.text]


def _continued(saved: Sequence[Message], remembered: Sequence[Message]) -> list[Message] | None:
    """What was saved and what memory has after it; None where memory does not have just these messages in a row."""
    texts = [(message.role, message.text.strip()) for message in remembered]
    wanted = [(message.role, message.text.strip()) for message in saved]
    for start in range(len(texts) - len(wanted), -1, -1):
        if wanted and texts[start : start + len(wanted)] == wanted:
            return [*saved, *remembered[start + len(wanted) :]]
    return None


def _volatile(recalled: Sequence[Recalled]) -> str:
    """What the person said before, as one short block of prompt, or nothing.

    Their words alone: a small model takes its own old words for new ones to say.
    """
    block = ""
    for words in (item.turn.user_text for item in recalled if item.turn):
        if words and len(block) + len(words) <= RECALL_LETTERS:
            block += f'Earlier I told you: "{words}"\n'
    return block.strip()
