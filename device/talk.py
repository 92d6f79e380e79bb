"""`familiar talk`: choose how to talk on this machine, put the companion together, and run it to the end.

A recording where one was given, else microphone and speaker, else the terminal, else a demonstration that ends by
itself. Falling back to less is always said.
"""

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from device.companion import Places, chosen_character, places
from device.errors import FamiliarError
from device.settings import Settings
from device.trace import Trace
from models.character import Character

log = logging.getLogger(__name__)

LEAVING_CHORES_S = 1.0
"""In writing nobody knows when there is a rest: what has to be done about the memory is done on leaving, so far as it
goes within this time. The rest is left to `familiar memory sleep`, or to the next time."""


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

    Raises the errors of all packages, single or in groups; Ctrl-C is one of them, once everything said is recorded.
    """
    character = chosen_character(settings)
    where = places(environ)
    with _stoppable(remembers=settings.memory.enabled):
        if request.text:
            _in_writing(request, character, settings, where)
        elif request.recording is not None:
            _run(_from_recording(request, character, settings, where))
        else:
            _with_what_there_is(request, character, settings, where)


def _with_what_there_is(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    reason = why_no_sound()
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
        with _stoppable(remembers=False):
            _run(demonstrate(character, settings, where, trace_path=request.trace, as_json=request.as_json))


def why_no_sound() -> str | None:
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
    from device.housekeeping import do_chores
    from device.text_mode import TextConversation

    with Trace(request.trace) as trace, asyncio.Runner() as runner:

        def on_notice(text: str) -> None:
            trace.event("degraded", turn=0, what=text)
            log.warning("%s", text)

        opening = open_dialogue(character, settings, where, on_notice, trace)
        opened = runner.run(opening.__aenter__())
        try:
            for notice in opened.notices:
                trace.event("degraded", turn=0, what=notice)  # a person reads it in the log
            conversation = TextConversation(
                dialogue=opened.dialogue, character=character.name, trace=trace, as_json=request.as_json
            )
            conversation.run(runner, greeting="" if opened.dialogue.history else character.greeting)
            runner.run(do_chores(opened.mind.chores, LEAVING_CHORES_S))
        finally:
            runner.run(opening.__aexit__(None, None, None))


async def _from_recording(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    from device.display import open_display
    from device.recorded import converse_with_recording
    from voice.wav import read_wav

    assert request.recording is not None
    recording = read_wav(request.recording)
    with Trace(request.trace) as trace, open_display(character.name, as_json=request.as_json) as display:
        await converse_with_recording(
            recording, request.answer, character, settings, where, trace=trace, display=display
        )


async def _with_devices(request: TalkRequest, character: Character, settings: Settings, where: Places) -> None:
    from device.display import open_display
    from device.voice_session import open_session
    from voice.portaudio import PortAudioPort

    ports: list[PortAudioPort] = []

    def make_port(rate_hz: int) -> PortAudioPort:
        ports.append(PortAudioPort(settings.audio.microphone or None, settings.audio.speaker or None, rate_hz))
        return ports[0]

    def sound_faults() -> Mapping[str, int]:
        (port,) = ports
        return {
            "microphone samples lost": port.overruns,
            "blocks that the microphone delivered too late": port.overflows,
            "blocks that came too late for the speaker": port.underflows,
            "gaps in the speech, which was made too late": port.speaker.underruns,
        }

    with Trace(request.trace) as trace, open_display(character.name, as_json=request.as_json) as display:
        session_of = open_session(
            character, settings, where, make_port=make_port, sound_faults=sound_faults, trace=trace, display=display
        )
        async with session_of as session:
            await session.conversation.run(greeting="" if session.opened.dialogue.history else character.greeting)


def _run(work: Coroutine[None, None, None]) -> None:
    """Run to the end, or to Ctrl-C: what the work does on its way out is done by then."""
    try:
        asyncio.run(work)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


@contextlib.contextmanager
def _stoppable(*, remembers: bool) -> Iterator[None]:
    """Ctrl-C ends what is inside with a FamiliarError that says so.

    A service manager's way of asking to stop, SIGTERM, is taken as a person's, so that both end in the same way.
    """
    stopped = "stopped by Ctrl-C"

    def on_sigterm(_signal: int, _frame: object) -> None:
        nonlocal stopped
        stopped = "stopped"
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGTERM, on_sigterm)
    try:
        yield
    except KeyboardInterrupt:
        raise FamiliarError(f"{stopped}; nothing that was said is lost" if remembers else stopped) from None
    finally:
        signal.signal(signal.SIGTERM, before)
