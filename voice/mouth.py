"""The mouth: speaks the parts of a reply as they come, synthesis one step ahead of the loudspeaker.

Takes clauses and gestures from a bounded queue, has them synthesized on a thread of its own, hands the sound to the
`Player` and reports, on the playback cursor, when sound was queued, when it was heard and when a gesture is due. What
the reply says, and what happens after an interruption, is left to the caller.
"""

import asyncio
import logging
import threading
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import aclosing, closing
from types import TracebackType
from typing import Any, Self

from voice.messages import (
    NEUTRAL,
    Clause,
    Gesture,
    GestureDue,
    MouthEvent,
    Prosody,
    SpeechChunk,
    SpeechHeard,
    SpeechPart,
    SpeechQueued,
)
from voice.player import Player
from voice.seams import Synthesizer

log = logging.getLogger(__name__)

CURSOR_POLL_S = 0.01
"""How often the cursor is read while speaking: one block of a low-latency sound device."""

CLOSE_TIMEOUT_S = 5.0
"""How long leaving waits for a sentence under way, whose synthesis cannot be cancelled."""


class _Ahead:
    """A clause that is synthesized before anybody knows whether it will be spoken."""

    def __init__(self, speech: str, prosody: Prosody, synthesizer: Synthesizer, thread: ThreadPoolExecutor) -> None:
        self.key = (speech, prosody)
        self._synthesizer = synthesizer
        self._unwanted = threading.Event()
        self.chunks = thread.submit(self._synthesize)

    def forget(self) -> None:
        """It will not be spoken: leave the thread to what will."""
        self._unwanted.set()
        self.chunks.cancel()

    def _synthesize(self) -> list[SpeechChunk]:
        made: list[SpeechChunk] = []
        with closing(self._synthesizer.synthesize(*self.key)) as chunks:
            for chunk in chunks:
                made.append(chunk)
                if self._unwanted.is_set():
                    break
        return made


class Mouth:
    """Owns the synthesis thread. One reply at a time: `begin`, then `speak`; `stop` at any moment."""

    def __init__(
        self, synthesizer: Synthesizer, player: Player, *, prosody: Callable[[], Prosody] = lambda: NEUTRAL
    ) -> None:
        """`prosody` is asked how to speak when a reply begins, which then is said in one manner, and when a clause is
        prepared; what was prepared is used only if the answer is still the same."""
        self._synthesizer = synthesizer
        self._ask_prosody = prosody
        self._prosody = NEUTRAL
        """Of the reply that was begun."""
        self._player = player
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="synthesis")
        self._closing: Future[Any] | None = None
        """The last thing that the thread was given, behind which it has nothing to do."""
        self._ahead: _Ahead | None = None
        self._gestures: list[tuple[int, Gesture]] = []
        self._open = False
        self._speaking = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self.forget()
        # What still waits there only closes generators, behind at most one step of a native call.
        self._thread.shutdown(wait=False)
        if self._closing is not None:
            _, unfinished = await asyncio.to_thread(wait, (self._closing,), CLOSE_TIMEOUT_S)
            if unfinished:
                log.warning("speech synthesis was left behind: it did not stop within %s s", CLOSE_TIMEOUT_S)

    @property
    def speaking(self) -> bool:
        """Sound of a reply is, or is about to be, on its way to the loudspeaker."""
        return self._speaking

    def prepare(self, clause: Clause) -> None:
        """Have a clause synthesized that may soon be spoken; nothing of it is heard before that. The latest one
        counts."""
        prosody = self._ask_prosody()
        if self._ahead is None or self._ahead.key != (clause.speech, prosody):
            self.forget()
            self._ahead = _Ahead(clause.speech, prosody, self._synthesizer, self._thread)

    def forget(self) -> None:
        """What was prepared will not be spoken."""
        if self._ahead is not None:
            self._ahead.forget()
            self._closing, self._ahead = self._ahead.chunks, None

    def heard_end(self) -> int:
        """The offset in the reply's text just past the last word heard so far."""
        return self._player.heard_end()

    def begin(self) -> None:
        """Start a new reply: its text offsets count from zero."""
        self._open = True
        self._prosody = self._ask_prosody()
        self._player.begin()
        self._gestures.clear()

    def stop(self) -> int:
        """Silence, now, until the next `begin`. Returns the offset just past the last word that was, or within
        milliseconds will be, heard."""
        self._open = self._speaking = False
        self._gestures.clear()
        return self._player.stop()

    async def last_heard_s(self) -> float | None:
        """After `stop`: when the last sample leaves the loudspeaker; None if nothing of the reply does."""
        return await self._player.last_heard_s()

    async def speak(self, parts: asyncio.Queue[SpeechPart | None], emit: Callable[[MouthEvent], None]) -> None:
        """Speak what arrives until None does, and return when the last sample has been heard.

        After `stop` nothing more is synthesized or reported of this reply. Errors of the synthesizer are raised in an
        ExceptionGroup.
        """
        said_all = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow_cursor(said_all, emit), name="playback-cursor")
                await self._say_all(parts, emit)
                await self._player.drained()
                said_all.set()
        finally:
            self._speaking = False

    async def _say_all(self, parts: asyncio.Queue[SpeechPart | None], emit: Callable[[MouthEvent], None]) -> None:
        said_end = 0
        queued = False
        while (part := await parts.get()) is not None:
            if not self._open:
                continue
            if isinstance(part, Gesture):
                self._gestures.append((said_end, part))
                continue
            said_end = part.words[-1].end
            async with aclosing(self._sound_of(part)) as chunks:
                async for chunk in chunks:
                    if not self._open:
                        break
                    self._speaking = True
                    if not queued:
                        queued = True
                        emit(SpeechQueued(t_s=time.monotonic()))
                    await self._player.add(part, chunk.samples, chunk.marks)
            self._player.end_clause(part)

    async def _sound_of(self, clause: Clause) -> AsyncGenerator[SpeechChunk, None]:
        """The clause's sound. The synthesizer's generator is stepped, and at last closed, on the synthesis thread."""
        ahead = self._ahead
        if ahead is not None and ahead.key == (clause.speech, self._prosody):
            self._closing, self._ahead = ahead.chunks, None
            for made in await asyncio.wrap_future(ahead.chunks):
                yield made
            return
        self.forget()
        chunks = self._synthesizer.synthesize(clause.speech, self._prosody)
        loop = asyncio.get_running_loop()
        try:
            while (chunk := await loop.run_in_executor(self._thread, next, chunks, None)) is not None:
                yield chunk
        finally:
            # A native call under way cannot be cancelled: the closing waits behind it, not here.
            self._closing = self._thread.submit(chunks.close)

    async def _follow_cursor(self, said_all: asyncio.Event, emit: Callable[[MouthEvent], None]) -> None:
        heard_reported = False
        while True:
            finished = said_all.is_set()
            heard_s = self._player.first_heard_s
            if heard_s is not None and not heard_reported:
                heard_reported = True
                emit(SpeechHeard(t_s=heard_s))
            heard_end = self._player.heard_end()
            while self._gestures and (finished or self._gestures[0][0] <= heard_end):
                emit(GestureDue(gesture=self._gestures.pop(0)[1], t_s=time.monotonic()))
            if finished:
                return
            await asyncio.sleep(CURSOR_POLL_S)
