"""One PortAudio stream each way, bound to its line: the realtime callbacks and the rates and channels they run at.

`voice.portaudio` opens, watches and closes them. The callbacks copy and count: no lock, no log, nothing that waits.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from voice.errors import AudioDeviceError
from voice.messages import MIC_RATE_HZ, Pcm
from voice.microphoneline import MicrophoneLine
from voice.soundcards import AudioDevice, Side
from voice.speakerline import SpeakerLine

_BLOCKS_PER_S = 100

_CAPTURE_LATENCY = "low"
_PLAYBACK_LATENCY_S = 0.04
"""What the device holds of the reply. The lowest, 20 ms, ran dry 544 times in 5 s while other threads kept the
processor and the interpreter's lock busy, 40 ms twice, 60 ms never (two cores, PulseAudio); all of it delays an
interruption."""

_USUAL_RATES_HZ = (48_000, 44_100)
"""Of sound cards. PortAudio reports one rate per device, for some host interfaces one that the card itself refuses."""

_CREDIBLE_S = 2.0
"""A converter further than this from the callback is a host interface that does not tell its times."""


class Capture:
    """The microphone's stream, delivering into `line`; of a device with pairs only, the mean of both channels, because
    a single microphone on a digital bus is wired to either."""

    def __init__(self, sounddevice: Any, device: AudioDevice) -> None:
        self.overflows = 0
        """Blocks before which the device lost sound because a callback came too late."""
        self.line = MicrophoneLine()
        self._latency_s = 0.0  # here, because the first callback may come before the stream is returned
        self._halves: Pcm = np.zeros((2, 0), np.int16)

        def start(rate_hz: int, channels: int) -> Any:
            self.line = MicrophoneLine(device_rate_hz=rate_hz)
            self._halves = np.zeros((2, rate_hz // _BLOCKS_PER_S), np.int16)
            return _start(sounddevice.InputStream, device, rate_hz, channels, _CAPTURE_LATENCY, self._on_block)

        self._stream = _first_that_starts(sounddevice, device, "microphone", MIC_RATE_HZ, device.inputs, start)
        self._latency_s = self._stream.latency

    @property
    def blocks(self) -> int:
        """Blocks delivered since opening: a device that is alive makes this grow."""
        return self.line.blocks

    def close(self) -> None:
        """Stop and free the stream, whatever state it is in."""
        _close(self._stream)

    def _on_block(self, indata: Any, frames: int, times: Any, status: Any) -> None:
        now_s = time.monotonic()
        self.overflows += bool(status.input_overflow)
        adc_time_s = now_s + _offset_s(times.inputBufferAdcTime - times.currentTime, -self._latency_s)
        self.line.push(indata[:, 0] if indata.shape[1] == 1 else self._mean(indata), adc_time_s)

    def _mean(self, pairs: Pcm) -> Pcm:
        """Of both channels, halved first so that it fits. In place: this runs in the callback."""
        mean: Pcm = self._halves[0, : len(pairs)]
        other: Pcm = self._halves[1, : len(pairs)]
        np.right_shift(pairs[:, 0], 1, out=mean)
        np.right_shift(pairs[:, 1], 1, out=other)
        np.add(mean, other, out=mean)
        return mean


class Playback:
    """The speaker's stream, draining `line`."""

    def __init__(self, sounddevice: Any, device: AudioDevice, rate_hz: int) -> None:
        self.underflows = 0
        """Blocks before which the device ran dry because a callback came too late."""
        self.steady_blocks = 0
        """Blocks since the last underflow."""
        self.blocks = 0
        """Blocks taken since opening: a device that is alive makes this grow."""
        self.line = SpeakerLine(rate_hz)
        self._called_s = 0.0
        self._latency_s = 0.0

        def start(device_rate_hz: int, channels: int) -> Any:
            self.line = SpeakerLine(rate_hz, device_rate_hz=device_rate_hz)
            return _start(
                sounddevice.OutputStream, device, device_rate_hz, channels, _PLAYBACK_LATENCY_S, self._on_block
            )

        self._stream = _first_that_starts(sounddevice, device, "speaker", rate_hz, device.outputs, start)
        self._latency_s = self._stream.latency

    def close(self) -> None:
        """Stop and free the stream at once: what the device still holds is not played."""
        _close(self._stream)

    def _on_block(self, outdata: Any, frames: int, times: Any, status: Any) -> None:
        now_s = time.monotonic()
        hurried = now_s - self._called_s < 0.5 / _BLOCKS_PER_S
        self._called_s = now_s
        self.blocks += 1
        self.steady_blocks += 1
        if status.output_underflow:
            self.underflows += 1
            self.steady_blocks = 0
            if hurried:
                # A storm: PulseAudio's plugin asks for 10-30 s of sound in a second and throws it away (measured).
                outdata.fill(0)
                return
        self.line.pull(outdata[:, 0], now_s + _offset_s(times.outputBufferDacTime - times.currentTime, self._latency_s))
        if outdata.shape[1] > 1:
            outdata[:, 1:] = outdata[:, :1]


def _offset_s(told_s: float, usual_s: float) -> float:
    """From a callback to the converter, as PortAudio tells it. Its own clock differs between hosts and may be set by
    people, so only differences within one callback are used."""
    return told_s if abs(told_s) < _CREDIBLE_S else usual_s


def _layouts(wanted_hz: int, usual_hz: int, max_channels: int) -> Iterator[tuple[int, int]]:
    """Rates and channel counts to try, best first: one channel at the rate we want; some cards have pairs only."""
    for rate_hz in dict.fromkeys((wanted_hz, usual_hz, *_USUAL_RATES_HZ)):
        for channels in range(1, min(max_channels, 2) + 1):
            yield rate_hz, channels


def _first_that_starts(
    sounddevice: Any,
    device: AudioDevice,
    side: Side,
    wanted_hz: int,
    max_channels: int,
    start: Callable[[int, int], Any],
) -> Any:
    refusal: Exception | None = None
    for rate_hz, channels in _layouts(wanted_hz, device.rate_hz, max_channels):
        try:
            return start(rate_hz, channels)
        except sounddevice.PortAudioError as error:
            refusal = error
    raise AudioDeviceError(
        f'the {side} "{device.name}" does not open ({refusal}): is it plugged in, and is no other program holding it?'
    ) from refusal


def _start(
    make: Any, device: AudioDevice, rate_hz: int, channels: int, latency: str | float, on_block: Callable[..., None]
) -> Any:
    stream = make(
        device=device.index,
        samplerate=rate_hz,
        blocksize=rate_hz // _BLOCKS_PER_S,
        channels=channels,
        dtype="int16",
        latency=latency,
        callback=on_block,
    )
    with ExitStack() as undo:
        undo.callback(stream.close, ignore_errors=True)
        stream.start()
        undo.pop_all()
    return stream


def _close(stream: Any) -> None:
    stream.abort(ignore_errors=True)
    stream.close(ignore_errors=True)
