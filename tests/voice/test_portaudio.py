"""The port of real devices: choosing them, living with what they offer, and real sound through real PortAudio."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from tests.assets import ASSETS, WITHOUT_ASSETS
from voice.errors import AudioDeviceError
from voice.messages import MIC_RATE_HZ, Pcm
from voice.portaudio import AudioDevice, PortAudioPort, list_devices
from voice.soundcards import choose_device, quiet_stderr
from voice.streams import Capture, Playback
from voice.wav import read_wav

from .port_program import TONE_HZ
from .soundserver import RECORD_RATE_HZ, SoundServer, needs_sound_server, sound_server

REPOSITORY = Path(__file__).parents[2]
SPEECH = ASSETS / "speech" / "goforward.wav"


def device(name: str, *, inputs: int = 0, outputs: int = 0, default: bool = False, index: int = 0) -> AudioDevice:
    return AudioDevice(
        name=name,
        inputs=inputs,
        outputs=outputs,
        default_input=default and inputs > 0,
        default_output=default and outputs > 0,
        rate_hz=48_000,
        index=index,
    )


# Choosing -------------------------------------------------------------------------------------------------------------

USB_MIC = device("USB PnP Sound Device: Audio (hw:1,0)", inputs=1, index=1)
USB_SPEAKER = device("USB2.0 Speaker: Audio (hw:2,0)", outputs=2, index=2)
HEADSET = device("Headset: USB Audio (hw:3,0)", inputs=1, outputs=2, index=3)
BUILT_IN = device("default", inputs=2, outputs=2, default=True, index=4)
ALL = (USB_MIC, USB_SPEAKER, HEADSET, BUILT_IN)


def test_no_name_means_the_default_of_the_system() -> None:
    assert choose_device(ALL, "microphone", None) is BUILT_IN
    assert choose_device(ALL, "speaker", "") is BUILT_IN


def test_a_part_of_the_name_is_enough_where_only_one_device_can_be_meant() -> None:
    assert choose_device(ALL, "microphone", "pnp sound") is USB_MIC
    assert choose_device(ALL, "speaker", "usb2.0") is USB_SPEAKER
    assert choose_device(ALL, "microphone", "headset") is HEADSET


def test_the_exact_name_wins_over_a_longer_one() -> None:
    longer = device("default (front)", inputs=2)

    assert choose_device((longer, BUILT_IN), "microphone", "Default") is BUILT_IN


def test_what_cannot_be_chosen_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(
        AudioDeviceError, match=r'no microphone "webcam": name one of "USB PnP .*, "Headset.*, "default"$'
    ):
        choose_device(ALL, "microphone", "webcam")
    with pytest.raises(
        AudioDeviceError, match=r'"usb" fits more than one microphone: say which of "USB PnP.*, "Headset'
    ):
        choose_device(ALL, "microphone", "usb")
    with pytest.raises(AudioDeviceError, match="no default speaker: name one of"):
        choose_device((USB_SPEAKER,), "speaker", None)
    with pytest.raises(AudioDeviceError, match="this machine has no microphone"):
        choose_device((USB_SPEAKER,), "microphone", None)


def test_without_the_library_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sounddevice.py").write_text('raise OSError("PortAudio library not found")')
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(AudioDeviceError, match="sudo apt install libportaudio2"):
        list_devices()


def test_a_machine_without_sound_lists_nothing_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = SimpleNamespace(query_devices=lambda: (), default=SimpleNamespace(device=(-1, -1)))
    monkeypatch.setitem(sys.modules, "sounddevice", nothing)

    async def enter() -> None:
        async with PortAudioPort(None, None, 22_050):
            raise AssertionError

    assert list_devices() == ()
    with pytest.raises(AudioDeviceError, match="this machine has no microphone: plug one in"):
        asyncio.run(enter())


def test_stderr_is_quiet_only_inside_and_restored_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    def complain() -> None:
        subprocess.run(["sh", "-c", "echo noise >&2"], check=True)

    with contextlib.suppress(ZeroDivisionError), quiet_stderr():
        complain()
        raise ZeroDivisionError
    subprocess.run(["sh", "-c", "echo heard >&2"], check=True)

    assert capfd.readouterr().err == "heard\n"


# Streams --------------------------------------------------------------------------------------------------------------


class PortAudioError(Exception):
    """What `sounddevice` raises."""


@dataclass(slots=True, kw_only=True)
class FakeStream:
    """A stream whose device is moved by the test."""

    samplerate: int
    channels: int
    callback: Callable[..., None]
    latency: float = 0.02
    state: str = "new"
    frames: int = field(init=False)

    def __post_init__(self) -> None:
        self.frames = self.samplerate // 100

    def start(self) -> None:
        self.state = "started"

    def abort(self, *, ignore_errors: bool) -> None:
        self.state = "aborted"

    def close(self, *, ignore_errors: bool) -> None:
        self.state = "closed"

    def call(self, sound: Pcm, **status: bool) -> None:
        flags = SimpleNamespace(**({"input_overflow": False, "output_underflow": False} | status))
        times = SimpleNamespace(currentTime=7.0, inputBufferAdcTime=6.99, outputBufferDacTime=7.03)
        self.callback(sound, len(sound), times, flags)


class FakeSoundDevice:
    """PortAudio with cards that take only some rates and channel counts."""

    PortAudioError: ClassVar[type[Exception]] = PortAudioError

    def __init__(self, *accepted: tuple[int, int]) -> None:
        self.accepted = accepted
        self.streams: list[FakeStream] = []

    def InputStream(self, *, samplerate: int, channels: int, callback: Any, **_: Any) -> FakeStream:  # noqa: N802
        if (samplerate, channels) not in self.accepted:
            raise PortAudioError("Invalid sample rate [PaErrorCode -9997]")
        self.streams.append(FakeStream(samplerate=samplerate, channels=channels, callback=callback))
        return self.streams[-1]

    OutputStream = InputStream


@pytest.mark.parametrize("wired_to", [0, 1])
def test_a_microphone_with_pairs_at_48_khz_only_is_heard_at_16_khz_on_either_channel(wired_to: int) -> None:
    library = FakeSoundDevice((48_000, 2))
    capture = Capture(library, device("Line", inputs=2))
    (stream,) = library.streams
    tone = (np.sin(2 * np.pi * 440 * np.arange(48_000) / 48_000) * 10_000).astype(np.int16)
    heard = []
    for block in tone.reshape(-1, 480):
        pairs = np.full((480, 2), -5, np.int16)
        pairs[:, wired_to] = block
        stream.call(pairs)
        while (frame := capture.line.next_frame()) is not None:
            heard.append(frame.samples)

    spectrum = np.abs(np.fft.rfft(np.concatenate(heard)[1_000:15_000]))
    assert abs(int(np.argmax(spectrum)) * MIC_RATE_HZ / 14_000 - 440) < 2
    assert np.abs(np.concatenate(heard)).max() == pytest.approx(5_000, rel=0.02)
    assert capture.blocks == 100
    capture.close()
    assert stream.state == "closed"


def test_the_rate_we_want_is_preferred_and_lost_blocks_are_counted() -> None:
    library = FakeSoundDevice((16_000, 1), (48_000, 1))
    capture = Capture(library, device("Mic", inputs=1))
    library.streams[0].call(np.zeros((160, 1), np.int16), input_overflow=True)

    assert library.streams[0].samplerate == 16_000
    assert capture.overflows == 1


def test_the_mean_of_two_loud_channels_does_not_overflow() -> None:
    library = FakeSoundDevice((16_000, 2))
    capture = Capture(library, device("Mic", inputs=2))
    for level in (32_767, -32_768):
        for _ in range(8):
            library.streams[0].call(np.full((160, 2), level, np.int16))
    heard = [frame.samples for frame in iter(capture.line.next_frame, None)]
    assert heard[0].min() == 32_766
    assert heard[-1].max() == -32_768


def test_rates_of_usual_cards_are_tried_when_the_reported_one_is_refused() -> None:
    library = FakeSoundDevice((44_100, 1))
    Capture(library, device("Mic", inputs=1))
    assert library.streams[0].samplerate == 44_100


def test_a_speaker_with_pairs_plays_on_both_channels_and_its_own_rate() -> None:
    library = FakeSoundDevice((48_000, 2))
    playback = Playback(library, device("HDMI", outputs=8), 24_000)
    playback.line.write(np.full(2_400, 9_000, np.int16))
    out = np.zeros((480, 2), np.int16)
    for _ in range(3):
        library.streams[0].call(out)

    assert abs(int(out[200, 0]) - 9_000) < 100
    assert np.array_equal(out[:, 0], out[:, 1])


def test_no_sound_is_given_to_a_device_that_only_hurries_through_underflows() -> None:
    library = FakeSoundDevice((16_000, 1))
    playback = Playback(library, device("Pulse", outputs=1), 16_000)
    playback.line.write(np.full(1_600, 9_000, np.int16))
    out = np.ones((160, 1), np.int16)
    library.streams[0].call(out)
    assert (out == 9_000).all()
    for _ in range(50):  # all within one block's time
        library.streams[0].call(out, output_underflow=True)
        assert not out.any()
    library.streams[0].call(out)

    assert (out == 9_000).all()
    assert playback.underflows == 50
    assert playback.steady_blocks == 1


def test_a_device_that_refuses_everything_is_named_with_its_reason() -> None:
    with pytest.raises(AudioDeviceError, match=r'speaker "HDMI" does not open \(Invalid sample rate.*no other program'):
        Playback(FakeSoundDevice(), device("HDMI", outputs=2), 16_000)


# Real sound -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    with sound_server() as server:
        yield server


@contextlib.contextmanager
def program(server: SoundServer, seconds: float, mic: Path, **env: str) -> Iterator["subprocess.Popen[str]"]:
    """The port program, its port open."""
    command = [sys.executable, "-m", "tests.voice.port_program", str(seconds), str(mic)]
    with subprocess.Popen(command, cwd=REPOSITORY, env=server.env | env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline()) == {"open": True}
            yield process
        finally:
            process.kill()


def result_of(process: "subprocess.Popen[str]") -> dict[str, Any]:
    assert process.stdout is not None
    answer: dict[str, Any] = json.loads(process.stdout.readline())
    assert process.wait(timeout=20) == 0
    return answer


@needs_sound_server
def test_a_tone_reaches_the_speaker_in_tune(server: SoundServer, tmp_path: Path) -> None:
    with server.recording() as recording, program(server, 2.5, tmp_path / "mic.wav") as process:
        answer = result_of(process)
        sound = recording.stop()

    loud = np.flatnonzero(np.abs(sound) > 500)
    tone = sound[loud[0] : loud[-1]].astype(float)
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone)), 4 * RECORD_RATE_HZ))
    assert abs(np.argmax(spectrum) / 4 - TONE_HZ) < 2
    assert len(tone) / RECORD_RATE_HZ == pytest.approx(1.0, abs=0.2)
    assert answer["not_heard"] == 0
    assert answer["overruns"] == 0


@needs_sound_server
@pytest.mark.skipif(not SPEECH.exists(), reason=f"no recording of a person: {WITHOUT_ASSETS}")
def test_a_person_who_speaks_is_heard(server: SoundServer, tmp_path: Path) -> None:
    spoken = read_wav(SPEECH).astype(float)
    with program(server, 1.5 + len(spoken) / MIC_RATE_HZ, tmp_path / "mic.wav") as process:
        server.speak(SPEECH)
        result_of(process)

    heard = read_wav(tmp_path / "mic.wav").astype(float)
    assert best_correlation(heard, spoken) > 0.9


def best_correlation(heard: Pcm, spoken: Pcm) -> float:
    """Of `spoken` with the stretch of `heard` that is most like it."""
    size = len(heard) + len(spoken)
    products = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(spoken, size)), size)[: len(heard)]
    at = int(np.argmax(products))
    stretch = heard[at : at + len(spoken)]
    spoken = spoken[: len(stretch)]
    return float(stretch @ spoken / np.sqrt((stretch @ stretch) * (spoken @ spoken)))


@needs_sound_server
def test_both_directions_agree_on_the_time_of_a_sound(server: SoundServer, tmp_path: Path) -> None:
    """The speaker's own sound is heard: mouth to ear is measured, and both clocks tell the same moment."""
    with program(server, 2.5, tmp_path / "mic.wav", PULSE_SOURCE="speaker.monitor") as process:
        answer = result_of(process)
    heard = read_wav(tmp_path / "mic.wav")
    onset = int(np.argmax(np.abs(heard) > 1_500))
    onset_s = answer["mic_end_s"] - (len(heard) - onset) / MIC_RATE_HZ

    assert 0 < onset_s - answer["written_s"] < 1
    assert onset_s == pytest.approx(answer["first_heard_s"], abs=0.1)


@needs_sound_server
def test_a_device_that_falls_silent_is_an_error_and_not_a_hang(server: SoundServer, tmp_path: Path) -> None:
    with program(server, 60, tmp_path / "mic.wav") as process:
        assert process.stdout is not None
        with server.frozen():
            answer = json.loads(process.stdout.readline())
            assert process.wait(timeout=20) == 0, "and it ends although the sound server never answers"

    assert "(the system's default) stopped" in answer["error"]
    assert "unplugged?" in answer["error"]


@needs_sound_server
def test_the_devices_of_the_sound_system_are_listed_with_its_defaults(server: SoundServer) -> None:
    code = "from voice.portaudio import list_devices; print([d.name for d in list_devices() if d.default_input])"
    run = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=server.env, capture_output=True, check=True)

    assert run.stdout == b"['default']\n"
    assert run.stderr == b""
