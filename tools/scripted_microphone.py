"""A microphone that says what it is told, when it is told: the person in a benchmark.

An endless source of 16 kHz blocks for `voice.fileport.FilePort.from_samples`: silence, until `say` is called. The
port's pacing thread draws the blocks; the measurement calls `say` from the event loop.
"""

from collections import deque
from collections.abc import Iterator

import numpy as np

from voice.messages import MIC_RATE_HZ, Pcm

BLOCK_SAMPLES = MIC_RATE_HZ // 100


class ScriptedMicrophone:
    """Iterate it once, from one thread; `say` from another. Deque operations are atomic, so there is no lock."""

    def __init__(self) -> None:
        self._waiting: deque[Pcm] = deque()
        self.started_at: list[int] = []
        """For each utterance that has begun, in order, the microphone sample at which it did."""

    def say(self, samples: Pcm) -> None:
        """Speak `samples` after all that waits, from the next block on."""
        self._waiting.append(samples)

    def __iter__(self) -> Iterator[Pcm]:
        drawn = 0
        silence = np.zeros(BLOCK_SAMPLES, np.int16)
        while True:
            if not self._waiting:
                drawn += BLOCK_SAMPLES
                yield silence
                continue
            utterance = self._waiting.popleft()
            self.started_at.append(drawn)
            padded = np.pad(utterance, (0, -len(utterance) % BLOCK_SAMPLES))
            for block in padded.reshape(-1, BLOCK_SAMPLES):
                drawn += BLOCK_SAMPLES
                yield block
