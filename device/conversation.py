"""The conversation: one object owns the turn.

Listens to what the ears report, has a reply begun while the person may still be silent for good, lets it be spoken, and
ends it the moment the person speaks again. Words that never got an answer are carried into the next turn. Engines,
sound and display are given to it; it holds no settings and opens nothing.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Protocol, assert_never

from device.anticipation import Anticipation
from device.dialogue import Dialogue
from device.display import Display, Notice, PersonSays, StateChanged
from device.draft import Draft
from device.housekeeping import Housekeeping
from device.reply import Reply
from device.trace import EventName, Trace, Value
from firmware_bridge.body import Body
from voice.messages import (
    Heard,
    ListenerMessage,
    PartialText,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
)
from voice.mouth import Mouth

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 3.0
"""At the end, how long the last turn may take to be recorded: a disk sync of a slow SD card takes about one second.
What is not through by then is left to the memory's own thread."""


UNANSWERED_LETTERS = 400
"""About half a minute of speech. More words than this are not put in front of the next ones any more, which somebody
who keeps interrupting would make too long to answer: they become a turn without a reply."""


class Ears(Protocol):
    """What listens: `voice.listener.Listener` here."""

    def messages(self) -> AsyncGenerator[ListenerMessage, None]:
        """What is heard, in the order that the listener promises, until there is nothing more to hear."""
        ...

    def time_s(self, sample: int) -> float:
        """Monotonic time at which the microphone heard the sample at this position."""
        ...


class Conversation:
    """Runs until the listener ends or the task is cancelled; either way the last turn is recorded as heard."""

    def __init__(
        self,
        *,
        dialogue: Dialogue,
        listener: Ears,
        mouth: Mouth,
        body: Body,
        trace: Trace,
        display: Display,
        housekeeping: Housekeeping | None = None,
        sound_faults: Callable[[], Mapping[str, int]] = dict,
        speculate: bool = True,
    ) -> None:
        """`housekeeping` is run while nobody speaks. `sound_faults` counts what went wrong with the sound since it was
        opened, by what it was. `speculate`: whether a reply may be begun, unheard, while the person may still go on."""
        self._dialogue = dialogue
        self._listener = listener
        self._mouth = mouth
        self._body = body
        self._trace = trace
        self._display = display
        self._housekeeping = housekeeping or Housekeeping(())
        self._sound_faults = sound_faults
        self._faults_told: Mapping[str, int] = {}
        self._tasks = asyncio.TaskGroup()
        self._reply: Reply | None = None
        self._replying: asyncio.Task[None] | None = None
        self._anticipation = Anticipation(dialogue, self._tasks, voice=mouth, speculate=speculate)
        self._unanswered = ""
        self._paused_text = ""
        """Words up to the last pause of a turn that is not final."""
        self._open_turn: int | None = None
        """The turn that the person is speaking, if they are."""

    @property
    def idle(self) -> bool:
        """Nobody speaks and no reply is under way."""
        return self._open_turn is None and self._reply is None

    async def run(self, *, greeting: str = "") -> None:
        """Converse until the listener ends. Speak `greeting` first, if there is one."""
        try:
            async with self._tasks:
                keeping = self._tasks.create_task(self._housekeeping.run(), name="housekeeping")
                self._housekeeping.rest()
                self._display.show(StateChanged(state="listening"))
                if greeting:
                    reply = self._new_reply(turn_id=0, revision=0, user_text="")
                    self._start(reply, lambda: reply.say(greeting))
                async with aclosing(self._listener.messages()) as messages:
                    async for message in messages:
                        await self._on(message)
                self._anticipation.drop()
                await self._close_reply()
                keeping.cancel()
        finally:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await self._close_reply()
                    self._unanswered = self._joined(self._paused_text)
                    await self._record_unanswered()
            except TimeoutError:
                log.warning("the last turn was not recorded within %s s", CLOSE_TIMEOUT_S)

    async def _on(self, message: ListenerMessage) -> None:
        match message:
            case SpeechStarted():
                await self._on_speech_started(message)
            case SpeechPaused():
                pass  # What was recognised up to here follows as Heard.
            case TurnEnded():
                self._event(message, "speech_ended", t_s=self._listener.time_s(message.last_voiced_sample))
                self._event(message, "turn_committed")
            case SpeechResumed():
                self._anticipation.drop()
            case PartialText(text=text):
                self._display.show(PersonSays(text=text, final=False))
                self._anticipation.hear(self._joined(text))
            case Heard():
                if message.final:
                    self._on_turn(message)
                elif message.text:
                    self._paused_text = message.text
                    self._anticipation.expect(self._joined(message.text))
            case _:
                assert_never(message)

    async def _on_speech_started(self, message: SpeechStarted) -> None:
        self._open_turn = message.turn_id
        self._housekeeping.disturb()
        self._anticipation.begin()
        self._event(message, "speech_started", t_s=self._listener.time_s(message.at_sample))
        reply = self._reply
        if reply is not None:
            if not reply.complete:
                self._event(message, "barge_in", over_turn=reply.turn_id, audible=reply.audible)
            await self._close_reply()
        if len(self._unanswered) > UNANSWERED_LETTERS:
            await self._record_unanswered()
        if reply is not None:
            self._tasks.create_task(self._settle(), name="settle")
        self._display.show(StateChanged(state="hearing"))

    def _on_turn(self, heard: Heard) -> None:
        self._event(heard, "asr_final", text=heard.text, asr_s=round(heard.asr_s, 6))
        text = self._joined(heard.text)
        if heard.text:
            self._display.show(PersonSays(text=text, final=True))
        self._unanswered, self._paused_text = text, ""
        if heard.lost_s > 0:
            lost = f"{heard.lost_s:.1f} s of what was said was lost: recognition is too slow on this machine."
            self._degraded(heard, lost)
        self._tell_sound_faults(heard)
        if heard.turn_id != self._open_turn:
            # Recognition was behind, and the person speaks again already: one answer for both turns.
            self._anticipation.drop()
            return
        self._open_turn = None
        if not text:
            self._anticipation.drop()
            self._housekeeping.rest()
            self._display.show(StateChanged(state="listening"))
            return
        self._display.show(StateChanged(state="thinking"))
        beginning = self._anticipation.take(text)
        reply = self._new_reply(turn_id=heard.turn_id, revision=heard.revision, user_text=text)
        self._start(reply, lambda: self._answer(reply, beginning))

    def _joined(self, text: str) -> str:
        """New words, after those that never got an answer."""
        return " ".join(part for part in (self._unanswered, text) if part)

    async def _record_unanswered(self) -> None:
        """Words whose reply nobody will hear any more are remembered all the same."""
        text, self._unanswered = self._unanswered, ""
        if text:
            await self._dialogue.record(text, (), 0, interrupted=True)

    # Replying -------------------------------------------------------------------------------------------------------

    def _start(self, reply: Reply, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work` as a task. It is made there, because a task cancelled before its first step makes nothing."""
        self._reply = reply
        self._replying = self._tasks.create_task(self._finish(reply, work), name=f"reply-{reply.turn_id}")

    async def _finish(self, reply: Reply, work: Callable[[], Awaitable[None]]) -> None:
        await work()
        await reply.close()
        self._unanswered = ""
        self._reply = None
        self._tell_sound_faults(reply)
        self._display.show(StateChanged(state="listening"))
        self._tasks.create_task(self._dialogue.turn_over(), name="turn-over")  # what speaks next does not wait for it
        self._housekeeping.rest()

    async def _settle(self) -> None:
        """What was not heard leaves the cache as it left history."""
        await self._dialogue.settle()
        await self._dialogue.turn_over()

    async def _answer(self, reply: Reply, beginning: Awaitable[Draft | None]) -> None:
        draft = await beginning
        self._anticipation.taken()
        if draft is not None:
            await reply.answer(draft)
            return
        self._degraded(reply, "That was too long to answer: say it in fewer words.")
        text, self._unanswered = self._unanswered, ""
        await self._dialogue.remember(text)

    async def _close_reply(self) -> None:
        """End the reply under way, if any: silence at once, then its work, then the record of what was heard.

        Cancelled in the middle, it can be called again to do the rest.
        """
        reply, task = self._reply, self._replying
        if reply is None or task is None:
            return
        if not reply.complete:
            task.cancel()
            self._anticipation.drop()  # which a task cancelled before its first step does not
            reply.silence()
        await asyncio.wait((task,))
        if await reply.close():
            self._unanswered = ""
        self._reply = None

    def _new_reply(self, *, turn_id: int, revision: int, user_text: str) -> Reply:
        return Reply(
            turn_id=turn_id,
            revision=revision,
            user_text=user_text,
            dialogue=self._dialogue,
            mouth=self._mouth,
            body=self._body,
            trace=self._trace,
            display=self._display,
        )

    def _tell_sound_faults(self, turn: Heard | Reply) -> None:
        """Tell of what went wrong with the sound since this was last asked."""
        faults = self._sound_faults()
        for what, count in faults.items():
            if count > self._faults_told.get(what, 0):
                self._degraded(turn, f"Trouble with the sound: {count - self._faults_told.get(what, 0)} {what}.")
        self._faults_told = faults

    def _degraded(self, turn: Heard | Reply, what: str) -> None:
        self._trace.event("degraded", turn=turn.turn_id, revision=turn.revision, what=what)
        self._display.show(Notice(text=what))

    def _event(
        self, message: SpeechStarted | TurnEnded | Heard, name: EventName, *, t_s: float | None = None, **fields: Value
    ) -> None:
        self._trace.event(name, turn=message.turn_id, revision=message.revision, t_s=t_s, **fields)
