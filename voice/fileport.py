"""The AudioPort of files: a recording is the microphone, another file records the speaker, both in real time.

For `familiar talk --in --out`, the benchmark and the tests. A thread plays the part of the sound device: every 10 ms it
moves a block each way, through the same lines (`voice.microphoneline`, `voice.speakerline`) as a real device, so that
all above the port runs as it would on one. Input and output share one timeline: second 3 of the output sounded while
second 3 of the input was heard. Reading and writing WAV is left to `voice.wav`.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from voice.messages import MIC_RATE_HZ, MicFrame, Pcm
from voice.microphoneline import MicrophoneLine
from voice.speakerline import SpeakerLine
from voice.wav import WavWriter, read_wav

_BLOCKS_PER_S = 100
_MIC_BLOCK = MIC_RATE_HZ // _BLOCKS_PER_S


class FilePort:
    """An AudioPort over WAV files. After the recording the microphone hears digital silence until the port is left.

    File errors are raised on entering, before any time passes; one that comes later (a full disk) ends the pacing and
    is raised by the next `read`, or on leaving.
    """

    def __init__(self, input_path: Path | str, output_path: Path | str | None, speaker_rate_hz: int) -> None:
        self.speaker = SpeakerLine(speaker_rate_hz)
        self._load: Callable[[], Iterable[Pcm]] = lambda: (read_wav(input_path),)
        self._output_path = output_path
        self._microphone = MicrophoneLine()
        self._stop = threading.Event()
        self._resources = ExitStack()
        self._pacing: Future[None] = Future()
        self._failure_raised = False
        self._input_ended = False

    @classmethod
    def from_samples(
        cls, samples: Pcm | Iterable[Pcm], output_path: Path | str | None = None, *, speaker_rate_hz: int
    ) -> Self:
        """A port whose microphone hears `samples` at 16 kHz: all at once, or blocks of any size, drawn by the pacing
        thread no earlier than they are heard. The blocks may go on for ever."""
        port = cls("(samples)", output_path, speaker_rate_hz)
        port._load = lambda: (samples,) if isinstance(samples, np.ndarray) else samples
        return port

    @property
    def input_ended(self) -> bool:
        """The microphone has heard the whole recording."""
        return self._input_ended

    @property
    def overruns(self) -> int:
        """Microphone samples lost because nobody read them for seconds."""
        return self._microphone.overruns

    async def __aenter__(self) -> Self:
        blocks = await asyncio.to_thread(self._load)
        writer = None
        if self._output_path is not None:
            writer = self._resources.enter_context(WavWriter(self._output_path, self.speaker.rate_hz))
        # One worker, not a daemon: a failure of the pacing stands in its future until somebody looks.
        executor = self._resources.enter_context(ThreadPoolExecutor(1, thread_name_prefix="file-port"))
        self._resources.callback(self._stop.set)
        self._pacing = executor.submit(self._pace, _Recording(iter(blocks)), writer)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # In this order: stop, join (at most one block), close the file. Without an await, so that it cannot be
        # cancelled.
        try:
            self._resources.close()
        finally:
            if not self._failure_raised:
                self._pacing.result()

    async def read(self) -> MicFrame | None:
        """The next frame, as soon as real time has reached its end; None once the port is closed."""
        await asyncio.sleep(0)  # a backlog must not keep the loop from everything else
        while not self._stop.is_set():
            if self._pacing.done():
                self._failure_raised = True
                self._pacing.result()
            if (frame := self._microphone.next_frame()) is not None:
                return frame
            await asyncio.sleep(self._microphone.seconds_to_next())
        return None

    def mic_time_s(self, sample: int) -> float:
        """Monotonic time at which the microphone heard this sample."""
        return self._microphone.time_s(sample)

    # The device's thread ----------------------------------------------------------------------------------------------

    def _pace(self, recording: "_Recording", writer: WavWriter | None) -> None:
        """Move a block each way every 10 ms. Deadlines are absolute, so lateness never adds up: a late block is
        followed at once by those that are due meanwhile, each with the time at which it ought to have come."""
        rate_hz = self.speaker.rate_hz
        started_s = time.monotonic()
        tick = 0
        while not self._stop.wait(max(0.0, started_s + tick / _BLOCKS_PER_S - time.monotonic())):
            if tick > 0:  # what was heard in the last 10 ms
                self._microphone.push(recording.take(_MIC_BLOCK), started_s + (tick - 1) / _BLOCKS_PER_S)
                self._input_ended = recording.ended
            first, end = (n * rate_hz // _BLOCKS_PER_S for n in (tick, tick + 1))
            sound = np.empty(end - first, np.int16)
            self.speaker.pull(sound, started_s + first / rate_hz)
            if writer is not None:
                writer.append(sound)
            tick += 1


class _Recording:
    """Blocks of any size as blocks of the size asked for, silence after the end."""

    def __init__(self, blocks: Iterator[Pcm]) -> None:
        self._blocks = blocks
        self._rest: Pcm = np.zeros(0, np.int16)
        self.ended = False

    def take(self, n: int) -> Pcm:
        """The next `n` samples, drawing no more blocks than that needs."""
        pieces: list[Pcm] = []
        missing = n
        while missing:
            if not len(self._rest) and not self._draw():
                pieces.append(np.zeros(missing, np.int16))
                break
            pieces.append(self._rest[:missing])
            self._rest = self._rest[missing:]
            missing -= len(pieces[-1])
        return np.concatenate(pieces)

    def _draw(self) -> bool:
        block = next(self._blocks, None)
        if block is None:
            self.ended = True
            return False
        self._rest = block
        return True
