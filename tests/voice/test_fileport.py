"""The port of files: real time, one timeline for both directions, and no error lost."""

import asyncio
import resource
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from voice.errors import AudioFileError
from voice.fileport import FilePort
from voice.messages import FRAME_SAMPLES, MIC_RATE_HZ, MicFrame, Pcm
from voice.player import Player
from voice.wav import WavWriter, read_wav

from .test_player import clause

RATE_HZ = 22_050


def write_wav(path: Path, samples: Pcm, rate_hz: int = MIC_RATE_HZ) -> Path:
    with WavWriter(path, rate_hz) as writer:
        writer.append(samples)
    return path


async def frames_of(port: FilePort, n: int) -> list[MicFrame]:
    frames = []
    for _ in range(n):
        frame = await port.read()
        assert frame is not None
        frames.append(frame)
    return frames


def heard_in(frames: list[MicFrame]) -> Pcm:
    return np.concatenate([frame.samples for frame in frames])


def counted(n: int) -> Pcm:
    return (np.arange(n) % 30_000 + 1).astype(np.int16)


def test_the_recording_is_heard_in_real_time_and_then_silence(tmp_path: Path) -> None:
    recording = counted(4_000)
    path = write_wav(tmp_path / "in.wav", recording)

    async def scenario() -> None:
        async with FilePort(path, None, RATE_HZ) as port:
            assert not port.input_ended
            frames = await frames_of(port, 10)
            now_s = time.monotonic()
            heard = heard_in(frames)
            assert heard.tolist() == [*recording.tolist(), *[0] * (5_120 - 4_000)]
            assert [frame.end_sample for frame in frames] == [FRAME_SAMPLES * n for n in range(1, 11)]
            assert port.input_ended
            # A frame cannot come before its last sample was heard; how much later depends on the machine.
            assert now_s >= port.mic_time_s(5_120)
            assert port.mic_time_s(3_200) - port.mic_time_s(0) == pytest.approx(0.2)
            assert port.overruns == 0
        assert await port.read() is None

    asyncio.run(scenario())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("file-port")]


def test_samples_and_endless_blocks_serve_as_a_microphone_too() -> None:
    drawn = 0

    def blocks() -> Iterator[Pcm]:
        nonlocal drawn
        while True:
            drawn += 70
            yield np.full(70, 5, np.int16)

    async def scenario() -> None:
        async with FilePort.from_samples(counted(700), speaker_rate_hz=RATE_HZ) as port:
            assert heard_in(await frames_of(port, 2))[:700].tolist() == counted(700).tolist()
        async with FilePort.from_samples(blocks(), speaker_rate_hz=RATE_HZ) as port:
            frames = await frames_of(port, 3)
            assert set(heard_in(frames).tolist()) == {5}
            assert not port.input_ended

    asyncio.run(scenario())
    assert drawn < MIC_RATE_HZ * 5  # drawn as it is heard, not ahead


def test_a_microphone_that_fails_is_reported_and_not_waited_for() -> None:
    def blocks() -> Iterator[Pcm]:
        yield np.zeros(160, np.int16)
        raise AudioFileError("the script has a hole")

    async def scenario() -> None:
        async with FilePort.from_samples(blocks(), speaker_rate_hz=RATE_HZ) as port:
            await frames_of(port, 1_000)

    with pytest.raises(AudioFileError, match="hole"):
        asyncio.run(scenario())


def test_both_files_share_one_timeline(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    said = counted(5_000)

    async def scenario() -> float:
        async with FilePort.from_samples(np.zeros(0, np.int16), output, speaker_rate_hz=RATE_HZ) as port:
            await frames_of(port, 2)
            port.speaker.write(said)
            while port.speaker.heard() < len(said):
                await frames_of(port, 1)
            heard_s = port.speaker.heard_at_s(0)
            assert heard_s is not None
            return heard_s - port.mic_time_s(0)

    started_s = asyncio.run(scenario())
    recorded = read_wav(output, rate_hz=RATE_HZ)
    at = round(started_s * RATE_HZ)
    assert not recorded[:at].any()
    assert np.array_equal(recorded[at : at + 5_000], said)


def test_from_flush_to_the_last_audible_sample_it_takes_15_ms_at_most(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"

    async def scenario() -> list[tuple[float, float]]:
        cuts = []
        async with FilePort.from_samples(np.zeros(0, np.int16), output, speaker_rate_hz=RATE_HZ) as port:
            await frames_of(port, 1)
            for _ in range(5):
                start = port.speaker.written()
                port.speaker.write(np.full(RATE_HZ, 10_000, np.int16))
                await frames_of(port, 3)
                stop = port.speaker.flush()
                flushed_s = time.monotonic()
                await frames_of(port, 2)
                assert port.speaker.heard() == stop > start
                silent_s = port.speaker.heard_at_s(stop - 1)
                assert silent_s is not None
                cuts.append((flushed_s - port.mic_time_s(0), silent_s - port.mic_time_s(0)))
        return cuts

    cuts = asyncio.run(scenario())
    audible = np.abs(read_wav(output, rate_hz=RATE_HZ)) > 0
    for flushed_s, silent_s in cuts:
        assert silent_s <= flushed_s + 0.015
        after = audible[round(silent_s * RATE_HZ) + 1 :][: RATE_HZ // 50]
        assert not after.any()


def test_a_reply_cut_short_is_known_to_the_word(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"
    spoken = clause("one ", "two ", "three ", "four ", "five")
    samples = np.full(RATE_HZ, 9_000, np.int16)

    async def scenario() -> tuple[int, int]:
        async with FilePort.from_samples(np.zeros(0, np.int16), output, speaker_rate_hz=RATE_HZ) as port:
            player = Player(port.speaker)
            player.begin()
            await player.add(spoken, samples, ())
            player.end_clause(spoken)
            while player.heard_end() < 8:
                await frames_of(port, 1)
            assert player.first_heard_s is not None
            stopped_at = player.stop()
            await frames_of(port, 2)
            return stopped_at, port.speaker.written()

    stopped_at, written = asyncio.run(scenario())
    heard = np.count_nonzero(read_wav(output, rate_hz=RATE_HZ))
    assert abs(heard - written) <= 1  # the last gain of the fade may round a sample to silence
    assert stopped_at in (8, 14)
    assert (14 if heard / RATE_HZ >= (8 + 0.75 * 6) / 23 else 8) == stopped_at


def test_file_errors_come_before_time_passes(tmp_path: Path) -> None:
    async def enter(input_path: Path, output_path: Path) -> None:
        async with FilePort(input_path, output_path, RATE_HZ):
            raise AssertionError

    good = write_wav(tmp_path / "in.wav", counted(100))
    with pytest.raises(AudioFileError, match="does not exist"):
        asyncio.run(enter(tmp_path / "gone.wav", tmp_path / "out.wav"))
    with pytest.raises(AudioFileError, match="cannot be written"):
        asyncio.run(enter(good, tmp_path / "no" / "out.wav"))
    assert list(tmp_path.iterdir()) == [good]


def wait_for_the_tenth_block(port: FilePort) -> None:
    deadline_s = time.monotonic() + 10
    while port.speaker.pulls < 10:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)


def test_a_disk_that_fills_up_is_raised_by_read_or_on_leaving_and_the_sound_is_kept(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"

    async def record(*, reading: bool) -> None:
        async with FilePort.from_samples(np.zeros(0, np.int16), output, speaker_rate_hz=RATE_HZ) as port:
            if reading:
                await frames_of(port, 10_000)
            await asyncio.to_thread(wait_for_the_tenth_block, port)  # which does not fit any more

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_044, hard))
    try:
        for reading in (True, False):
            with pytest.raises(AudioFileError, match="has room"):
                asyncio.run(record(reading=reading))
            assert len(read_wav(output, rate_hz=RATE_HZ)) == 2_000
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_cancelling_closes_the_file_and_the_thread(tmp_path: Path) -> None:
    output = tmp_path / "out.wav"

    async def scenario() -> None:
        async with asyncio.timeout(0.2):
            async with FilePort.from_samples(np.zeros(0, np.int16), output, speaker_rate_hz=RATE_HZ) as port:
                await frames_of(port, 10_000)

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())
    assert len(read_wav(output, rate_hz=RATE_HZ)) > RATE_HZ // 10
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("file-port")]


def test_lateness_never_adds_up() -> None:
    lateness_s: list[float] = []

    async def scenario() -> None:
        async with FilePort.from_samples(np.zeros(0, np.int16), speaker_rate_hz=RATE_HZ) as port:
            pull = port.speaker.pull

            def timed_pull(out: Pcm, dac_time_s: float) -> None:
                lateness_s.append(time.monotonic() - dac_time_s)
                if len(lateness_s) == 20:
                    time.sleep(0.1)  # the machine was busy elsewhere
                pull(out, dac_time_s)

            port.speaker.pull = timed_pull  # type: ignore[method-assign]
            await frames_of(port, 40)

    asyncio.run(scenario())
    assert min(lateness_s) >= 0
    assert max(lateness_s) > 0.05
    assert float(np.median(lateness_s[-40:])) < 0.2  # of a loaded machine; an idle one is 0.2 ms late
