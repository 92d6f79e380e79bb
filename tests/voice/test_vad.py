import numpy as np
import pytest

from tests.voice.saying import frames, room, say
from voice.messages import FRAME_SAMPLES, Pcm
from voice.vad import SileroVad


def probabilities(samples: Pcm) -> list[float]:
    vad = SileroVad()
    return [vad.probability(frame) for frame in frames(samples)]


def test_speech_is_told_from_the_silence_around_it() -> None:
    words = say("Where is my little dragon?")
    before, after = room(1.0), room(1.0, seed=2)
    judged = np.array(probabilities(np.concatenate((before, words, after))))
    first, last = len(before) // FRAME_SAMPLES, (len(before) + len(words)) // FRAME_SAMPLES
    assert (judged[first:last] > 0.5).mean() > 0.7
    assert (judged[: first - 1] > 0.5).sum() == 0
    assert (judged[last + 8 :] > 0.5).sum() == 0


@pytest.mark.parametrize("level", [0.0, 30.0, 1000.0])
def test_noise_is_not_speech(level: float) -> None:
    assert max(probabilities(room(2.0, level=level))) < 0.5


def test_reset_forgets_the_stream() -> None:
    vad = SileroVad()
    speech = frames(say("Hello there."))
    once = [vad.probability(frame) for frame in speech]
    continued = [vad.probability(frame) for frame in speech]
    vad.reset()
    assert [vad.probability(frame) for frame in speech] == once
    assert continued != once


def test_a_frame_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="512"):
        SileroVad().probability(np.zeros(256, np.int16))
