"""The spoken part of `familiar bench turn`: a scripted person talks with the companion in real time.

It asks through a paced microphone, waits for each answer to be heard, then interrupts some. What comes back are the
turns as the trace saw them, and how long the speaker sounded on after each interruption, taken from the speaker's own
recording. Comparing with the bare engines and reporting is left to `tools.bench_turn`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Self

import numpy as np

from device.companion import Places
from device.display import Update
from device.errors import FamiliarError
from device.settings import Settings
from device.timeline import turn_events
from device.trace import Trace, Value
from device.voice_session import open_session
from models.character import Character
from tools.process_memory import resident_without_models_mb
from tools.scripted_microphone import ScriptedMicrophone
from voice.fileport import FilePort
from voice.messages import MIC_RATE_HZ, Pcm
from voice.wav import read_wav

PERSON_VOICE = "en-us+f2"

SPEAK_BEFORE_INTERRUPTING_S = 0.8
ANSWER_TIMEOUT_S = 60.0
AUDIBLE = 33
"""Samples louder than this (-60 dB of full scale) are audible."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One answered turn: its place on the trace, and what was said in it."""

    events: Mapping[str, float]
    text: str
    reply: str
    asr_s: float
    recall_s: float
    prefill_s: float
    n_reused: int
    n_prefilled: int
    n_first_clause: int
    """Tokens that the model had made when the first clause was there."""

    @property
    def endpoint_s(self) -> float:
        """From the last voiced sample to the end of the hangover."""
        return self.events["turn_committed"] - self.events["speech_ended"]

    @property
    def total_s(self) -> float:
        """Voice to voice: from the last voiced sample to the first sample of the answer."""
        return self.events["first_audio_heard"] - self.events["speech_ended"]

    def between_s(self, earlier: str, later: str) -> float:
        """Seconds between two events of this turn."""
        return self.events[later] - self.events[earlier]


class Records:
    """The trace of the run, and waiting for something to appear in it. Event loop only."""

    def __init__(self) -> None:
        self.all: list[dict[str, Value]] = []
        self._news = asyncio.Event()

    def __call__(self, record: dict[str, Value]) -> None:
        self.all.append(record)
        self._news.set()

    async def until(self, event: str, *, after: int) -> dict[str, Value]:
        """The first `event` among the records from index `after` on, now or when it comes.

        Raises FamiliarError if it does not come.
        """
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                while True:
                    found = next((record for record in self.all[after:] if record["event"] == event), None)
                    if found is not None:
                        return found
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise FamiliarError(
                f"the spoken run came to no {event} in {ANSWER_TIMEOUT_S:.0f} s; `familiar talk` shows what is heard"
            ) from None


class _Silent:
    """A display for nobody."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def show(self, update: Update) -> None:
        """Show nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What the spoken part of the run gave."""

    turns: tuple[Turn, ...]
    barge_in_s: tuple[float, ...]
    resident_mb: float
    ears: str
    voice: str


async def run_spoken(
    character: Character,
    settings: Settings,
    where: Places,
    questions: Sequence[Pcm],
    interruption: Pcm,
    n_barge_in: int,
) -> Spoken:
    """Ask all `questions`, hearing each answer out; then ask on and interrupt `n_barge_in` answers."""
    person, records = ScriptedMicrophone(), Records()
    heard = where.memory.with_name("heard.wav")

    def make_port(rate_hz: int) -> FilePort:
        return FilePort.from_samples(person, heard, speaker_rate_hz=rate_hz)

    with Trace(listener=records) as trace:
        async with (
            open_session(character, settings, where, make_port=make_port, trace=trace, display=_Silent()) as session,
            asyncio.TaskGroup() as group,
        ):
            talking = group.create_task(session.conversation.run(), name="conversation")
            turns = [await _ask(question, person, records) for question in questions]
            onsets = [
                person.started_at[-1] + _onset(interruption)
                for question in islice(cycle(questions), n_barge_in)
                if await _interrupt(question, interruption, person, records)
            ]
            resident_mb = resident_without_models_mb()
            talking.cancel()
    speaker = read_wav(heard)
    return Spoken(
        turns=tuple(turns),
        barge_in_s=tuple(_sounds_on_s(speaker[onset : onset + len(interruption)]) for onset in onsets),
        resident_mb=resident_mb,
        ears=session.ears,
        voice=session.voice,
    )


async def _ask(question: Pcm, person: ScriptedMicrophone, records: Records) -> Turn:
    mark = len(records.all)
    person.say(question)
    done = await records.until("reply_done", after=mark)
    turn_id = done["turn"]
    assert isinstance(turn_id, int)
    of_turn = {str(record["event"]): record for record in records.all[mark:] if record["turn"] == turn_id}
    ready = of_turn["prompt_ready"]
    return Turn(
        events=turn_events(records.all[mark:], turn_id),
        text=str(of_turn["asr_final"]["text"]),
        reply=str(done["text_heard"]),
        asr_s=_number(of_turn["asr_final"], "asr_s"),
        recall_s=_number(of_turn["recall_done"], "recall_s"),
        prefill_s=_number(ready, "prefill_s"),
        n_reused=int(_number(ready, "n_reused")),
        n_prefilled=int(_number(ready, "n_prefilled")),
        n_first_clause=int(_number(of_turn["first_clause"], "n_tokens")),
    )


async def _interrupt(question: Pcm, interruption: Pcm, person: ScriptedMicrophone, records: Records) -> bool:
    """Ask, let the answer begin, speak into it. False if the answer was over by then."""
    mark = len(records.all)
    person.say(question)
    await records.until("first_audio_heard", after=mark)
    await asyncio.sleep(SPEAK_BEFORE_INTERRUPTING_S)
    interrupted = not any(record["event"] == "reply_done" for record in records.all[mark:])
    second = len(records.all)
    person.say(interruption)
    final = await records.until("asr_final", after=second)
    if final["text"]:
        await records.until("reply_done", after=records.all.index(final))
    return interrupted and any(record["event"] == "barge_in" for record in records.all[second:])


def _number(record: Mapping[str, Value], key: str) -> float:
    value = record[key]
    assert isinstance(value, int | float)
    return float(value)


def _onset(sound: Pcm) -> int:
    """The first audible sample."""
    return int(np.argmax(np.abs(sound.astype(np.int32)) > AUDIBLE))


def _sounds_on_s(speaker: Pcm) -> float:
    """Seconds until the last audible sample: how long the answer went on after the interruption began."""
    audible = np.flatnonzero(np.abs(speaker.astype(np.int32)) > AUDIBLE)
    return (int(audible[-1]) + 1) / MIC_RATE_HZ if audible.size else 0.0


def person_speaks(sentences: Sequence[str]) -> list[Pcm]:
    """The sentences as sound at 16 kHz, from eSpeak NG."""
    import soxr

    from voice.espeak import EspeakSynthesizer

    person = EspeakSynthesizer(PERSON_VOICE, rate_wpm=150)
    sounds = []
    for sentence in sentences:
        sound = np.concatenate([chunk.samples for chunk in person.synthesize(sentence)])
        resampled: Pcm = soxr.resample(sound, person.sample_rate_hz, MIC_RATE_HZ)
        sounds.append(resampled)
    return sounds
