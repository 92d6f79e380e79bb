"""The sound devices of this machine, as PortAudio names them: loading the library, listing, choosing by name.

For `voice.portaudio`, which opens streams on them, and for `familiar doctor`. Devices are chosen by name, never by
number: numbers change with every cable that is plugged in.
"""

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from voice.errors import AudioDeviceError

_ALSA_CONFIGURATION = "/usr/share/alsa/alsa.conf"

Side = Literal["microphone", "speaker"]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioDevice:
    """A sound device: its name, how many channels it takes in and gives out, whether it is the system's default, and
    the sample rate that it prefers."""

    name: str
    inputs: int
    outputs: int
    default_input: bool
    default_output: bool
    rate_hz: int
    index: int
    """PortAudio's number of the device; holds until devices come or go."""


def list_devices() -> tuple[AudioDevice, ...]:
    """All sound devices, in PortAudio's order; none where the machine has none. AudioDeviceError without PortAudio."""
    sounddevice = load_portaudio()
    default_input, default_output = sounddevice.default.device
    return tuple(
        AudioDevice(
            name=found["name"],
            inputs=found["max_input_channels"],
            outputs=found["max_output_channels"],
            default_input=found["index"] == default_input,
            default_output=found["index"] == default_output,
            rate_hz=int(found["default_samplerate"]),
            index=found["index"],
        )
        for found in sounddevice.query_devices()
    )


def choose_device(devices: Sequence[AudioDevice], side: Side, name: str | None) -> AudioDevice:
    """The device to use as microphone or speaker: by its exact name, else by a part of the name that only one device
    has, case aside; the system's default for None or an empty name. AudioDeviceError names the devices there are."""
    usable = [device for device in devices if (device.inputs if side == "microphone" else device.outputs) > 0]
    if not usable:
        raise AudioDeviceError(f"this machine has no {side}: plug one in, or check its driver with: familiar doctor")
    if not name:
        for device in usable:
            if device.default_input if side == "microphone" else device.default_output:
                return device
        raise AudioDeviceError(f"the system has no default {side}: name one of {_names(usable)}")
    wanted = name.casefold()
    exact = [device for device in usable if device.name.casefold() == wanted]
    matching = exact or [device for device in usable if wanted in device.name.casefold()]
    if not matching:
        raise AudioDeviceError(f'there is no {side} "{name}": name one of {_names(usable)}')
    if len(matching) > 1 and not exact:  # equal names are one device, reached through several host interfaces
        raise AudioDeviceError(f'"{name}" fits more than one {side}: say which of {_names(matching)}')
    return matching[0]


def _names(devices: Sequence[AudioDevice]) -> str:
    return ", ".join(f'"{device.name}"' for device in devices)


def load_portaudio() -> Any:
    """The `sounddevice` module, PortAudio initialised. AudioDeviceError says how to mend it where that fails."""
    _require_alsa_configuration()
    try:
        import sounddevice  # initialises PortAudio, and keeps quiet what ALSA prints when it probes every card
    except OSError as error:
        raise AudioDeviceError(
            "the PortAudio library is missing: install it with: sudo apt install libportaudio2"
        ) from error
    except Exception as error:
        if type(error).__name__ != "PortAudioError":  # defined by the very module that failed to be imported
            raise
        raise AudioDeviceError(
            f"PortAudio does not start ({error}): check the sound configuration, ~/.asoundrc and /etc/asound.conf"
        ) from error
    _keep_alsa_quiet()
    return sounddevice


def _require_alsa_configuration() -> None:
    """PortAudio aborts the process where ALSA finds no configuration, so that is looked for first."""
    if not sys.platform.startswith("linux"):
        return
    paths = os.environ.get("ALSA_CONFIG_PATH", _ALSA_CONFIGURATION).split(":")
    if not any(_is_filled(Path(path)) for path in paths):
        where = " or ".join(paths)
        raise AudioDeviceError(f"ALSA has no configuration at {where}: sudo apt install --reinstall libasound2-data")


def _is_filled(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False


def _keep_alsa_quiet() -> None:
    """Stop ALSA from writing to standard error whenever a stream runs dry; the streams count that themselves.

    ALSA calls its error handler on the thread of the sound callback, where no Python may run: the handler is therefore
    a C function that ignores its arguments and does nothing.
    """
    import ctypes

    try:
        alsa = ctypes.CDLL("libasound.so.2")
        does_nothing = ctypes.cast(ctypes.CDLL(None).getpid, ctypes.c_void_p)
    except (OSError, AttributeError):  # no ALSA on this system
        return
    alsa.snd_lib_error_set_handler(does_nothing)


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Keep what C libraries print to standard error away from the terminal. It is the whole process's, so be brief."""
    try:
        kept = os.dup(2)
    except OSError:  # a process started without standard error has nothing to keep quiet
        yield
        return
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
