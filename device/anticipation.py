"""Work on words that may still change: nothing of it can be noticed unless they turn out to be the final ones.

While the person speaks, the words that have settled are prefilled as they come. When they pause, the words so far are
looked up, prefilled, and the reply to them is begun (`device.draft`). If these stay the words, the reply is there
already when the turn ends; if not, it is dropped. `device.conversation` says what was heard and when it is final.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from device.dialogue import Dialogue, Prepared
from device.draft import Draft
from device.same_words import same_words
from memory.errors import MemoryStoreError
from models.errors import ModelError, PromptTooLongError
from voice.messages import Clause

log = logging.getLogger(__name__)


class Voice(Protocol):
    """What makes sound of a clause ahead of time: `voice.mouth.Mouth` here."""

    def prepare(self, clause: Clause) -> None:
        """Have its sound made, silently."""
        ...

    def forget(self) -> None:
        """What was prepared is not wanted."""
        ...


_Begun = asyncio.Task[Draft | Prepared | None]


@dataclass(frozen=True, slots=True)
class _Expected:
    """The words, and the task that begins the reply to them. Once they are final, `finishing` rests on it."""

    text: str
    beginning: _Begun | None
    finishing: asyncio.Task[Draft | None] | None = None


class Anticipation:
    """One conversation's work ahead, run as tasks of its task group."""

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: asyncio.TaskGroup,
        *,
        voice: Voice,
        speculate: bool,
    ) -> None:
        """Without `speculate` only the prompt is prepared in a pause, and no reply is begun. `voice` makes the sound of
        what a reply begins with; nothing of it is heard from here."""
        self._dialogue = dialogue
        self._tasks = tasks
        self._voice = voice
        self._speculate = speculate
        self._expected: _Expected | None = None
        self._running_text = ""
        self._settled_text = ""
        self._taking_in: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """A new turn begins: nothing was said in it yet."""
        self._running_text = self._settled_text = ""

    def hear(self, running_text: str) -> None:
        """The words so far, of a turn that goes on. What two running texts agree upon is taken into the KV cache."""
        settled = agreed_words(self._running_text, running_text)
        self._running_text = running_text
        if len(settled) <= len(self._settled_text):
            return
        self._settled_text = settled
        if self._taking_in is None or self._taking_in.done():
            self._taking_in = self._tasks.create_task(self._take_in(), name="take-in")

    def expect(self, text: str) -> None:
        """The person pauses: begin the reply to `text`, or go on with it if it is for the same words."""
        if self._expected is None or self._expected.text != text:
            self.drop()
            self._expected = _Expected(text, self._tasks.create_task(self._begin(text), name="anticipate"))

    def take(self, text: str) -> asyncio.Task[Draft | None]:
        """`text` is final: the reply begun for these words, or one that is begun now. None if these are more words than
        the model can take in. `drop` it if it is not wanted any more, else call `taken` once it is read."""
        begun = None
        if self._expected is not None and same_words(self._expected.text, text):
            begun = self._expected.beginning
        else:
            self.drop()
        finishing = self._tasks.create_task(self._finish(text, begun), name="prepare")
        self._expected = _Expected(text, begun, finishing)
        return finishing

    def taken(self) -> None:
        """The draft is used up: the same words another time follow another history."""
        self._expected = None

    def drop(self) -> None:
        """Nothing of what was begun is wanted."""
        if self._taking_in is not None:
            self._taking_in.cancel()
        if self._expected is None:
            return
        expected, self._expected = self._expected, None
        for task in (expected.beginning, expected.finishing):
            if task is not None:
                task.cancel()
                task.add_done_callback(_drop_draft)
        self._voice.forget()

    async def _take_in(self) -> None:
        taken = ""
        while taken != self._settled_text:
            taken = self._settled_text
            try:
                await self._dialogue.take_in(taken)
            except (ModelError, MemoryStoreError) as error:
                log.debug("running words were not taken in: %s", error)

    async def _begin(self, text: str) -> Draft | Prepared | None:
        try:
            prepared = await self._dialogue.anticipate(text)
        except (ModelError, MemoryStoreError) as error:
            log.debug("no reply was begun: %s", error)  # it comes again when the words are final, if it is real
            return None
        return self._draft(prepared, self._voice.prepare) if prepared is not None and self._speculate else prepared

    async def _finish(self, text: str, beginning: _Begun | None) -> Draft | None:
        begun = await beginning if beginning is not None else None
        if isinstance(begun, Prepared):
            return self._draft(begun)
        if begun is not None and not begun.broken:
            return begun
        try:
            return self._draft(await self._dialogue.prepare(text))
        except PromptTooLongError as error:
            log.debug("a turn is too long: %s", error)
            return None

    def _draft(self, prepared: Prepared, on_first_clause: Callable[[Clause], None] | None = None) -> Draft:
        return Draft(
            prepared,
            self._dialogue.reply(prepared),
            self._tasks,
            on_first_clause=on_first_clause,
            language=self._dialogue.language,
        )


def agreed_words(before: str, now: str) -> str:
    """The words at the beginning of `now` that two successive running texts agree upon (LocalAgreement-2 of Macháček et
    al., "Turning Whisper into Real-Time Transcription System", 2023); the last word only if another follows it in both.
    """
    agreed: list[str] = []
    words, words_before = now.split(), before.split()
    for word, word_before in zip(words[:-1], words_before[:-1], strict=False):
        if word.casefold() != word_before.casefold():
            break
        agreed.append(word)
    return " ".join(agreed)


def _drop_draft(task: asyncio.Task[Draft | Prepared | None] | asyncio.Task[Draft | None]) -> None:
    if not task.cancelled() and task.exception() is None and isinstance(draft := task.result(), Draft):
        draft.drop()
