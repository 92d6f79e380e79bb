"""Work on words that may still change: nothing of it can be noticed unless they turn out to be the final ones.

While the person speaks, the words that have settled are prefilled as they come. When they pause, the words so far are
looked up, prefilled, and the reply to them is begun (`device.draft`). If these stay the words, the reply is there
already when the turn ends; if not, it is dropped. `device.conversation` says what was heard and when it is final.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from device.dialogue import Dialogue, Prepared, same_words
from device.draft import Draft
from models.errors import PromptTooLongError
from voice.messages import Clause

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Expected:
    """The words, and the task whose result is the draft for them. Once they are final, that task rests on the one that
    began it."""

    text: str
    beginning: asyncio.Task[Draft | None]
    begun: asyncio.Task[Draft | None] | None = None


class Anticipation:
    """One conversation's work ahead, run as tasks of its task group."""

    def __init__(
        self,
        dialogue: Dialogue,
        tasks: asyncio.TaskGroup,
        *,
        speculate: bool,
        on_first_clause: Callable[[Clause], None],
    ) -> None:
        """Without `speculate` only the prompt is prepared in a pause, and no reply is begun. `on_first_clause` is told
        what such a reply begins with, to have its sound made: silently, for it may not be wanted."""
        self._dialogue = dialogue
        self._tasks = tasks
        self._speculate = speculate
        self._on_first_clause = on_first_clause
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
        self._expected = _Expected(text, self._tasks.create_task(self._finish(text, begun), name="prepare"), begun)
        return self._expected.beginning

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
        for task in (expected.beginning, expected.begun):
            if task is not None:
                task.cancel()
                task.add_done_callback(_drop_draft)

    async def _take_in(self) -> None:
        taken = ""
        while taken != self._settled_text:
            taken = self._settled_text
            await self._dialogue.take_in(taken)

    async def _begin(self, text: str) -> Draft | None:
        prepared = await self._dialogue.anticipate(text)
        if prepared is None or not self._speculate:
            return None
        return self._draft(prepared, self._on_first_clause)

    async def _finish(self, text: str, begun: asyncio.Task[Draft | None] | None) -> Draft | None:
        draft = await begun if begun is not None else None
        if draft is not None:
            return draft
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


def _drop_draft(beginning: asyncio.Task[Draft | None]) -> None:
    if not beginning.cancelled() and beginning.exception() is None and (draft := beginning.result()) is not None:
        draft.drop()
