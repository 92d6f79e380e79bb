"""A ring of samples between a realtime callback and the event loop: one thread writes, one reads, neither waits.

The ports keep the microphone's sound in one; `voice.speakerline` keeps the speaker's in the same storage under its own
counters, because it must also take sound back.

Why no lock is needed: `written` is assigned by the producer only and `taken` by the consumer only, each after its
samples were copied. The interpreter's global lock orders those assignments for the other thread, so whoever reads a
counter finds everything copied that it speaks of. Counters only grow (Python integers do not overflow), so full and
empty are never confused.
"""

import numpy as np

from voice.messages import Pcm


class SampleRing:
    """Room for `capacity` samples, allocated once. Full: the newest samples are refused and counted in `dropped`,
    because only the consumer may let go of the oldest."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.written = 0
        """Samples accepted since creation; the producer's."""
        self.taken = 0
        """Samples handed out since creation; the consumer's."""
        self.dropped = 0
        """Samples refused since creation; the producer's."""
        self._samples: Pcm = np.zeros(capacity, np.int16)

    def __len__(self) -> int:
        """Samples waiting."""
        return self.written - self.taken

    def write_from(self, view: Pcm) -> int:
        """Append what fits of `view`, shape (n,), any stride; return how many samples that were. Producer only."""
        written = self.written
        n = min(len(view), self.capacity - (written - self.taken))
        self.copy_in(written, view[:n])
        self.written = written + n
        self.dropped += len(view) - n
        return n

    def read_into(self, view: Pcm) -> int:
        """Fill the front of `view` with the oldest samples; return how many there were. Consumer only."""
        taken = self.taken
        n = min(len(view), self.written - taken)
        self.copy_out(taken, view[:n])
        self.taken = taken + n
        return n

    def copy_in(self, position: int, view: Pcm) -> None:
        """Store at most `capacity` samples from `position` on, whatever the counters say."""
        at = position % self.capacity
        head = min(len(view), self.capacity - at)
        self._samples[at : at + head] = view[:head]
        self._samples[: len(view) - head] = view[head:]

    def copy_out(self, position: int, view: Pcm) -> None:
        """Fill `view` with the samples from `position` on, whatever the counters say."""
        at = position % self.capacity
        head = min(len(view), self.capacity - at)
        view[:head] = self._samples[at : at + head]
        view[head:] = self._samples[: len(view) - head]
