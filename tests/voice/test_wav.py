"""WAV files: what is read, what is refused and with which words, and that a file being written is never lost."""

import contextlib
import re
import resource
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.errors import AudioFileError
from voice.messages import Pcm
from voice.wav import WavWriter, read_wav

RAMP: Pcm = np.arange(-32768, 32768, 7, dtype=np.int16)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) % 2)


def fmt(codec: int = 1, channels: int = 1, rate_hz: int = 16_000, bits: int = 16, extra: bytes = b"") -> bytes:
    frame_bytes = channels * bits // 8
    return chunk(
        b"fmt ",
        struct.pack("<HHIIHH", codec, channels, rate_hz, rate_hz * frame_bytes % 2**32, frame_bytes, bits) + extra,
    )


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def in_file(folder: Path, data: bytes) -> Path:
    path = folder / "in.wav"
    path.write_bytes(data)
    return path


def wide_24_bits(values: Pcm) -> bytes:
    return (values.astype("<i4") << 8).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()


@pytest.mark.parametrize(
    ("header", "body", "tolerance"),
    [
        (fmt(bits=8), ((RAMP.astype(int) >> 8) + 128).astype(np.uint8).tobytes(), 255),
        (fmt(bits=16), RAMP.astype("<i2").tobytes(), 0),
        (fmt(bits=24), wide_24_bits(RAMP), 0),
        (fmt(bits=32), (RAMP.astype("<i4") << 16).tobytes(), 0),
        (fmt(codec=3, bits=32), (RAMP / 32768).astype("<f4").tobytes(), 0),
        (fmt(codec=3, bits=64), (RAMP / 32768).astype("<f8").tobytes(), 0),
        (fmt(codec=0xFFFE, extra=struct.pack("<HHIH14x", 22, 16, 4, 1)), RAMP.astype("<i2").tobytes(), 0),
        (
            fmt(codec=0xFFFE, bits=32, extra=struct.pack("<HHIH14x", 22, 32, 4, 3)),
            (RAMP / 2**15).astype("<f4").tobytes(),
            0,
        ),
    ],
    ids=["u8", "s16", "s24", "s32", "f32", "f64", "extensible-s16", "extensible-f32"],
)
def test_every_common_sample_format_is_read(tmp_path: Path, header: bytes, body: bytes, tolerance: int) -> None:
    samples = read_wav(in_file(tmp_path, riff(header, chunk(b"data", body))))

    assert samples.dtype == np.int16
    assert np.abs(samples.astype(int) - RAMP).max() <= tolerance


def test_channels_are_averaged(tmp_path: Path) -> None:
    frames = np.stack([RAMP, RAMP // 2, np.zeros_like(RAMP)], axis=1)

    samples = read_wav(in_file(tmp_path, riff(fmt(channels=3), chunk(b"data", frames.astype("<i2").tobytes()))))

    assert np.abs(samples - frames.mean(axis=1)).max() <= 0.51


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_other_rates_are_resampled_in_tune(tmp_path: Path, rate_hz: int) -> None:
    tone = (np.sin(2 * np.pi * 440 * np.arange(rate_hz) / rate_hz) * 16_000).astype("<i2")

    samples = read_wav(in_file(tmp_path, riff(fmt(rate_hz=rate_hz), chunk(b"data", tone.tobytes()))))

    assert len(samples) == 16_000
    assert np.argmax(np.abs(np.fft.rfft(samples))) == 440
    assert abs(np.abs(samples[4_000:12_000]).max() - 16_000) < 160


def test_values_no_converter_could_make_become_silence_or_full_scale(tmp_path: Path) -> None:
    odd = np.array([np.nan, np.inf, -np.inf, 2.0, -1e300, 0.5], "<f8")

    samples = read_wav(in_file(tmp_path, riff(fmt(codec=3, bits=64), chunk(b"data", odd.tobytes()))))

    assert samples.tolist() == [0, 0, 0, 32767, -32768, 16384]


def test_unknown_chunks_and_their_padding_are_passed_over(tmp_path: Path) -> None:
    data = riff(
        chunk(b"LIST", b"odd"), fmt(), chunk(b"fact", b"1234"), chunk(b"data", b"\x01\x00"), chunk(b"id3 ", b"??")
    )

    assert read_wav(in_file(tmp_path, data)).tolist() == [1]


@pytest.mark.parametrize(
    ("data_size", "riff_size"), [(0, 0), (0, 36), (0xFFFFFFFF, 0xFFFFFFFF), (0x7FFFF000, 0x7FFFF024)]
)
def test_sizes_a_streaming_writer_left_open_mean_to_the_end(tmp_path: Path, data_size: int, riff_size: int) -> None:
    data = riff(fmt(), chunk(b"data", RAMP.astype("<i2").tobytes() + b"\x01", size=data_size)[:-1], size=riff_size)

    assert np.array_equal(read_wav(in_file(tmp_path, data)), RAMP)


def test_a_recording_without_samples_is_empty_and_no_error(tmp_path: Path) -> None:
    data = riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"not sound"))

    assert len(read_wav(in_file(tmp_path, data))) == 0


def test_a_file_cut_short_says_how_much_is_missing(tmp_path: Path) -> None:
    path = in_file(tmp_path, riff(fmt(), chunk(b"data", bytes(24_000), size=32_000)))

    with pytest.raises(AudioFileError, match=re.escape("8000 of 32000 bytes of sound (0.25 s) are missing")):
        read_wav(path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"Hello, I am a letter.", "no sound file that is known here"),
        (b"ID3\x03rest of an mp3", "is MP3, not WAV: convert with: sox"),
        (b"\xff\xf3\x40\xc0 more of an mp3", "is MP3"),
        (b"fLaC....................", "is FLAC"),
        (b"\0\0\0\x20ftypM4A mp42isom", "is MPEG-4 audio"),
        (riff(fmt(channels=0), chunk(b"data", b"12")), "no channels"),
        (riff(fmt(rate_hz=0), chunk(b"data", b"12")), "rate of 0 Hz"),
        (riff(fmt(rate_hz=1), chunk(b"data", b"12")), "rate of 1 Hz"),
        (riff(fmt()), "no data chunk"),
        (riff(chunk(b"data", b"12")), "no format before its sound"),
        (riff(chunk(b"fmt ", b"12345678"), chunk(b"data", b"12")), "8 bytes, not 16"),
        (riff(fmt(codec=0x55), chunk(b"data", b"12")), "compressed with MP3"),
        (riff(fmt(codec=0x1234), chunk(b"data", b"12")), "compressed with codec 0x1234"),
        (riff(fmt(bits=40), chunk(b"data", b"12")), "no known layout"),
        (riff(fmt(codec=3, bits=16), chunk(b"data", b"12")), "float frames of 2 bytes"),
        (riff(fmt(bits=0), chunk(b"data", b"12")), "no known layout"),
    ],
)
def test_what_is_no_readable_wav_says_so_in_one_line(tmp_path: Path, data: bytes, reason: str) -> None:
    path = in_file(tmp_path, data)

    with pytest.raises(AudioFileError, match=re.escape(reason)) as caught:
        read_wav(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_errors_with_the_path(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match=r"gone\.wav does not exist"):
        read_wav(tmp_path / "gone.wav")
    with pytest.raises(AudioFileError, match="is not a file"):
        read_wav(tmp_path)


def test_a_header_that_claims_gigabytes_allocates_none(tmp_path: Path) -> None:
    path = in_file(tmp_path, riff(chunk(b"fmt ", fmt()[8:], size=0xFFFF_FFF0)))

    with pytest.raises(AudioFileError):
        read_wav(path)


@settings(deadline=None, max_examples=200)
@given(cut=st.integers(0, 120), noise=st.lists(st.tuples(st.integers(0, 119), st.integers(0, 255)), max_size=6))
def test_damage_anywhere_gives_samples_or_an_audio_file_error(
    tmp_path_factory: pytest.TempPathFactory, cut: int, noise: list[tuple[int, int]]
) -> None:
    data = bytearray(riff(fmt(codec=0xFFFE, extra=struct.pack("<HHIH14x", 22, 16, 4, 1)), chunk(b"data", bytes(52))))
    for at, value in noise:
        data[at % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.wav"
    path.write_bytes(data[:cut])

    with contextlib.suppress(AudioFileError):
        assert read_wav(path).dtype == np.int16


# Writing --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def files_limited_to(n_bytes: int) -> Iterator[None]:
    """A full disk, as far as a process can tell: the kernel refuses to let files grow past the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@settings(deadline=None, max_examples=20)
@given(blocks=st.lists(st.lists(st.integers(-32768, 32767), max_size=50), max_size=5))
def test_what_was_appended_is_read_back(tmp_path_factory: pytest.TempPathFactory, blocks: list[list[int]]) -> None:
    path = tmp_path_factory.getbasetemp() / "back.wav"
    with WavWriter(path, 22_050) as writer:
        for block in blocks:
            writer.append(np.array(block, np.int16))

    assert read_wav(path, rate_hz=22_050).tolist() == [sample for block in blocks for sample in block]


def test_an_unfinished_recording_stands_beside_the_old_one_and_replaces_it_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    path.write_bytes(b"old")
    with WavWriter(path, 16_000) as writer:
        writer.append(RAMP)
        assert path.read_bytes() == b"old"
        (unfinished,) = tmp_path.glob(".out.wav.*.part")
        assert np.array_equal(read_wav(unfinished), RAMP)

    assert np.array_equal(read_wav(path), RAMP)
    assert list(tmp_path.iterdir()) == [path]


def record(path: Path, blocks: Iterable[Pcm]) -> None:
    with WavWriter(path, 16_000) as writer:
        for block in blocks:
            writer.append(block)


def test_a_body_that_raised_leaves_a_valid_file(tmp_path: Path) -> None:
    def blocks() -> Iterator[Pcm]:
        yield RAMP
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record(tmp_path / "out.wav", blocks())

    assert np.array_equal(read_wav(tmp_path / "out.wav"), RAMP)


def test_a_full_disk_is_an_error_and_what_fitted_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "out.wav"
    with files_limited_to(44 + 2_001), pytest.raises(AudioFileError, match="has room"):
        record(path, [RAMP[:400]] * 10)

    assert np.array_equal(read_wav(path), np.concatenate([RAMP[:400], RAMP[:400], RAMP[:200]]))


def test_no_room_at_all_leaves_nothing_behind(tmp_path: Path) -> None:
    with (
        files_limited_to(20),
        pytest.raises(AudioFileError, match="cannot be written"),
        WavWriter(tmp_path / "o.wav", 16_000),
    ):
        pass

    assert not any(tmp_path.iterdir())


def test_a_target_that_cannot_be_a_file_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(AudioFileError, match="is not a file"), WavWriter(tmp_path, 16_000):
        pass
    with pytest.raises(AudioFileError, match="is not a file"), WavWriter("/dev/null", 16_000):
        pass
    with pytest.raises(AudioFileError, match="cannot be written"), WavWriter(tmp_path / "no" / "such.wav", 16_000):
        pass


def test_a_link_to_a_recording_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.wav", tmp_path / "link.wav"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with WavWriter(link, 16_000) as writer:
        writer.append(RAMP)

    assert link.is_symlink()
    assert np.array_equal(read_wav(real), RAMP)


def test_only_its_owner_may_hear_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "o.wav"
    with WavWriter(path, 16_000) as writer:
        writer.append(RAMP)
    assert path.stat().st_mode & 0o077 == 0
