"""The microphone's recent past: audio by position, for as long as it is kept.

`voice.listener` appends every frame and takes from here what recognition gets: first the pre-roll, so that the first
word is never clipped, then what has come in since recognition last had time. Memory is bounded: what recognition has
not taken before it is overwritten is lost; `oldest_sample` tells.
"""

import numpy as np

from voice.messages import FRAME_SAMPLES, MicFrame, Pcm
from voice.ring import SampleRing


class UtteranceBuffer:
    """The last `capacity_samples` samples, at least one frame, allocated once. One thread both writes and reads."""

    def __init__(self, capacity_samples: int) -> None:
        if capacity_samples < FRAME_SAMPLES:
            raise ValueError(f"capacity_samples = {capacity_samples}: must be at least {FRAME_SAMPLES}")
        self._ring = SampleRing(capacity_samples)
        self._first_sample: int | None = None
        self._end_sample = 0

    @property
    def end_sample(self) -> int:
        """The position just past the newest sample; 0 before the first frame."""
        return self._end_sample

    @property
    def oldest_sample(self) -> int:
        """The position of the oldest sample that is still here; 0 before the first frame."""
        return max(self._first_sample or 0, self._end_sample - self._ring.capacity)

    def append(self, frame: MicFrame) -> None:
        """Keep a frame. What is missing between the last one and it becomes silence.

        Raises ValueError for a frame that begins before the last one ended.
        """
        start_sample = frame.end_sample - len(frame.samples)
        if self._first_sample is None:
            self._first_sample = self._end_sample = start_sample
        gap = start_sample - self._end_sample
        if gap < 0:
            raise ValueError(f"a frame from {start_sample} on follows one that ended at {self._end_sample}")
        if gap:
            self._ring.copy_in(self._end_sample, np.zeros(min(gap, self._ring.capacity), np.int16))
        self._ring.copy_in(start_sample, frame.samples)
        self._end_sample = frame.end_sample

    def read(self, start_sample: int, end_sample: int) -> Pcm:
        """A copy of the samples in `[start_sample, end_sample)`, shape (n,): those of them that are still here."""
        start_sample = max(start_sample, self.oldest_sample)
        samples = np.zeros(max(0, min(end_sample, self._end_sample) - start_sample), np.int16)
        self._ring.copy_out(start_sample, samples)
        return samples
