"""The conversation: one object owns the turn.

Listens to what the ears report, prepares a reply while the person may still be silent for good, lets it be spoken, and
ends it the moment the person speaks again. Words that never got an answer are carried into the next turn. Engines,
sound and display are given to it; it holds no settings and opens nothing.
"""

import asyncio
from collections.abc import Coroutine
from typing import assert_never

from device.dialogue import Dialogue, Prepared
from device.display import Display, PersonSays, StateChanged
from device.reply import Reply
from device.trace import EventName, Trace, Value
from firmware_bridge.body import Body
from voice.listener import Listener
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

CLOSE_TIMEOUT_S = 3.0
"""At the end, how long the last turn may take to be recorded: a disk sync of a slow SD card takes about one second."""


class Conversation:
    """Runs until the listener ends or the task is cancelled; either way the last turn is recorded as heard."""

    def __init__(
        self, *, dialogue: Dialogue, listener: Listener, mouth: Mouth, body: Body, trace: Trace, display: Display
    ) -> None:
        self._dialogue = dialogue
        self._listener = listener
        self._mouth = mouth
        self._body = body
        self._trace = trace
        self._display = display
        self._tasks = asyncio.TaskGroup()
        self._reply: Reply | None = None
        self._replying: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[Prepared] | None = None
        self._preparing_for = ""
        self._unanswered = ""
        self._hearing = False

    @property
    def idle(self) -> bool:
        """Nobody speaks and no reply is under way."""
        return not self._hearing and self._reply is None

    async def run(self, *, greeting: str = "") -> None:
        """Converse until the listener ends. Speak `greeting` first, if there is one."""
        try:
            async with self._tasks:
                self._display.show(StateChanged(state="listening"))
                if greeting:
                    reply = self._new_reply(turn_id=0, revision=0, user_text="")
                    self._start(reply, reply.say(greeting))
                async for message in self._listener.messages():
                    await self._on(message)
                await self._close_reply()
        finally:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._close_reply()
                await self._record_unanswered()

    async def _on(self, message: ListenerMessage) -> None:
        match message:
            case SpeechStarted():
                await self._on_speech_started(message)
            case SpeechPaused() | TurnEnded():
                pass  # What was recognised follows at once as Heard.
            case SpeechResumed():
                self._drop_preparation()
            case PartialText(text=text):
                self._display.show(PersonSays(text=text, final=False))
            case Heard():
                if message.final:
                    self._on_turn(message)
                elif message.text:
                    self._prepare(self._joined(message.text))
            case _:
                assert_never(message)

    async def _on_speech_started(self, message: SpeechStarted) -> None:
        self._hearing = True
        self._event(message, "speech_started", t_s=self._listener.time_s(message.at_sample))
        if self._reply is not None:
            self._event(message, "barge_in", over_turn=self._reply.turn_id)
            await self._close_reply()
        self._display.show(StateChanged(state="hearing"))

    def _on_turn(self, heard: Heard) -> None:
        self._hearing = False
        self._event(heard, "speech_ended", t_s=heard.speech_ended_s)
        self._event(heard, "turn_committed")
        self._event(heard, "asr_final", text=heard.text, asr_s=round(heard.asr_s, 6))
        text = self._joined(heard.text)
        if not text:
            self._drop_preparation()
            self._display.show(StateChanged(state="listening"))
            return
        self._display.show(PersonSays(text=text, final=True))
        self._display.show(StateChanged(state="thinking"))
        self._unanswered = text
        preparing = self._prepare(text)
        self._preparing = None
        reply = self._new_reply(turn_id=heard.turn_id, revision=heard.revision, user_text=text)
        self._start(reply, reply.answer(preparing))

    def _joined(self, text: str) -> str:
        """New words, after those that never got an answer."""
        return " ".join(part for part in (self._unanswered, text) if part)

    async def _record_unanswered(self) -> None:
        """Words whose reply nobody will hear any more are remembered all the same."""
        if self._unanswered:
            await self._dialogue.record(self._unanswered, (), 0, interrupted=True)
            self._unanswered = ""

    # Preparing: recall and prefill for words that may still change, without any other effect ------------------------

    def _prepare(self, text: str) -> asyncio.Task[Prepared]:
        """Prepare `text`, or go on with the preparation under way if it is for the same words."""
        if self._preparing is not None and self._preparing_for == text:
            return self._preparing
        self._drop_preparation()
        self._preparing_for = text
        self._preparing = self._tasks.create_task(self._dialogue.prepare(text), name="prepare")
        return self._preparing

    def _drop_preparation(self) -> None:
        if self._preparing is not None:
            self._preparing.cancel()
            self._preparing = None

    # Replying -------------------------------------------------------------------------------------------------------

    def _start(self, reply: Reply, work: Coroutine[None, None, None]) -> None:
        self._reply = reply
        self._replying = self._tasks.create_task(self._finish(reply, work), name=f"reply-{reply.turn_id}")

    async def _finish(self, reply: Reply, work: Coroutine[None, None, None]) -> None:
        await work
        await reply.close()
        self._unanswered = ""
        self._reply = None
        self._display.show(StateChanged(state="listening"))

    async def _close_reply(self) -> None:
        """End the reply under way, if any: silence at once, then its work, then the record of what was heard."""
        reply, task = self._reply, self._replying
        if reply is None or task is None:
            return
        self._reply = None
        if not reply.complete:
            task.cancel()
            reply.silence()
        await asyncio.wait((task,))
        if await reply.close():
            self._unanswered = ""

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

    def _event(
        self, message: SpeechStarted | Heard, name: EventName, *, t_s: float | None = None, **fields: Value
    ) -> None:
        self._trace.event(name, turn=message.turn_id, revision=message.revision, t_s=t_s, **fields)
