"""Another sample rate for sound that keeps coming, at the least delay: for devices that lack the rate we need.

soxr in its variable-rate mode delays by a constant 10-15 ms and shifts by less than 0.5 ms; its usual mode works in
large blocks and holds back up to 42 ms (22.05, 44.1 and 48 kHz to and from 16 and 48 kHz, soxr 1.1.0, measured).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from voice.messages import Pcm


class StreamResampler:
    """One continuous stream of mono sound from `in_rate_hz` to `out_rate_hz`; no work when they are equal."""

    def __init__(self, in_rate_hz: int, out_rate_hz: int) -> None:
        self._rates_hz = (in_rate_hz, out_rate_hz)
        self.reset()

    def push(self, samples: Pcm, *, last: bool = False) -> Pcm:
        """What is ready after `samples`. `last` gives the rest that was held back, too, and starts a new stream."""
        if self._stream is None:
            return samples
        ready: NDArray[np.float32] = self._stream.resample_chunk(samples.astype(np.float32), last=last)
        if last:
            self.reset()
        return np.clip(np.rint(ready), -32768, 32767).astype(np.int16)

    def reset(self) -> None:
        """Forget what is held back and start a new stream."""
        self._stream: Any = None  # soxr publishes no types
        if self._rates_hz[0] != self._rates_hz[1]:
            import soxr  # here, because most devices have the rate we want

            self._stream = soxr.ResampleStream(*self._rates_hz, 1, dtype="float32", vr=True)
