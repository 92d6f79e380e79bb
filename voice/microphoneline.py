"""The way in, common to all ports: the device's thread pushes blocks, the event loop takes 16 kHz frames.

A port calls `push` from its device callback and `next_frame` from `AudioPort.read`. Why `read` polls, instead of being
woken with `call_soon_threadsafe`: that call takes a lock, allocates and writes to a pipe, none of which a realtime
callback may do, and nothing is lost by polling, because the clock says when the next frame will be complete
(`seconds_to_next`). Echo, voice activity and turns are left to those who read the frames.
"""

import math
import time
from collections.abc import Callable

import numpy as np

from voice.blockclock import BlockClock
from voice.messages import FRAME_SAMPLES, MIC_RATE_HZ, MicFrame, Pcm
from voice.resample import StreamResampler
from voice.ring import SampleRing

_RING_S = 8.0
"""How long the event loop may be away before sound is lost: longer than loading a model takes on a small board."""

_POLL_S = 0.001
"""A frame that is overdue is looked for this often: a tenth of a device's usual block of 10 ms."""

_ROUNDING = 1e-6
"""Of a block: sound that fills whole blocks exactly must not wait for one more."""


class MicrophoneLine:
    """A ring with a clock. Full: the newest sound is lost and counted in `overruns`; positions count what was kept."""

    def __init__(self, *, device_rate_hz: int = MIC_RATE_HZ, clock: Callable[[], float] = time.monotonic) -> None:
        self.blocks = 0
        """Blocks pushed since creation: a device that is alive makes this grow."""
        self._now_s = clock
        self._opened_s = clock()
        self._pushed_s = self._opened_s
        self._block_s = 0.01
        self._device_rate_hz = device_rate_hz
        self._ring = SampleRing(int(_RING_S * device_rate_hz))
        self._clock = BlockClock(device_rate_hz)
        self._resampler = StreamResampler(device_rate_hz, MIC_RATE_HZ)
        self._ready: Pcm = np.zeros(0, np.int16)
        self._end_sample = 0

    @property
    def overruns(self) -> int:
        """Samples of the device that were lost because the event loop was away for too long."""
        return self._ring.dropped

    def push(self, block: Pcm, adc_time_s: float) -> None:
        """Take a block whose first sample met the converter at `adc_time_s`. Device thread only: copies and counts."""
        first = self._ring.written
        n = self._ring.write_from(block)
        if n:
            self._clock.log(first, n, adc_time_s)
            self._block_s = len(block) / self._device_rate_hz
            self._pushed_s = self._now_s()
        self.blocks += 1

    def next_frame(self) -> MicFrame | None:
        """The next frame if it is complete. Event loop only."""
        if len(self._ready) < FRAME_SAMPLES and len(self._ring):
            fresh: Pcm = np.empty(min(len(self._ring), self._device_rate_hz // 10), np.int16)
            self._ring.read_into(fresh)
            self._ready = np.concatenate((self._ready, self._resampler.push(fresh)))
        if len(self._ready) < FRAME_SAMPLES:
            return None
        samples, self._ready = self._ready[:FRAME_SAMPLES], self._ready[FRAME_SAMPLES:]
        self._end_sample += FRAME_SAMPLES
        return MicFrame(samples=samples, end_sample=self._end_sample)

    def seconds_to_next(self) -> float:
        """How long to sleep before `next_frame` is worth asking again: until the block that will complete the frame
        is due. Never 0, so that others get their turn."""
        missing_s = (FRAME_SAMPLES - len(self._ready)) / MIC_RATE_HZ - len(self._ring) / self._device_rate_hz
        due_s = self._pushed_s + math.ceil(missing_s / self._block_s - _ROUNDING) * self._block_s
        return max(_POLL_S, due_s - self._now_s())

    def time_s(self, sample: int) -> float:
        """Monotonic time at which the 16 kHz `sample` met the converter; before the first block, as if it never
        lags."""
        time_s = self._clock.time_of(sample * self._device_rate_hz // MIC_RATE_HZ)
        return self._opened_s + sample / MIC_RATE_HZ if time_s is None else time_s
