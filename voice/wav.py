"""WAV files: reading any of the common kinds as 16-bit mono, and writing one while it is being recorded.

`read_wav` serves the file port, the benchmark and the tools; `WavWriter` keeps what the file port's speaker played.
The standard library's `wave` knows neither float nor WAVE_FORMAT_EXTENSIBLE and believes every size in a header, so the
RIFF structure is read here. A header is a claim, never a reason to allocate: memory follows the bytes that are there.

Compressed formats are left to `sox` and `ffmpeg`; the error says which format it is and how to convert it.
"""

import errno
import os
import secrets
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from voice.errors import AudioFileError
from voice.messages import MIC_RATE_HZ, Pcm

_PCM, _FLOAT, _EXTENSIBLE = 0x0001, 0x0003, 0xFFFE
_CODECS = {
    0x0002: "Microsoft ADPCM",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0055: "MP3",
    0x0161: "Windows Media Audio",
}
_OTHER_FILES = (
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"ID3", "MP3"),
    (b"RIFX", "big-endian WAV"),
    (b"RF64", "64-bit WAV (RF64)"),
    (b"FORM", "AIFF"),
    (b"caff", "Core Audio"),
    (b"\x1aE\xdf\xa3", "Matroska/WebM"),
)
_RATES_HZ = range(1_000, 768_001)
"""From below any telephone to the highest rate a converter has; beyond it a header is damaged, and resampling from a
claimed 1 Hz would turn megabytes into terabytes."""

_STREAMED = 0x7FFF_F000
"""From here on a data size is a placeholder of a writer that could not seek back: sox and espeak-ng leave 0x7FFFF000,
arecord 0x80000000, ffmpeg 0xFFFFFFFF."""

_BLOCK_BYTES = 1 << 20
_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
_UNKNOWN_SIZE = 0xFFFF_FFFF
_HOW_TO_CONVERT = "convert with: sox IN -r 16000 -c 1 -b 16 OUT.wav"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Format:
    """What the `fmt ` chunk says, checked: `sample_bytes` is the container, whose top bits hold the value."""

    is_float: bool
    channels: int
    rate_hz: int
    sample_bytes: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.sample_bytes


def read_wav(path: Path | str, *, rate_hz: int = MIC_RATE_HZ) -> Pcm:
    """The whole file as mono at `rate_hz`, shape (n,); empty if the file holds no samples.

    Reads PCM of 8, 16, 24 and 32 bits and float of 32 and 64 bits; channels are averaged, other rates resampled (soxr
    HQ), NaN and infinity become silence, louder than full scale is clipped. Sizes that a streaming writer left open
    (0, 0xFFFFFFFF and their like) mean "to the end of the file". Anything else that does not add up, also a file cut
    short within its sound, raises AudioFileError.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise AudioFileError(f"{path} is not a file: give the path of a WAV file")
        with path.open("rb") as file:
            layout, n_bytes = _find_sound(file, path)
            mono = _read_mono(file, layout, n_bytes)
    except FileNotFoundError as error:
        raise AudioFileError(f"{path} does not exist: check the path") from error
    except OSError as error:
        raise AudioFileError(f"{path} cannot be read ({error.strerror}): check its permissions and its disk") from error
    if layout.rate_hz != rate_hz and len(mono):
        import soxr  # here, because reading needs it rarely

        mono = soxr.resample(mono, layout.rate_hz, rate_hz)
    return _to_pcm(mono)


def _to_pcm(mono: NDArray[np.float32]) -> Pcm:
    return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)


def _find_sound(file: BinaryIO, path: Path) -> tuple[_Format, int]:
    """Walk the chunks up to the sound; leave `file` at its first byte and return its format and length in bytes."""
    file_bytes = os.fstat(file.fileno()).st_size
    head = file.read(12)
    if not head:
        raise AudioFileError(f"{path} is empty: record it again")
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise AudioFileError(f"{path} is {_kind_of(head)}, not WAV: {_HOW_TO_CONVERT}")
    riff_end = 8 + int.from_bytes(head[4:8], "little")
    layout: _Format | None = None
    while len(chunk := file.read(8)) == 8:
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        start = file.tell()
        if name == b"data":
            if layout is None:
                raise AudioFileError(f"{path} has no format before its sound (damaged header): {_HOW_TO_CONVERT}")
            complete = abs(file_bytes - riff_end) <= 1  # a pad byte may or may not be counted
            return layout, _sound_bytes(path, layout, claimed=size, present=file_bytes - start, complete=complete)
        if name == b"fmt ":
            layout = _parse_format(file.read(min(size, 40)), path)
        file.seek(start + size + size % 2)
    raise AudioFileError(f"{path} holds no sound (no data chunk, cut short?): record or convert it again")


def _kind_of(head: bytes) -> str:
    for magic, name in _OTHER_FILES:
        if head.startswith(magic):
            return name
    if head[4:8] == b"ftyp":
        return "MPEG-4 audio"
    if head[0] == 0xFF and head[1:2] >= b"\xe0":  # eleven set bits begin an MPEG audio frame
        return "MP3"
    return "no sound file that is known here"


def _parse_format(body: bytes, path: Path) -> _Format:
    if len(body) < 16:
        raise AudioFileError(f"{path} has a format of {len(body)} bytes, not 16 (cut short): record it again")
    codec, channels, rate_hz, _, frame_bytes, _ = struct.unpack_from("<HHIIHH", body)
    if codec == _EXTENSIBLE and len(body) >= 26:
        codec = int.from_bytes(body[24:26], "little")  # the first two bytes of the sub-format's GUID
    if channels == 0:
        raise AudioFileError(f"{path} claims to have no channels (damaged header): {_HOW_TO_CONVERT}")
    if rate_hz not in _RATES_HZ:
        raise AudioFileError(f"{path} claims a rate of {rate_hz} Hz (damaged header): {_HOW_TO_CONVERT}")
    sample_bytes, uneven = divmod(frame_bytes, channels)
    if codec not in (_PCM, _FLOAT):
        name = _CODECS.get(codec, f"codec 0x{codec:04X}")
        raise AudioFileError(f"{path} is compressed with {name}, which is not read here: {_HOW_TO_CONVERT}")
    if uneven or sample_bytes not in ((4, 8) if codec == _FLOAT else (1, 2, 3, 4)):
        kind = "float" if codec == _FLOAT else "PCM"
        raise AudioFileError(
            f"{path} claims {kind} frames of {frame_bytes} bytes for {channels} channels, which is no known layout: "
            f"{_HOW_TO_CONVERT}"
        )
    return _Format(is_float=codec == _FLOAT, channels=channels, rate_hz=rate_hz, sample_bytes=sample_bytes)


def _sound_bytes(path: Path, layout: _Format, *, claimed: int, present: int, complete: bool) -> int:
    """How much of what is there is sound. `complete`: the file ends where its RIFF header says it does."""
    open_ended = claimed >= _STREAMED or (claimed == 0 and not complete)
    if claimed > present and not open_ended:
        missing_s = (claimed - present) / layout.frame_bytes / layout.rate_hz
        raise AudioFileError(
            f"{path} is cut short: {claimed - present} of {claimed} bytes of sound ({missing_s:.2f} s) are missing; "
            f"copy or record it again, or keep what is left with: sox --ignore-length IN.wav OUT.wav"
        )
    n_bytes = present if open_ended else claimed
    return min(n_bytes, present) // layout.frame_bytes * layout.frame_bytes


def _read_mono(file: BinaryIO, layout: _Format, n_bytes: int) -> NDArray[np.float32]:
    """The mean of the channels in [-1, 1], read in blocks so that the peak of memory is the result, not the raw
    file."""
    block_bytes = max(1, _BLOCK_BYTES // layout.frame_bytes) * layout.frame_bytes
    blocks = [np.zeros(0, np.float32)]
    while n_bytes > 0:
        wanted = min(block_bytes, n_bytes)
        raw = file.read(wanted)
        if len(raw) < wanted:
            raise OSError(errno.EIO, "it became shorter while it was read")
        n_bytes -= wanted
        blocks.append(_decode(raw, layout).reshape(-1, layout.channels).mean(axis=1, dtype=np.float32))
    return np.concatenate(blocks)


def _decode(raw: bytes, layout: _Format) -> NDArray[np.float32]:
    """Samples as they stand in the file, channels interleaved, scaled to [-1, 1]."""
    if layout.is_float:
        values = np.frombuffer(raw, f"<f{layout.sample_bytes}")
        finite = np.where(np.isfinite(values), values, 0)
        return np.clip(finite, -1, 1).astype(np.float32)
    if layout.sample_bytes == 1:
        return (np.frombuffer(raw, np.uint8).astype(np.float32) - np.float32(128)) / np.float32(128)
    if layout.sample_bytes == 2:
        return np.frombuffer(raw, "<i2").astype(np.float32) / np.float32(2**15)
    if layout.sample_bytes == 3:  # widened to four bytes with the lowest zero
        wide = np.zeros((len(raw) // 3, 4), np.uint8)
        wide[:, 1:] = np.frombuffer(raw, np.uint8).reshape(-1, 3)
        raw = wide.tobytes()
    return np.frombuffer(raw, "<i4").astype(np.float32) / np.float32(2**31)


class WavWriter:
    """Writes 16-bit mono WAV. A context manager: the file gets its name, with a valid header, when it is left.

    Until then the sound stands under a temporary name beside the target, so that a reader never meets half a file and
    an older recording survives a failed one. Leaving keeps what was written even if the body raised or the disk filled
    up. Not for several threads at once.
    """

    def __init__(self, path: Path | str, rate_hz: int) -> None:
        self.path = Path(path)
        self._rate_hz = rate_hz

    def __enter__(self) -> Self:
        target = self.path.resolve()  # a link stays a link, what it points to is replaced
        if target.exists() and not target.is_file():
            raise AudioFileError(f"{self.path} is not a file: give a path that ends in .wav")
        self._target = target
        self._temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            # Unbuffered: what was appended is in the file, and a full disk is noticed where it happens.
            self._file = open(self._temporary, "xb", buffering=0, opener=_private)
        except OSError as error:
            raise self._failure("cannot be written", error) from error
        try:
            self._write_all(self._header(_UNKNOWN_SIZE))  # so that even after a power cut the sound can be read
        except OSError as error:
            self._discard()
            raise self._failure("cannot be written", error) from error
        return self

    def append(self, samples: Pcm) -> None:
        """Write more sound; AudioFileError if the disk takes no more."""
        try:
            self._write_all(samples.astype("<i2", copy=False).tobytes())
        except OSError as error:
            raise self._failure("cannot be written on", error) from error

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._file:
                # After a failed write the file may end within a sample; the header must count what is there.
                n_bytes = max(0, self._file.seek(0, os.SEEK_END) - _HEADER.size) // 2 * 2
                self._file.truncate(_HEADER.size + n_bytes)
                self._file.seek(0)
                self._write_all(self._header(n_bytes))
            self._temporary.replace(self._target)
        except OSError as failure:
            self._discard()
            raise self._failure("cannot be finished", failure) from failure

    def _discard(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _write_all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def _header(self, n_bytes: int) -> bytes:
        """Sizes beyond 4 GiB (a day of speech) cannot be said; readers take the placeholder as "to the end"."""
        size, riff_size = (min(n, _UNKNOWN_SIZE) for n in (n_bytes, n_bytes + _HEADER.size - 8))
        rate = self._rate_hz
        return _HEADER.pack(b"RIFF", riff_size, b"WAVE", b"fmt ", 16, _PCM, 1, rate, rate * 2, 2, 16, b"data", size)

    def _failure(self, what: str, error: OSError) -> AudioFileError:
        return AudioFileError(
            f"{self.path} {what} ({error.strerror}): check that its folder exists, is writable and has room"
        )


def _private(path: str, flags: int) -> int:
    """An opener for recordings of people: the file is its owner's alone."""
    return os.open(path, flags, 0o600)
