"""The microphone's line: frames in order, on the clock, from a device of any rate."""

import numpy as np
import pytest

from voice.messages import FRAME_SAMPLES, MicFrame, Pcm
from voice.microphoneline import MicrophoneLine


def frames_of(line: MicrophoneLine) -> list[MicFrame]:
    frames = []
    while (frame := line.next_frame()) is not None:
        frames.append(frame)
    return frames


def push(line: MicrophoneLine, samples: Pcm, block: int, started_s: float, rate_hz: int = 16_000) -> None:
    for at in range(0, len(samples), block):
        line.push(samples[at : at + block], started_s + at / rate_hz)


def test_frames_of_512_samples_come_in_order_with_their_positions() -> None:
    line = MicrophoneLine()
    samples = np.arange(2_000, dtype=np.int16)
    push(line, samples, 160, 10.0)

    frames = frames_of(line)
    assert [frame.end_sample for frame in frames] == [512, 1024, 1536]
    assert np.array_equal(np.concatenate([frame.samples for frame in frames]), samples[:1536])


def test_time_follows_the_blocks_and_not_the_count() -> None:
    line = MicrophoneLine()
    line.push(np.zeros(160, np.int16), 10.0)
    line.push(np.zeros(160, np.int16), 10.5)  # the device lost half a second

    assert line.time_s(80) == pytest.approx(10.005)
    assert line.time_s(160) == pytest.approx(10.5)
    assert line.time_s(480) == pytest.approx(10.52)


def test_time_before_the_first_block_counts_from_opening() -> None:
    line = MicrophoneLine(clock=lambda: 10.0)

    assert line.time_s(16_000) == 11.0


def test_sound_nobody_reads_is_lost_at_the_new_end_and_counted() -> None:
    line = MicrophoneLine()
    samples = (np.arange(16_000 * 9) % 30_000).astype(np.int16)
    push(line, samples, 160, 10.0)

    heard = np.concatenate([frame.samples for frame in frames_of(line)])
    assert line.overruns == 16_000
    assert np.array_equal(heard, samples[: len(heard)])
    line.push(samples[:160], 19.0)
    assert line.time_s(16_000 * 8) == pytest.approx(19.0)


def test_waiting_lasts_until_the_block_that_completes_the_frame_and_is_never_nothing() -> None:
    now_s = 10.0
    line = MicrophoneLine(clock=lambda: now_s)
    line.push(np.zeros(160, np.int16), 9.99)  # three more blocks of 10 ms are needed for 352 samples
    assert line.seconds_to_next() == pytest.approx(0.030)
    now_s = 10.012
    assert line.seconds_to_next() == pytest.approx(0.018)
    line.push(np.zeros(320, np.int16), 9.992)  # blocks of 20 ms now: one more
    assert line.seconds_to_next() == pytest.approx(0.020)
    now_s = 10.05  # overdue
    assert 0 < line.seconds_to_next() <= 0.001


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_a_device_of_another_rate_is_heard_in_tune_and_in_time(rate_hz: int) -> None:
    line = MicrophoneLine(device_rate_hz=rate_hz)
    tone = (np.sin(2 * np.pi * 440 * np.arange(rate_hz * 2) / rate_hz) * 10_000).astype(np.int16)
    tone[:rate_hz] = 0  # begins after one second
    frames = []
    for at in range(0, len(tone), rate_hz // 100):
        line.push(tone[at : at + rate_hz // 100], 10.0 + at / rate_hz)
        frames += frames_of(line)
    heard = np.concatenate([frame.samples for frame in frames])

    assert len(heard) >= 32_000 - FRAME_SAMPLES - 16 * 15  # no more than 15 ms held back
    spectrum = np.abs(np.fft.rfft(heard[16_500:30_500]))
    assert abs(int(np.argmax(spectrum)) * 16_000 / 14_000 - 440) < 2
    begins = int(np.argmax(np.abs(heard) > 1_000))
    assert line.time_s(begins) == pytest.approx(11.0, abs=0.001)
