"""The speaker's line: exact counts, silence where there is nothing, and a flush that takes back what was not played."""

import itertools
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.messages import Pcm
from voice.speakerline import SpeakerLine

RATE_HZ = 16_000
FADE = 80  # samples: 5 ms at 16 kHz
LATER_S = 1e9


@dataclass(slots=True)
class Device:
    """A device that pulls when told, and its clock."""

    rate_hz: int = RATE_HZ
    line: SpeakerLine = field(init=False)
    now_s: float = 100.0
    position: int = 0

    def __post_init__(self) -> None:
        self.line = SpeakerLine(RATE_HZ, device_rate_hz=self.rate_hz, clock=lambda: self.now_s)

    def pull(self, n: int, *, latency_s: float = 0.0) -> Pcm:
        out = np.full(n, 77, np.int16)
        self.line.pull(out, self.now_s + latency_s)
        return out


def ramp(n: int, start: int = 1) -> Pcm:
    """Samples that are all different from each other and from silence."""
    return np.arange(start, start + n, dtype=np.int16)


def loud(n: int) -> Pcm:
    return np.full(n, 10_000, np.int16)


def test_sound_is_played_in_order_and_silence_after_it() -> None:
    device = Device()
    assert device.line.write(ramp(250)) == 250

    assert device.pull(160).tolist() == ramp(160).tolist()
    assert device.pull(160).tolist() == [*ramp(90, 161), *[0] * 70]
    assert device.pull(160).tolist() == [0] * 160


def test_a_full_line_takes_only_what_fits() -> None:
    device = Device()
    assert device.line.write(ramp(30_000)) == 30_000
    assert device.line.write(ramp(5_000)) == 2_000
    assert device.line.write(ramp(5_000)) == 0
    device.pull(160)
    assert device.line.write(ramp(5_000)) == 160


def test_what_was_heard_is_exact_to_the_sample_and_starts_with_the_latency_of_the_device() -> None:
    device = Device()
    device.line.write(ramp(480))
    for _ in range(3):  # blocks are taken 30 ms ahead of their sound
        device.pull(160, latency_s=0.03)
        device.now_s += 0.01
    device.now_s = 100.0

    assert device.line.heard() == 0
    for n in (0, 1, 159, 160, 161, 480):
        device.now_s = 100.03 + n / RATE_HZ
        assert device.line.heard() == n
    assert device.line.heard_at_s(160) == pytest.approx(100.04)
    assert device.line.heard_at_s(480) is None


def test_silence_that_filled_a_gap_is_not_counted_as_heard() -> None:
    device = Device()
    device.line.write(ramp(100))
    device.pull(160)
    device.now_s += 0.01
    device.pull(160)
    device.now_s += 0.01
    device.line.write(ramp(100))
    device.pull(160)

    device.now_s = 100.015
    assert device.line.heard() == 100
    device.now_s = 100.02 + 10 / RATE_HZ
    assert device.line.heard() == 110


def test_running_dry_is_an_underrun_only_while_more_was_promised() -> None:
    device = Device()
    device.line.write(ramp(100))
    device.pull(160)
    assert device.line.underruns == 0

    device.line.expecting = True
    device.pull(160)
    assert device.line.underruns == 0  # nothing sounded: the utterance is about to begin
    device.line.write(ramp(200))
    for _ in range(4):
        device.pull(160)
    assert device.line.underruns == 1

    device.line.write(ramp(200))
    device.line.expecting = False
    for _ in range(4):
        device.pull(160)
    assert device.line.underruns == 1


def test_flush_fades_for_5_ms_and_silences_the_rest() -> None:
    device = Device()
    device.line.write(loud(8_000))
    device.pull(160)

    assert device.line.flush() == 160 + FADE
    out = np.concatenate([device.pull(48), device.pull(160)])  # the fade may span blocks
    assert out[0] == 10_000
    assert np.all(np.diff(out[: FADE + 1]) < 0)
    assert np.abs(np.diff(out.astype(int))).max() <= 10_000 // FADE + 1
    assert not out[FADE:].any()


def test_flush_of_less_than_a_fade_keeps_it_all_and_ends_it_softly() -> None:
    device = Device()
    device.line.write(loud(170))
    device.pull(160)

    assert device.line.flush() == 170
    out = device.pull(160)
    assert out[:10].tolist() == [10_000, 9_000, 8_000, 7_000, 6_000, 5_000, 4_000, 3_000, 2_000, 1_000]


def test_flush_of_silence_changes_nothing() -> None:
    device = Device()
    device.line.write(ramp(100))
    device.pull(160)

    assert device.line.flush() == 100
    assert device.line.flush() == 100


def test_the_next_utterance_after_a_flush_is_whole() -> None:
    device = Device()
    device.line.write(loud(8_000))
    device.pull(160)
    device.line.flush()
    device.line.write(ramp(300))

    out = np.concatenate([device.pull(160) for _ in range(3)])
    assert out[FADE : FADE + 300].tolist() == ramp(300).tolist()
    device.now_s = LATER_S
    assert device.line.heard() == device.line.written() == 160 + FADE + 300


def test_a_second_flush_during_the_fade_drops_all_that_followed() -> None:
    device = Device()
    device.line.write(loud(8_000))
    device.pull(160)
    stop = device.line.flush()
    device.pull(20)
    device.line.write(ramp(300))

    assert device.line.flush() == stop
    assert not device.pull(160)[FADE - 20 :].any()


def test_the_last_audible_sample_is_at_most_15_ms_after_flush() -> None:
    device = Device()
    device.line.write(loud(30_000))
    device.pull(160)  # a block that begins to sound now
    stop = device.line.flush()
    device.now_s += 0.01
    device.pull(160)

    assert (device.line.heard_at_s(stop - 1) or LATER_S) <= 100.0 + 0.015


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["write", "pull", "flush", "end"]), st.integers(0, 400)), min_size=1, max_size=60
)


@settings(deadline=None, max_examples=150)
@given(operations=OPERATIONS)
def test_whatever_happens_each_sample_is_played_once_or_taken_back(operations: list[tuple[str, int]]) -> None:
    line = SpeakerLine(RATE_HZ, ring_s=0.05, clock=lambda: LATER_S)
    values = itertools.count(1_000)
    kept: list[int] = []
    fading: set[int] = set()
    taken = 0
    for what, n in operations:
        if what == "write":
            samples = [next(values) for _ in range(n)]
            kept += samples[: line.write(np.array(samples, np.int16))]
        elif what == "pull":
            out = np.full(n, 7, np.int16)
            line.pull(out, 0.0)
            due = kept[taken : taken + n]
            for at, (played, written) in enumerate(zip(out.tolist(), due, strict=False), start=taken):
                assert played <= written if at in fading else played == written
            assert not out[len(due) :].any()
            taken += len(due)
        elif what == "flush":
            stop = line.flush()
            assert taken <= stop <= min(len(kept), taken + FADE)
            del kept[stop:]
            fading |= set(range(taken, stop))
        else:
            line.expecting = bool(n % 2)
        assert line.written() == len(kept)
        assert line.heard() == taken


RATES = st.sampled_from([(22_050, 48_000), (24_000, 16_000), (16_000, 48_000), (44_100, 48_000), (22_050, 16_000)])


@settings(deadline=None, max_examples=60)
@given(rates=RATES, operations=OPERATIONS)
def test_counts_agree_however_the_device_rate_differs(
    rates: tuple[int, int], operations: list[tuple[str, int]]
) -> None:
    line = SpeakerLine(rates[0], device_rate_hz=rates[1], ring_s=0.2, clock=lambda: LATER_S)
    line.expecting = True
    out = np.zeros(400, np.int16)
    for what, n in operations:
        if what == "write":
            line.write(loud(n))
            line.expecting = True
        elif what == "pull":
            line.pull(out[:n], 0.0)
        elif what == "flush":
            before, heard = line.written(), line.heard()
            assert heard <= line.flush() <= before
        assert line.heard() <= line.written()
    line.expecting = False
    for _ in range(50):
        line.pull(out, 0.0)

    assert line.heard() == line.written()
    assert line.write(loud(100)) == 100


@pytest.mark.parametrize(("rate_hz", "device_rate_hz"), [(22_050, 48_000), (24_000, 16_000)])
def test_a_device_of_another_rate_plays_in_tune_and_to_the_end(rate_hz: int, device_rate_hz: int) -> None:
    line = SpeakerLine(rate_hz, device_rate_hz=device_rate_hz, clock=lambda: LATER_S)
    tone = (np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz) * 10_000).astype(np.int16)
    for start in range(0, rate_hz, 1_000):
        assert line.write(tone[start : start + 1_000]) == len(tone[start : start + 1_000])
        line.expecting = True
    line.expecting = False
    out = np.zeros(device_rate_hz + 100, np.int16)
    line.pull(out, 0.0)

    assert np.argmax(np.abs(np.fft.rfft(out[:device_rate_hz]))) == 440
    assert out[device_rate_hz - 20 : device_rate_hz].any()
    assert not out[device_rate_hz:].any()
    assert line.heard() == rate_hz


def test_flushing_against_a_running_device_loses_and_doubles_nothing() -> None:
    line = SpeakerLine(RATE_HZ, clock=lambda: LATER_S)
    played: list[Pcm] = []
    done = threading.Event()

    def drain() -> None:
        while not done.is_set():
            out = np.empty(37, np.int16)
            line.pull(out, 0.0)
            if out.any():
                played.append(out)

    device = threading.Thread(target=drain)
    device.start()
    flushed: list[int] = []
    try:
        for value in range(20_000, 20_200):
            line.write(np.full(300, value, np.int16))  # its own value, so that it can be counted afterwards
            wait_until_heard(line)
            start = line.written()
            line.write(np.full(300, 10_000, np.int16))
            flushed.append(line.flush() - start)
        wait_until_heard(line)
    finally:
        done.set()
        device.join()

    sound = np.concatenate(played)
    assert all(np.count_nonzero(sound == value) == 300 for value in range(20_000, 20_200))
    assert sum(max(0, n - FADE) for n in flushed) <= np.count_nonzero(sound == 10_000) <= sum(flushed)


def wait_until_heard(line: SpeakerLine) -> None:
    deadline_s = time.monotonic() + 10
    while line.heard() < line.written():
        assert time.monotonic() < deadline_s
        time.sleep(0)
