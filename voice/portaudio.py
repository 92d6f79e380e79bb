"""The AudioPort of real devices: microphone and speaker through PortAudio (ALSA, PulseAudio, PipeWire, CoreAudio).

Two independent streams, because microphone and speaker are often different devices with clocks and rates of their own.
Their callbacks (`voice.streams`) move blocks between the device and its line; whatever resampling a device makes
necessary happens on the event loop's side of the line. Choosing devices is in `voice.soundcards`; reopening one that
was unplugged is left to the caller, who gets an AudioDeviceError.
"""

import asyncio
import atexit
import logging
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from voice.errors import AudioDeviceError
from voice.messages import MicFrame
from voice.soundcards import AudioDevice, Side, choose_device, list_devices, load_portaudio, quiet_stderr
from voice.speakerline import SpeakerLine
from voice.streams import Capture, Playback

__all__ = ["AudioDevice", "PortAudioPort", "list_devices"]

_logger = logging.getLogger(__name__)

_FIRST_BLOCK_S = 5.0
"""A device must call back within this time of opening. An idle PulseAudio null sink takes up to 1.95 s, measured."""

_STEADY_BLOCKS = 5
_SETTLE_S = 1.0
"""A speaker that reports underflows at its start is given so long to settle; then it has to do as it is."""

_STALL_S = 2.0
"""No block for so long: the device is gone. On a loaded machine callbacks pause for up to 1 s, measured."""

_CLOSE_S = 3.0
"""A healthy device closes within 0.1 s; a sound server that was stopped may never answer."""


class PortAudioPort:
    """An AudioPort over two sound devices, chosen by name or part of it; None is the system's default.

    Entering raises AudioDeviceError if a device is missing, refuses to open or does not call back; `read` raises it
    when either device stops calling back.
    """

    def __init__(self, microphone: str | None, speaker: str | None, speaker_rate_hz: int) -> None:
        self._names: dict[Side, str | None] = {"microphone": microphone, "speaker": speaker}
        self._speaker_rate_hz = speaker_rate_hz
        self._capture: Capture | None = None
        self._playback: Playback | None = None
        self._alive: dict[Side, tuple[int, float]] = {}
        self._closed = False
        self._underflows_before = 0
        self._thread: threading.Thread | None = None

    @property
    def speaker(self) -> SpeakerLine:
        """The way out; exists once the port is entered."""
        return self._opened()[1].line

    @property
    def overruns(self) -> int:
        """Microphone samples lost because nobody read them for seconds."""
        return self._opened()[0].line.overruns

    @property
    def overflows(self) -> int:
        """Microphone blocks before which the device lost sound because its callback came too late."""
        return self._opened()[0].overflows

    @property
    def underflows(self) -> int:
        """Speaker blocks before which the device ran dry because its callback came too late."""
        return self._opened()[1].underflows - self._underflows_before

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as undo:
            undo.push_async_callback(self._shut)
            await asyncio.wrap_future(self._in_thread(self._open))
            undo.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._shut()

    async def read(self) -> MicFrame | None:
        """The next frame, in order, as soon as the device has delivered it; None once the port is closed."""
        line = self._opened()[0].line
        await asyncio.sleep(0)  # a backlog must not keep the loop from everything else
        while not self._closed:
            if (frame := line.next_frame()) is not None:
                return frame
            self._check_alive()
            await asyncio.sleep(line.seconds_to_next())
        return None

    def mic_time_s(self, sample: int) -> float:
        """Monotonic time at which the microphone heard this sample, by PortAudio's account of the device's delay."""
        return self._opened()[0].line.time_s(sample)

    def _opened(self) -> tuple[Capture, Playback]:
        assert self._capture is not None, "the port is used before it is entered"
        assert self._playback is not None, "the port is used before it is entered"
        return self._capture, self._playback

    def _check_alive(self) -> None:
        capture, playback = self._opened()
        blocks: dict[Side, int] = {"microphone": capture.blocks, "speaker": playback.blocks}
        now_s = time.monotonic()
        for side, count in blocks.items():
            seen, since_s = self._alive.get(side, (-1, now_s))
            if count != seen:
                self._alive[side] = (count, now_s)
            elif now_s - since_s > _STALL_S:
                does = "delivering" if side == "microphone" else "taking"
                raise AudioDeviceError(
                    f"the {side} {self._called(side)} stopped {does} sound (unplugged?): check it, then start again"
                )

    def _called(self, side: Side) -> str:
        name = self._names[side]
        return f'"{name}"' if name else "(the system's default)"

    async def _shut(self) -> None:
        """Close the devices, also those that are just being opened; wait for that as long as a healthy one takes."""
        self._closed = True
        closing = self._in_thread(self._close)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await asyncio.wrap_future(closing)
        except TimeoutError:
            _logger.warning("the sound devices did not close within %.0f s", _CLOSE_S)
        finally:
            if not closing.done():
                _leave_at_exit()

    def _in_thread(self, call: Callable[[], None]) -> Future[None]:
        """Run `call` once what was started before it is through. On a daemon thread: one that hangs in a sound server
        must not keep the process from ending, as the thread of an executor would."""
        done: Future[None] = Future()
        done.set_running_or_notify_cancel()  # whoever stops waiting does not stop the call
        before = self._thread

        def run() -> None:
            if before is not None:
                before.join()
            try:
                call()
            except BaseException as error:  # noqa: BLE001 - raised where the future is awaited
                done.set_exception(error)
            else:
                done.set_result(None)

        self._thread = threading.Thread(target=run, name="portaudio", daemon=True)
        self._thread.start()
        return done

    # On the thread that opens and closes ------------------------------------------------------------------------------

    def _open(self) -> None:
        sounddevice = load_portaudio()
        devices = list_devices()
        microphone = choose_device(devices, "microphone", self._names["microphone"])
        speaker = choose_device(devices, "speaker", self._names["speaker"])
        with quiet_stderr():
            self._capture = Capture(sounddevice, microphone)
            self._playback = Playback(sounddevice, speaker, self._speaker_rate_hz)
        self._settle(self._capture, self._playback)
        self._underflows_before = self._playback.underflows

    def _settle(self, capture: Capture, playback: Playback) -> None:
        """Wait until both devices call back, and a little longer for the speaker to come into step."""
        opened_s = time.monotonic()
        while not self._closed and (not capture.blocks or playback.steady_blocks < _STEADY_BLOCKS):
            waited_s = time.monotonic() - opened_s
            if waited_s > _SETTLE_S and capture.blocks and playback.blocks:
                return
            if waited_s > _FIRST_BLOCK_S:
                side: Side = "speaker" if capture.blocks else "microphone"
                raise AudioDeviceError(
                    f"the {side} {self._called(side)} opened but moves no sound: is another program holding it?"
                )
            time.sleep(0.01)

    def _close(self) -> None:
        for stream in (self._capture, self._playback):
            if stream is not None:
                stream.close()


def _leave_at_exit() -> None:
    """Keep `sounddevice` from ending PortAudio with the process, which would wait for the sound server that hangs."""
    # Not imported here: a thread that hangs while it imports it holds the lock of the import.
    if (sounddevice := sys.modules.get("sounddevice")) is not None:
        atexit.unregister(sounddevice._exit_handler)
