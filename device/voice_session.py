"""A spoken session: dialogue, ears and voice opened around a sound port, and a conversation on top of them.

`familiar talk`, the demonstration and the benchmark all run this; they differ in the port and in when they stop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from device.companion import OpenDialogue, Places, open_dialogue
from device.conversation import Conversation
from device.display import Display, Notice
from device.engines import choose_synthesizer, choose_transcriber
from device.housekeeping import Housekeeping
from device.settings import Settings
from device.trace import Trace
from firmware_bridge.body import TimelineBody
from models.character import Character
from voice.listener import Listener
from voice.messages import NEUTRAL
from voice.mouth import Mouth
from voice.player import Player
from voice.seams import AudioPort
from voice.turns import TurnSettings, TurnTaker
from voice.vad import SileroVad


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
    sound_faults: Callable[[], Mapping[str, int]] = dict,
    trace: Trace,
    display: Display,
) -> AsyncIterator[Session]:
    """Open everything a conversation needs. `make_port` gets the sample rate of the voice;
    `sound_faults` counts what goes wrong with its sound.

    The three engines load at the same time, each on a thread. Raises the errors of all packages.
    """
    ears, voice = choose_transcriber(settings, where.store), choose_synthesizer(settings, where.store)

    def on_notice(text: str) -> None:
        trace.event("degraded", turn=0, what=text)
        display.show(Notice(text=text))

    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as loading:
            transcriber = loading.create_task(asyncio.to_thread(ears.make), name="load-ears")
            synthesizer = loading.create_task(asyncio.to_thread(voice.make), name="load-voice")
            opened = await stack.enter_async_context(open_dialogue(character, settings, where, on_notice, trace))
        port = await stack.enter_async_context(make_port(synthesizer.result().sample_rate_hz))
        feelings = opened.mind.feelings
        player = Player(port.speaker, time.monotonic)
        mouth = await stack.enter_async_context(
            Mouth(synthesizer.result(), player, prosody=feelings.prosody if feelings is not None else lambda: NEUTRAL)
        )
        listener = await stack.enter_async_context(
            Listener(
                port,
                SileroVad(),
                TurnTaker(TurnSettings(pause_ms=settings.listen.pause_ms, hangover_ms=settings.listen.hangover_ms)),
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
            housekeeping=Housekeeping(opened.mind.chores),
            sound_faults=sound_faults,
            speculate=settings.think.speculate,
        )
        for notice in opened.notices:
            trace.event("degraded", turn=0, what=notice)  # a person reads it in the log
        for notice in filter(None, (ears.notice, voice.notice)):
            on_notice(notice)
        yield Session(conversation=conversation, opened=opened, ears=ears.name, voice=voice.name)
