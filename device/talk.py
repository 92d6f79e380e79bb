"""`familiar talk`: choose how to talk on this machine, put the companion together, and run it to the end.

A recording where one was given, else microphone and speaker, else the terminal, else a demonstration that ends by
itself. Falling back to less is always said.
"""

import asyncio
import contextlib
import signal
import sys
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from device.companion import Places, chosen_character, places
from device.errors import FamiliarError
from device.settings import AudioSettings, Settings
from device.trace import Listener, Trace
from models.character import Character

if TYPE_CHECKING:
    from device.display import Display
    from voice.messages import Pcm


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkRequest:
    """What the command line asked for. `recording` and `answer` are WAV files, `trace` a JSON lines file."""

    text: bool = False
    recording: Path | None = None
    answer: Path | None = None
    trace: Path | None = None
    as_json: bool = False


def talk(request: TalkRequest, settings: Settings, environ: Mapping[str, str]) -> None:
    """Talk until the person leaves, the recording ends, or Ctrl-C.

    Raises the errors of all packages, single or in groups, and KeyboardInterrupt once everything said is recorded.
    """
    character = chosen_character(settings)
    where = places(environ)
    with _sigterm_as_ctrl_c():
        if request.text:
            _in_writing(request, character, settings, where)
        elif request.recording is not None:
            _run(_from_recording(request, character, settings, where))
        else:
            _with_what_there_is(request, character, settings, where)


def _with_what_there_is(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    reason = why_no_sound(settings.audio)
    if reason is None:
        _run(_with_devices(request, character, settings, where))
    elif settings.audio.microphone or settings.audio.speaker:
        raise FamiliarError(f"{reason}; `familiar doctor` lists what there is, `familiar talk --text` needs no sound")
    elif sys.stdin.isatty() and sys.stdout.isatty():
        sys.stderr.write(f"{reason}: conversing in writing. Ctrl-D ends it.\n")
        _in_writing(request, character, settings, where)
    else:
        from device.demo import demonstrate

        sys.stderr.write(f"{reason} and no terminal: a demonstration from a recording.\n")
        _run(demonstrate(request, character, settings, where))


def why_no_sound(audio: AudioSettings) -> str | None:
    """None if this machine has a microphone and a speaker, else what is missing."""
    from voice.errors import AudioDeviceError
    from voice.portaudio import list_devices

    try:
        devices = list_devices()
    except AudioDeviceError as error:
        return str(error)
    missing = [
        noun
        for noun, there in (
            ("microphone", any(device.inputs for device in devices)),
            ("speaker", any(device.outputs for device in devices)),
        )
        if not there
    ]
    return f"no {' and no '.join(missing)} on this machine" if missing else None


def _in_writing(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    from device.companion import open_dialogue
    from device.text_mode import TextConversation

    with Trace(request.trace) as trace, asyncio.Runner() as runner:
        opening = open_dialogue(character, settings, where)
        opened = runner.run(opening.__aenter__())
        try:
            # Its notices need no telling here: they are logged, and the log goes to standard error.
            conversation = TextConversation(
                dialogue=opened.dialogue, character=character.name, trace=trace, as_json=request.as_json
            )
            conversation.run(runner, greeting="" if opened.n_restored else character.greeting)
        finally:
            runner.run(opening.__aexit__(None, None, None))


async def _from_recording(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    from voice.wav import read_wav

    assert request.recording is not None
    await converse_with_recording(read_wav(request.recording), request, character, settings, where)


async def converse_with_recording(
    recording: "Pcm",
    request: TalkRequest,
    character: Character,
    settings: Settings,
    where: Places,
    *,
    listener: Listener | None = None,
) -> None:
    """A whole conversation from a recording at 16 kHz, in real time; the answer goes to `request.answer` if given."""
    from device.voice_session import open_session, run_recording
    from voice.fileport import FilePort

    ports: list[FilePort] = []

    def make_port(rate_hz: int) -> FilePort:
        ports.append(FilePort.from_samples(recording, request.answer, speaker_rate_hz=rate_hz))
        return ports[0]

    with _outputs(request, character, listener) as (trace, display):
        session_of = open_session(character, settings, where, make_port=make_port, trace=trace, display=display)
        async with session_of as session:
            await run_recording(session, ports[0], settings.listen)


async def _with_devices(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    from device.voice_session import open_session
    from voice.portaudio import PortAudioPort

    def make_port(rate_hz: int) -> PortAudioPort:
        return PortAudioPort(settings.audio.microphone or None, settings.audio.speaker or None, rate_hz)

    with _outputs(request, character) as (trace, display):
        session_of = open_session(character, settings, where, make_port=make_port, trace=trace, display=display)
        async with session_of as session:
            await session.conversation.run(greeting="" if session.opened.n_restored else character.greeting)


@contextlib.contextmanager
def _outputs(
    request: TalkRequest, character: Character, listener: Listener | None = None
) -> Iterator[tuple[Trace, "Display"]]:
    from device.display import open_display

    with Trace(request.trace, listener) as trace, open_display(character.name, as_json=request.as_json) as display:
        yield trace, display


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end, or to Ctrl-C: what the work does on its way out is done by then."""
    try:
        asyncio.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """A service manager's way of asking to stop is taken as a person's, so that both end in the same way."""
    before = signal.signal(signal.SIGTERM, lambda _signal, _frame: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
