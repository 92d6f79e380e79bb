"""Speech for tests of the ears: what espeak-ng says, as a microphone would hear it."""

import numpy as np
import pytest
import soxr

from voice.messages import FRAME_SAMPLES, MIC_RATE_HZ, Pcm


def say(text: str, voice: str = "en-us+f2") -> Pcm:
    """The words at 16 kHz, in a voice of espeak-ng of which PocketSphinx understands two words in three."""
    pytest.importorskip("espeakng_loader", reason="espeakng-loader (extra `starter`) is not installed")
    from voice.espeak import EspeakSynthesizer

    synthesizer = EspeakSynthesizer(voice, rate_wpm=150)
    spoken = np.concatenate([chunk.samples for chunk in synthesizer.synthesize(text)])
    resampled: Pcm = soxr.resample(spoken, synthesizer.sample_rate_hz, MIC_RATE_HZ)
    return resampled


def room(duration_s: float, *, level: float = 8.0, seed: int = 1) -> Pcm:
    """The noise of a quiet room."""
    return np.random.default_rng(seed).normal(0, level, round(duration_s * MIC_RATE_HZ)).astype(np.int16)


def frames(samples: Pcm) -> list[Pcm]:
    """The whole frames of a recording."""
    n_frames = len(samples) // FRAME_SAMPLES
    return list(samples[: n_frames * FRAME_SAMPLES].reshape(n_frames, FRAME_SAMPLES))
