"""When each sample passed the converter: a log of the latest blocks that a sound device exchanged with us.

The device's thread logs every block with its time; the event loop asks which sample is passing now, or when one did.
A log rather than one reference point, because the blocks in flight may have gaps between them (the ring ran dry) and
because a device's own estimate of its delay jumps: by 20 ms within a second on PulseAudio, measured.

No lock: `_n_blocks` is assigned last, by the device's thread only, and a reader never looks at the oldest entry, the
one that may be in the middle of being overwritten.
"""

from array import array
from collections.abc import Iterator

_N_BLOCKS = 1024
"""10 s at 10 ms a block, 1.4 s at the 64 samples of a very small one: longer than any device delays sound, and than
turn-taking takes to ask when speech ended."""

_ROUNDING = 1e-3
"""Of a sample. A double holds seconds of uptime to about 1e-9 s; a sample that is due exactly now must count."""


class BlockClock:
    """Sample positions against monotonic seconds, for a device that runs at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        self._first = array("q", bytes(8 * _N_BLOCKS))
        self._count = array("q", bytes(8 * _N_BLOCKS))
        self._time_s = array("d", bytes(8 * _N_BLOCKS))
        self._n_blocks = 0

    def log(self, first: int, count: int, time_s: float) -> None:
        """Samples `[first, first + count)` pass the converter from `time_s` on. Positions rise; device thread only."""
        at = self._n_blocks % _N_BLOCKS
        self._first[at] = first
        self._count[at] = count
        self._time_s[at] = time_s
        self._n_blocks += 1

    def passed(self, now_s: float) -> int:
        """How many samples have passed at `now_s`. Never falls while `now_s` does not."""
        oldest = 0
        for at in self._newest_first():
            since_s = now_s - self._time_s[at]
            oldest = self._first[at]
            if since_s >= 0:
                return oldest + min(self._count[at], int(since_s * self._rate_hz + _ROUNDING))
        return oldest

    def time_of(self, sample: int) -> float | None:
        """When `sample` began to pass; beyond the log's ends, as its nearest block would have it. None: no block
        yet."""
        time_s = None
        for at in self._newest_first():
            time_s = self._time_s[at] + (sample - self._first[at]) / self._rate_hz
            if self._first[at] <= sample:
                break
        return time_s

    def _newest_first(self) -> Iterator[int]:
        n_blocks = self._n_blocks
        for block in range(n_blocks - 1, max(-1, n_blocks - _N_BLOCKS), -1):
            yield block % _N_BLOCKS
