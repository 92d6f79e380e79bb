"""A synthesizer and a loudspeaker that do what a test scripts: how long each letter sounds, and when it is heard."""

import re
import threading
import time
from collections.abc import Generator

import numpy as np

from tests.voice.scripted_ears import PATIENCE_S
from voice.messages import NEUTRAL, Pcm, Prosody, SpeechChunk, WordMark

RATE_HZ = 8_000
LETTER_SAMPLES = 8


class ToneVoice:
    """Says each letter as LETTER_SAMPLES samples, in chunks of a word. Stops before the word `hold_at`, if there is
    one, until the test sets `going`; `holding` tells that it stands there."""

    name = "tone"
    sample_rate_hz = RATE_HZ

    def __init__(self, *, failure: Exception | None = None, hold_at: str = "") -> None:
        self._failure = failure
        self._hold_at = hold_at
        self.holding = threading.Event()
        self.going = threading.Event()
        self.said: list[str] = []
        self.manners: list[Prosody] = []
        self.closed_on: list[str] = []
        """Names of the threads on which a generator was closed before its end."""

    def synthesize(self, speech: str, prosody: Prosody = NEUTRAL) -> Generator[SpeechChunk, None, None]:
        self.said.append(speech)
        self.manners.append(prosody)
        try:
            for word in re.finditer(r"\S+\s*", speech):
                if word.group().strip() == self._hold_at:
                    self.holding.set()
                    assert self.going.wait(PATIENCE_S), "the test never let go"
                if self._failure is not None:
                    raise self._failure
                n_letters = len(speech[: word.end()].rstrip())
                mark = WordMark(chars=n_letters, sample=n_letters * LETTER_SAMPLES)
                yield SpeechChunk(samples=np.full(len(word.group()) * LETTER_SAMPLES, 1_000, np.int16), marks=(mark,))
        except GeneratorExit:
            self.closed_on.append(threading.current_thread().name)
            raise


class HandSpeaker:
    """A loudspeaker that plays when the test says so, or at once with `by_itself`."""

    rate_hz = RATE_HZ

    def __init__(self, *, by_itself: bool = False, capacity: int = 100_000) -> None:
        self.by_itself = by_itself
        self._capacity = capacity
        self.expecting = False
        self.n_written = 0
        self.n_played = 0

    def write(self, samples: Pcm) -> int:
        n = min(len(samples), self._capacity - (self.n_written - self.n_played))
        self.n_written += n
        return n

    def written(self) -> int:
        return self.n_written

    def heard(self) -> int:
        if self.by_itself:
            self.n_played = self.n_written
        return self.n_played

    def heard_at_s(self, sample: int) -> float | None:
        return time.monotonic() if sample < self.heard() else None

    def flush(self) -> int:
        self.n_written = self.heard()
        return self.n_written

    def play(self, n: int) -> None:
        """Let up to `n` more samples be heard."""
        self.n_played = min(self.n_written, self.n_played + n)
