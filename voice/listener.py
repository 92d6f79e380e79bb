"""The ears: microphone frames in, turns and their words out.

Frames come from an AudioPort and pass the voice activity detector and the turn-taker on the event loop (1 ms a frame).
Recognition runs beside them on a thread of its own, in order, and takes its audio from a buffer: it may fall behind
without holding up the microphone. The words are recognised at the first short silence, so that they stand ready when
the silence has lasted long enough to end the turn. What they mean is left to `device.conversation`.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self, TypeVar, assert_never

import numpy as np

from voice.messages import (
    MIC_RATE_HZ,
    Heard,
    ListenerMessage,
    MicFrame,
    PartialText,
    Pcm,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
    TurnEvent,
)
from voice.preroll import UtteranceBuffer
from voice.seams import AudioPort, Transcriber
from voice.turns import TurnTaker
from voice.vad import VoiceActivityDetector

log = logging.getLogger(__name__)

T = TypeVar("T")

BEHIND_S = 6.0
"""How far recognition may be behind the end of the longest turn before audio is lost (32 kB a second)."""

FEED_S = 1.0
"""Most audio handed to the recogniser at once, so that it hears soon of a turn that went on."""

PARTIAL_EVERY_S = 0.2
"""Audio between two running texts: a display that changes more often than five times a second cannot be read."""

OUTBOX_MESSAGES = 64
"""About ten seconds of the liveliest conversation. When full, running texts are dropped and all else waits, at last the
reading of the microphone, whose port counts what it loses."""

WAITING_TURNS = 64
"""More turns than the audio buffer can hold. When full, reading the microphone waits, as above."""

ECHO_TAIL_S = 0.25
"""In half duplex the microphone stays deaf to what it heard within this time of the character's last word, for the
echo of a room and devices that misjudge their delay. Chosen, not measured."""

CLOSE_TIMEOUT_S = 5.0
"""How long leaving waits for a recognition under way, which cannot be cancelled: 30 s of speech take 2 s on a slow
core."""


@dataclass(slots=True)
class _Utterance:
    """A turn as recognition sees it. `revision` is its generation counter: work for another one is stale."""

    turn_id: int
    revision: int
    next_sample: int
    """The first sample that recognition has not got."""
    limit_sample: int | None = None
    """Set during a pause: recognise what was said up to here."""
    speech_ended_s: float = 0.0
    asked_s: float = 0.0
    heard: Heard | None = None
    """The words, for as long as they are those of `revision`."""
    ended: bool = False
    done: bool = False
    lost_samples: int = 0
    partial_sample: int = 0
    partial_text: str = ""


class Listener:
    """An async context manager that owns the recogniser's thread. Entering opens nothing but that."""

    def __init__(
        self,
        port: AudioPort,
        vad: VoiceActivityDetector,
        turn_taker: TurnTaker,
        transcriber: Transcriber,
        *,
        speaking: Callable[[], bool] = lambda: False,
        half_duplex: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`port` is open already and stays so; `clock` is the one its times are on. `speaking` tells whether the
        character speaks: then it takes longer speech to begin a turn, and with `half_duplex` the microphone is deaf,
        also to what was heard within ECHO_TAIL_S after it."""
        self._port = port
        self._vad = vad
        self._turn_taker = turn_taker
        self._transcriber = transcriber
        self._speaking = speaking
        self._half_duplex = half_duplex
        self._clock = clock
        self._deaf_until_s = -math.inf
        settings = turn_taker.settings
        kept_s = settings.max_turn_s + settings.preroll_ms / 1000 + BEHIND_S
        self._buffer = UtteranceBuffer(round(kept_s * MIC_RATE_HZ))
        self._outbox: asyncio.Queue[ListenerMessage | None] = asyncio.Queue(OUTBOX_MESSAGES)
        self._utterances: asyncio.Queue[_Utterance | None] = asyncio.Queue(WAITING_TURNS)
        self._current: _Utterance | None = None
        self._news = asyncio.Event()
        """Set whenever recognition may have something to do: new audio, a pause, an end."""
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="asr")
        self._native: Future[Any] | None = None
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._running is not None:
                self._running.cancel()
                await asyncio.wait((self._running,))
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)
        if self._native is not None:
            _, unfinished = await asyncio.to_thread(wait, (self._native,), CLOSE_TIMEOUT_S)
            if unfinished:
                log.warning("speech recognition was left behind: it did not stop within %s s", CLOSE_TIMEOUT_S)

    async def messages(self) -> AsyncGenerator[ListenerMessage, None]:
        """Listen, until the port has no more frames. Once only.

        In order, for each turn: SpeechStarted; PartialText now and then; at each pause SpeechPaused and a Heard that is
        not final, or SpeechResumed before it came; TurnEnded; the final Heard. Of two turns that overlap, because
        recognition is behind, each keeps that order. Errors of the port and of the recogniser are raised here in an
        ExceptionGroup.
        """
        if self._running is not None:
            raise RuntimeError("a Listener listens once")
        self._running = asyncio.create_task(self._listen(), name="listener")
        while (message := await self._outbox.get()) is not None:
            yield message
        await self._running

    def time_s(self, sample: int) -> float:
        """Monotonic time at which the microphone heard the sample at this position."""
        return self._port.mic_time_s(sample)

    async def _listen(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._hear(), name="listener-ears")
                tasks.create_task(self._recognise(), name="listener-words")
        except BaseException:
            # Whoever waits for messages must wake up and see the failure; no message is worth waiting for room.
            if self._outbox.full():
                self._outbox.get_nowait()
            self._outbox.put_nowait(None)
            raise
        await self._outbox.put(None)

    # Ears: never waits for recognition --------------------------------------------------------------------------------

    async def _hear(self) -> None:
        self._vad.reset()
        while (frame := await self._port.read()) is not None:
            speaking = self._speaking()
            if self._half_duplex and self._is_deaf_to(frame, speaking=speaking):
                frame = MicFrame(samples=np.zeros_like(frame.samples), end_sample=frame.end_sample)
            self._buffer.append(frame)
            probability = self._vad.probability(frame.samples)
            for event in self._turn_taker.push(frame.end_sample, probability, speaking=speaking):
                await self._on_turn(event)
            self._news.set()
        for event in self._turn_taker.finish():
            await self._on_turn(event)
        self._news.set()
        await self._utterances.put(None)

    def _is_deaf_to(self, frame: MicFrame, *, speaking: bool) -> bool:
        """Judged by when the microphone heard it: frames are read late, some after the character fell silent."""
        if speaking:
            self._deaf_until_s = self._clock() + ECHO_TAIL_S
        return speaking or self._port.mic_time_s(frame.end_sample - frame.samples.size) < self._deaf_until_s

    async def _on_turn(self, event: TurnEvent) -> None:
        """Report an event and pass it on. Recognition learns of a pause or an end after the report and of a resumption
        before it, so that its own reports come in the promised order."""
        if isinstance(event, SpeechStarted):
            await self._outbox.put(event)
            self._current = _Utterance(event.turn_id, event.revision, event.preroll_sample)
            await self._utterances.put(self._current)
            return
        utterance = self._current
        assert utterance is not None, "the turn-taker opens a turn before anything else"
        match event:
            case SpeechPaused():
                await self._outbox.put(event)
                utterance.speech_ended_s = self._port.mic_time_s(event.last_voiced_sample)
                utterance.asked_s = time.monotonic()
                utterance.limit_sample = self._buffer.end_sample
            case SpeechResumed():
                utterance.revision, utterance.limit_sample, utterance.heard = event.revision, None, None
                await self._outbox.put(event)
            case TurnEnded():
                await self._outbox.put(event)
                utterance.ended = True
            case _:
                assert_never(event)

    # Words: one utterance after the other, on the recogniser's thread -------------------------------------------------

    async def _recognise(self) -> None:
        while (utterance := await self._utterances.get()) is not None:
            await self._in_thread(self._transcriber.begin)
            while not utterance.done:
                await self._advance(utterance)

    async def _advance(self, utterance: _Utterance) -> None:
        """The next thing there is to do for the utterance, or wait for one."""
        self._news.clear()
        audio = self._take(utterance)
        if audio.size:
            await self._in_thread(lambda: self._transcriber.feed(audio))
            if utterance.limit_sample is None:
                await self._report_partial(utterance)
        elif utterance.limit_sample is not None and utterance.heard is None:
            await self._report_heard(utterance)
        elif utterance.ended and utterance.heard is not None:
            utterance.done = True
            await self._outbox.put(replace(utterance.heard, final=True))
        else:
            await self._news.wait()

    def _take(self, utterance: _Utterance) -> Pcm:
        """The next audio of the utterance that recognition has not got, shape (n,), n = 0 if it is up to date."""
        end_sample = self._buffer.end_sample if utterance.limit_sample is None else utterance.limit_sample
        kept_from = min(max(utterance.next_sample, self._buffer.oldest_sample), end_sample)
        utterance.lost_samples += kept_from - utterance.next_sample
        utterance.next_sample = min(end_sample, kept_from + round(FEED_S * MIC_RATE_HZ))
        return self._buffer.read(kept_from, utterance.next_sample)

    async def _report_partial(self, utterance: _Utterance) -> None:
        if utterance.next_sample - utterance.partial_sample < PARTIAL_EVERY_S * MIC_RATE_HZ:
            return
        utterance.partial_sample = utterance.next_sample
        revision = utterance.revision
        text = await self._in_thread(self._transcriber.partial)
        wanted = utterance.limit_sample is None and utterance.revision == revision
        if wanted and text not in ("", utterance.partial_text) and not self._outbox.full():
            utterance.partial_text = text
            self._outbox.put_nowait(PartialText(turn_id=utterance.turn_id, revision=revision, text=text))

    async def _report_heard(self, utterance: _Utterance) -> None:
        revision = utterance.revision
        transcript = await self._in_thread(self._transcriber.result)
        if utterance.revision != revision:
            return
        utterance.heard = Heard(
            turn_id=utterance.turn_id,
            revision=revision,
            text=transcript.text,
            final=False,
            audio_s=transcript.audio_s,
            speech_ended_s=utterance.speech_ended_s,
            asr_s=time.monotonic() - utterance.asked_s,
            lost_s=utterance.lost_samples / MIC_RATE_HZ,
        )
        if not utterance.ended:
            await self._outbox.put(utterance.heard)

    async def _in_thread(self, call: Callable[[], T]) -> T:
        """Run a blocking call of the recogniser. Cancelled, it goes on until it is through; leaving waits for that."""
        native = self._executor.submit(call)
        self._native = native
        return await asyncio.wrap_future(native)
