import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.messages import FRAME_SAMPLES, MicFrame, Pcm
from voice.preroll import UtteranceBuffer


def frame_at(start_sample: int) -> MicFrame:
    return MicFrame(samples=numbered(start_sample, FRAME_SAMPLES), end_sample=start_sample + FRAME_SAMPLES)


def numbered(start_sample: int, n: int) -> Pcm:
    """Samples that say where they stand."""
    return (np.arange(start_sample, start_sample + n) % 30_000 + 1).astype(np.int16)


def test_audio_is_read_by_position() -> None:
    buffer = UtteranceBuffer(4 * FRAME_SAMPLES)
    for index in range(10, 13):
        buffer.append(frame_at(index * FRAME_SAMPLES))
    assert (buffer.oldest_sample, buffer.end_sample) == (10 * FRAME_SAMPLES, 13 * FRAME_SAMPLES)
    assert np.array_equal(buffer.read(5500, 6000), numbered(5500, 500))


def test_what_is_not_here_is_left_out() -> None:
    buffer = UtteranceBuffer(2 * FRAME_SAMPLES)
    assert buffer.read(0, 100).size == 0
    for index in range(5):
        buffer.append(frame_at(index * FRAME_SAMPLES))
    oldest = 3 * FRAME_SAMPLES
    assert buffer.oldest_sample == oldest
    assert np.array_equal(buffer.read(0, oldest + 10), numbered(oldest, 10))
    assert np.array_equal(buffer.read(oldest, 10**9), numbered(oldest, 2 * FRAME_SAMPLES))
    assert buffer.read(0, oldest).size == 0
    assert buffer.read(10**6, 10**9).size == 0


def test_missing_frames_are_silence() -> None:
    buffer = UtteranceBuffer(8 * FRAME_SAMPLES)
    buffer.append(frame_at(0))
    buffer.append(frame_at(3 * FRAME_SAMPLES))
    assert np.array_equal(buffer.read(0, FRAME_SAMPLES), numbered(0, FRAME_SAMPLES))
    assert not buffer.read(FRAME_SAMPLES, 3 * FRAME_SAMPLES).any()
    buffer.append(frame_at(1000 * FRAME_SAMPLES))
    assert not buffer.read(0, 1000 * FRAME_SAMPLES).any()


def test_a_frame_of_the_past_is_refused() -> None:
    buffer = UtteranceBuffer(2 * FRAME_SAMPLES)
    buffer.append(frame_at(FRAME_SAMPLES))
    with pytest.raises(ValueError, match="follows"):
        buffer.append(frame_at(FRAME_SAMPLES))


def test_a_buffer_holds_a_frame_at_least() -> None:
    with pytest.raises(ValueError, match="capacity_samples"):
        UtteranceBuffer(FRAME_SAMPLES - 1)


@settings(deadline=None, max_examples=60)
@given(
    capacity=st.integers(FRAME_SAMPLES, 5 * FRAME_SAMPLES),
    first=st.integers(0, 10**6),
    n_frames=st.integers(1, 30),
    span=st.tuples(st.integers(0, 20_000), st.integers(0, 20_000)),
)
def test_what_is_read_is_what_was_written_there(
    capacity: int, first: int, n_frames: int, span: tuple[int, int]
) -> None:
    buffer = UtteranceBuffer(capacity)
    for index in range(n_frames):
        buffer.append(frame_at(first + index * FRAME_SAMPLES))
    end = first + n_frames * FRAME_SAMPLES
    start, stop = first + span[0], first + span[1]
    here = range(max(start, first, end - capacity), min(stop, end))
    assert np.array_equal(buffer.read(start, stop), numbered(here.start, len(here)))
