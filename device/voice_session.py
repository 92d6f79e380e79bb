"""A spoken session: dialogue, ears and voice opened around a sound port, and a conversation on top of them.

`familiar talk`, the demonstration and the benchmark all run this; they differ in the port and in when they stop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from device.companion import OpenDialogue, Places, open_dialogue
from device.conversation import Conversation
from device.display import Display, Notice
from device.engines import choose_synthesizer, choose_transcriber
from device.errors import SettingsError
from device.settings import ListenSettings, Settings
from device.trace import Trace
from firmware_bridge.body import TimelineBody
from models.character import Character
from voice.fileport import FilePort
from voice.listener import Listener
from voice.mouth import Mouth
from voice.player import Player
from voice.seams import AudioPort
from voice.turns import TurnSettings, TurnTaker
from voice.vad import SileroVad

IDLE_POLL_S = 0.05
AFTER_RECORDING_S = 0.5
"""How long, beyond the hangover, a recording must have been over before the session ends: speech in its last frame is
confirmed within 0.1 s and recognised at the first short silence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A conversation that can be run, and what it was made of."""

    conversation: Conversation
    opened: OpenDialogue
    ears: str
    voice: str


@asynccontextmanager
async def open_session(
    character: Character,
    settings: Settings,
    where: Places,
    *,
    make_port: Callable[[int], AudioPort],
    trace: Trace,
    display: Display,
) -> AsyncIterator[Session]:
    """Open everything a conversation needs. `make_port` gets the sample rate of the voice.

    The three engines load at the same time, each on a thread. Raises the errors of all packages.
    """
    ears, voice = choose_transcriber(settings, where.store), choose_synthesizer(settings, where.store)
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as loading:
            transcriber = loading.create_task(asyncio.to_thread(ears.make), name="load-ears")
            synthesizer = loading.create_task(asyncio.to_thread(voice.make), name="load-voice")
            opened = await stack.enter_async_context(open_dialogue(character, settings, where))
        port = await stack.enter_async_context(make_port(synthesizer.result().sample_rate_hz))
        mouth = await stack.enter_async_context(Mouth(synthesizer.result(), Player(port.speaker, time.monotonic)))
        listener = await stack.enter_async_context(
            Listener(
                port,
                SileroVad(),
                TurnTaker(turn_settings(settings.listen)),
                transcriber.result(),
                speaking=lambda: mouth.speaking,
                half_duplex=not settings.listen.barge_in,
            )
        )
        conversation = Conversation(
            dialogue=opened.dialogue,
            listener=listener,
            mouth=mouth,
            body=TimelineBody(),
            trace=trace,
            display=display,
        )
        for notice in (*opened.notices, ears.notice, voice.notice):
            if notice:
                trace.event("degraded", turn=0, what=notice)
                display.show(Notice(text=notice))
        yield Session(conversation=conversation, opened=opened, ears=ears.name, voice=voice.name)


def turn_settings(listen: ListenSettings) -> TurnSettings:
    """The turn-taker's part of the settings. Raises SettingsError where they contradict each other."""
    try:
        return TurnSettings(pause_ms=listen.pause_ms, hangover_ms=listen.hangover_ms)
    except ValueError as error:
        raise SettingsError(f"[listen] {error}") from error


async def run_recording(session: Session, port: FilePort, listen: ListenSettings) -> None:
    """Converse until the recording is over and everything it called for has been said."""
    async with asyncio.TaskGroup() as group:
        talking = group.create_task(session.conversation.run(), name="conversation")
        quiet_s = listen.hangover_ms / 1e3 + AFTER_RECORDING_S
        quiet_since_s = time.monotonic()
        while time.monotonic() - quiet_since_s < quiet_s and not talking.done():
            if not port.input_ended or not session.conversation.idle:
                quiet_since_s = time.monotonic()
            await asyncio.sleep(IDLE_POLL_S)
        talking.cancel()
