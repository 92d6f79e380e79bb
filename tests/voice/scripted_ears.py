"""A microphone, a voice activity detector and a recogniser that do what a test of the listener scripts.

Frames are drawn as text, as in test_turns: `#` is voiced, `.` is silent. A drawing that waits for something to
happen is an asynchronous generator.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

import numpy as np

from voice.messages import FRAME_SAMPLES, MIC_RATE_HZ, MicFrame, Pcm, Transcript
from voice.seams import Speaker

PATIENCE_S = 10.0


class ScriptedPort:
    """A microphone that hears what is drawn, as fast as it is read. Sample n has the value n % 1000, times 10 where it
    is voiced, so that a test sees from the audio where it was taken from."""

    speaker: Speaker

    def __init__(self, script: str | AsyncIterator[str]) -> None:
        self._script = drawn(script) if isinstance(script, str) else script
        self._waiting = ""
        self.n_read = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def read(self) -> MicFrame | None:
        while not self._waiting:
            try:
                self._waiting = await anext(self._script)
            except StopAsyncIteration:
                return None
        await asyncio.sleep(0)
        voiced, self._waiting = self._waiting[0] == "#", self._waiting[1:]
        start_sample = self.n_read * FRAME_SAMPLES
        self.n_read += 1
        return MicFrame(samples=sound(start_sample, voiced=voiced), end_sample=start_sample + FRAME_SAMPLES)

    def mic_time_s(self, sample: int) -> float:
        return 100 + sample / MIC_RATE_HZ


def sound(start_sample: int, n_samples: int = FRAME_SAMPLES, *, voiced: bool) -> Pcm:
    return (np.arange(start_sample, start_sample + n_samples) % 1000 * (10 if voiced else 1)).astype(np.int16)


async def drawn(script: str) -> AsyncIterator[str]:
    yield script


class LoudnessVad:
    """Takes what is loud for speech."""

    def probability(self, samples: Pcm) -> float:
        return 0.9 if samples.max() > 1000 else 0.1

    def reset(self) -> None: ...


class ScriptedTranscriber:
    """Hears the number of frames it was fed. `open` holds back its results while it is clear."""

    name = "scripted"

    def __init__(self) -> None:
        self.utterances: list[list[Pcm]] = []
        self.n_results = 0
        self.n_results_begun = 0
        self.open = threading.Event()
        self.open.set()
        self.threads: set[str] = set()

    def begin(self) -> None:
        self.threads.add(threading.current_thread().name)
        self.utterances.append([])

    def feed(self, samples: Pcm) -> None:
        self.threads.add(threading.current_thread().name)
        self.utterances[-1].append(samples)

    def partial(self) -> str:
        return ""

    def result(self) -> Transcript:
        self.n_results_begun += 1
        assert self.open.wait(PATIENCE_S), "the test never let go"
        self.n_results += 1
        return Transcript(text=f"{self.n_frames_fed} frames", audio_s=self.fed(-1).size / MIC_RATE_HZ)

    def fed(self, utterance: int) -> Pcm:
        return np.concatenate([np.zeros(0, np.int16), *self.utterances[utterance]])

    @property
    def n_frames_fed(self) -> int:
        return self.fed(-1).size // FRAME_SAMPLES if self.utterances else 0


class ChattyTranscriber(ScriptedTranscriber):
    """Has running words: whole tenths of a second."""

    def partial(self) -> str:
        return f"{self.fed(-1).size * 10 // MIC_RATE_HZ} tenths"


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - what is waited for happens in threads and in code under test
            await asyncio.sleep(0.001)
