"""A whole conversation from a recording, in real time: `familiar talk --in`, and the demonstration.

Takes the sound of a person at 16 kHz; the answer goes to a WAV file if one is given. Opening trace and display is left
to the caller.
"""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

from device.companion import Places
from device.display import Display
from device.settings import ListenSettings, Settings
from device.trace import Trace
from device.voice_session import Session, open_session
from models.character import Character
from voice.fileport import FilePort
from voice.messages import Pcm

IDLE_POLL_S = 0.05
AFTER_RECORDING_S = 0.5
"""How long, beyond the hangover, a recording must have been over before the session ends: speech in its last frame is
confirmed within 0.1 s and recognised at the first short silence."""


async def converse_with_recording(
    recording: Pcm,
    answer: Path | None,
    character: Character,
    settings: Settings,
    where: Places,
    *,
    trace: Trace,
    display: Display,
) -> None:
    """Converse until the recording is over and everything it called for has been said.

    Raises the errors of all packages, single or in groups.
    """
    ports: list[FilePort] = []

    def make_port(rate_hz: int) -> FilePort:
        ports.append(FilePort.from_samples(recording, answer, speaker_rate_hz=rate_hz))
        return ports[0]

    def sound_faults() -> Mapping[str, int]:
        (port,) = ports
        return {
            "microphone samples lost": port.overruns,
            "gaps in the speech, which was made too late": port.speaker.underruns,
        }

    async with open_session(
        character, settings, where, make_port=make_port, sound_faults=sound_faults, trace=trace, display=display
    ) as session:
        await _run_to_the_end(session, ports[0], settings.listen)


async def _run_to_the_end(session: Session, port: FilePort, listen: ListenSettings) -> None:
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(session.conversation.run(), name="conversation")
        quiet_s = listen.hangover_ms / 1e3 + AFTER_RECORDING_S
        quiet_since_s = time.monotonic()
        while time.monotonic() - quiet_since_s < quiet_s and not talking.done():
            if not port.input_ended or not session.conversation.idle:
                quiet_since_s = time.monotonic()
            await asyncio.sleep(IDLE_POLL_S)
        talking.cancel()
