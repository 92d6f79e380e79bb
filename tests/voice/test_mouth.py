"""The mouth: what it reports, on the playback cursor, and that it falls silent at once and for good."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager

import pytest

from tests.voice.scripted_ears import until
from tests.voice.scripted_mouth import LETTER_SAMPLES, HandSpeaker, ToneVoice
from voice.clauses import ClauseSplitter
from voice.messages import (
    NEUTRAL,
    Clause,
    Gesture,
    GestureDue,
    MouthEvent,
    Prosody,
    SpeechHeard,
    SpeechPart,
    SpeechQueued,
)
from voice.mouth import Mouth
from voice.player import Player

REPLY = "Hello my little one. *waves* I like the garden. *nods slowly*"


def parts_of(text: str) -> list[SpeechPart]:
    splitter = ClauseSplitter()
    return splitter.push(text) + splitter.finish()


def queue_of(parts: Sequence[SpeechPart | None]) -> asyncio.Queue[SpeechPart | None]:
    queue: asyncio.Queue[SpeechPart | None] = asyncio.Queue()
    for part in parts:
        queue.put_nowait(part)
    return queue


class Spoken:
    """A mouth that speaks a reply, and what it reported."""

    def __init__(self, voice: ToneVoice, speaker: HandSpeaker, mouth: Mouth) -> None:
        self.voice, self.speaker, self.mouth = voice, speaker, mouth
        self.events: list[MouthEvent] = []

    def speak(self, text: str, *, ends: bool = True) -> Coroutine[None, None, None]:
        self.mouth.begin()
        end: list[SpeechPart | None] = [None] if ends else []
        return self.mouth.speak(queue_of([*parts_of(text), *end]), self.events.append)

    def kinds(self) -> list[type[MouthEvent]]:
        return [type(event) for event in self.events]

    def gestures(self) -> list[str]:
        return [event.gesture.name for event in self.events if isinstance(event, GestureDue)]

    async def synthesized(self, n_letters: int) -> None:
        await until(lambda: self.speaker.n_written >= n_letters * LETTER_SAMPLES)


@asynccontextmanager
async def open_mouth(
    voice: ToneVoice | None = None,
    *,
    by_itself: bool = False,
    capacity: int = 100_000,
    prosody: Callable[[], Prosody] = Prosody,
) -> AsyncIterator[Spoken]:
    voice, speaker = voice or ToneVoice(), HandSpeaker(by_itself=by_itself, capacity=capacity)
    async with Mouth(voice, Player(speaker), prosody=prosody) as mouth:
        yield Spoken(voice, speaker, mouth)


def test_a_reply_is_queued_heard_and_over_when_the_last_sample_was_heard() -> None:
    async def main() -> None:
        async with open_mouth() as spoken:
            task = asyncio.create_task(spoken.speak("Hello my little one."))
            await spoken.synthesized(len("Hello my little one."))
            assert spoken.kinds() == [SpeechQueued]
            assert spoken.mouth.speaking
            spoken.speaker.play(1)
            await until(lambda: spoken.kinds() == [SpeechQueued, SpeechHeard])
            assert not task.done()
            spoken.speaker.play(1_000_000)
            await task
            assert spoken.mouth.heard_end() == len("Hello my little one.")
            assert not spoken.mouth.speaking

    asyncio.run(main())


def test_even_the_shortest_reply_is_reported_as_heard() -> None:
    async def main() -> None:
        async with open_mouth(by_itself=True) as spoken:
            await spoken.speak("A.")
            assert spoken.kinds() == [SpeechQueued, SpeechHeard]

    asyncio.run(main())


def test_a_reply_without_speech_is_over_at_once() -> None:
    async def main() -> None:
        async with open_mouth() as spoken:
            await spoken.speak("")
            assert spoken.events == []

    asyncio.run(main())


def test_a_clause_prepared_is_synthesized_once_and_silent_until_it_is_spoken() -> None:
    async def main() -> None:
        async with open_mouth(by_itself=True) as spoken:
            clause = parts_of(REPLY)[0]
            assert isinstance(clause, Clause)
            spoken.mouth.prepare(clause)
            spoken.mouth.prepare(clause)
            await until(lambda: spoken.voice.said == ["Hello my little one."])
            assert spoken.speaker.n_written == 0
            await spoken.speak(REPLY)
            assert spoken.voice.said == ["Hello my little one.", "I like the garden."]
            assert spoken.mouth.heard_end() == REPLY.index(" *nods")

    asyncio.run(main())


def test_a_clause_prepared_in_vain_is_never_heard() -> None:
    async def main() -> None:
        async with open_mouth(by_itself=True) as spoken:
            clause = parts_of("Something else.")[0]
            assert isinstance(clause, Clause)
            spoken.mouth.prepare(clause)
            await spoken.speak("Hello.")
            assert spoken.speaker.n_written == len("Hello.") * LETTER_SAMPLES

    asyncio.run(main())


def test_a_clause_that_is_not_wanted_any_more_keeps_no_other_waiting() -> None:
    async def main() -> None:
        voice = ToneVoice(hold_at="my")
        async with open_mouth(voice, by_itself=True) as spoken:
            first, second = parts_of(REPLY)[0], parts_of("Something else altogether.")[0]
            assert isinstance(first, Clause)
            assert isinstance(second, Clause)
            spoken.mouth.prepare(first)
            await asyncio.to_thread(voice.holding.wait)
            spoken.mouth.prepare(second)  # waits behind the first, which stands in a native call
            spoken.mouth.forget()
            voice.going.set()
            await spoken.speak("Good morning to you.")
            assert voice.said == ["Hello my little one.", "Good morning to you."]
            assert voice.closed_on != [], "the first was broken off at its next chunk"

    asyncio.run(main())


class Manner:
    """How to speak, as a test sets it."""

    def __init__(self) -> None:
        self.now = NEUTRAL

    def __call__(self) -> Prosody:
        return self.now


SLOW, QUICK = Prosody(rate=0.9), Prosody(rate=1.1)


def test_a_reply_is_said_in_one_manner_the_one_in_which_it_began() -> None:
    async def main() -> None:
        manner = Manner()
        async with open_mouth(ToneVoice(hold_at="garden."), by_itself=True, prosody=manner) as spoken:
            manner.now = SLOW
            task = asyncio.create_task(spoken.speak(REPLY))
            await until(spoken.voice.holding.is_set)
            manner.now = QUICK
            spoken.voice.going.set()
            await task
            await spoken.speak("Hello.")
            assert spoken.voice.manners == [SLOW, SLOW, QUICK]

    asyncio.run(main())


def test_a_clause_prepared_in_another_manner_is_made_anew() -> None:
    async def main() -> None:
        manner = Manner()
        async with open_mouth(by_itself=True, prosody=manner) as spoken:
            clause = parts_of("Hello.")[0]
            assert isinstance(clause, Clause)
            for manner.now in (SLOW, SLOW, QUICK):
                spoken.mouth.prepare(clause)
                await until(lambda: spoken.voice.manners[-1:] == [manner.now])
            assert spoken.voice.manners == [SLOW, QUICK]
            await spoken.speak("Hello.")
            assert spoken.voice.manners == [SLOW, QUICK]
            spoken.mouth.prepare(clause)
            await until(lambda: len(spoken.voice.manners) == 3)
            manner.now = NEUTRAL
            await spoken.speak("Hello.")
            assert spoken.voice.manners == [SLOW, QUICK, QUICK, NEUTRAL]
            assert spoken.speaker.n_written == 2 * len("Hello.") * LETTER_SAMPLES

    asyncio.run(main())


def test_a_gesture_is_due_when_the_words_before_it_have_been_heard() -> None:
    async def main() -> None:
        async with open_mouth() as spoken:
            task = asyncio.create_task(spoken.speak(REPLY))
            await spoken.synthesized(len("Hello my little one.I like the garden."))
            spoken.speaker.play(10 * LETTER_SAMPLES)
            await until(lambda: spoken.mouth.heard_end() >= len("Hello"))
            assert spoken.gestures() == []
            spoken.speaker.play(10 * LETTER_SAMPLES)
            await until(lambda: spoken.gestures() == ["waves"])
            assert not task.done()
            spoken.speaker.play(1_000_000)
            await task
            assert spoken.gestures() == ["waves", "nods slowly"]

    asyncio.run(main())


def test_a_gesture_before_the_first_word_is_due_at_once() -> None:
    async def main() -> None:
        async with open_mouth(ToneVoice(hold_at="Hello")) as spoken:
            task = asyncio.create_task(spoken.speak("*smiles* Hello my little one."))
            await until(lambda: spoken.gestures() == ["smiles"])
            spoken.voice.going.set()
            spoken.speaker.by_itself = True
            await task
            assert spoken.gestures() == ["smiles"]

    asyncio.run(main())


def test_stop_in_the_middle_tells_what_was_heard_and_nothing_sounds_after_it() -> None:
    async def main() -> None:
        async with open_mouth() as spoken:
            task = asyncio.create_task(spoken.speak(REPLY))
            await spoken.synthesized(len("Hello my little one."))
            spoken.speaker.play(len("Hello my") * LETTER_SAMPLES)

            assert REPLY[: spoken.mouth.stop()].strip() == "Hello my"
            assert not spoken.mouth.speaking
            written = spoken.speaker.n_written
            await task
            assert spoken.speaker.n_written == written == len("Hello my") * LETTER_SAMPLES
            assert spoken.gestures() == []
            assert not spoken.mouth.speaking

    asyncio.run(main())


def test_parts_that_come_after_a_stop_are_neither_said_nor_made() -> None:
    async def main() -> None:
        async with open_mouth(by_itself=True) as spoken:
            queue = queue_of([])
            spoken.mouth.begin()
            task = asyncio.create_task(spoken.mouth.speak(queue, spoken.events.append))
            spoken.mouth.stop()
            for part in (*parts_of(REPLY), None):
                queue.put_nowait(part)
            await task
            assert spoken.events == []
            assert spoken.voice.said == []

    asyncio.run(main())


def test_after_a_stop_the_next_reply_counts_from_zero() -> None:
    async def main() -> None:
        async with open_mouth(by_itself=True) as spoken:
            await spoken.speak("Hello my little one.")
            spoken.mouth.stop()
            await spoken.speak("I like the garden.")
            assert spoken.mouth.heard_end() == len("I like the garden.")

    asyncio.run(main())


def test_cancelled_while_the_synthesizer_works_its_generator_is_closed_on_its_thread() -> None:
    async def main() -> ToneVoice:
        async with open_mouth(ToneVoice(hold_at="little")) as spoken:
            task = asyncio.create_task(spoken.speak(REPLY))
            await until(spoken.voice.holding.is_set)
            await _cancelled(task)
            spoken.voice.going.set()
            return spoken.voice

    _assert_closed_on_its_thread(asyncio.run(main()))


def test_cancelled_while_the_speaker_is_full_the_generator_is_closed_on_its_thread() -> None:
    async def main() -> ToneVoice:
        async with open_mouth(capacity=8 * LETTER_SAMPLES) as spoken:
            task = asyncio.create_task(spoken.speak(REPLY))
            await spoken.synthesized(8)
            await _cancelled(task)
            return spoken.voice

    _assert_closed_on_its_thread(asyncio.run(main()))


def test_stopped_while_the_synthesizer_works_its_generator_is_closed_on_its_thread() -> None:
    async def main() -> ToneVoice:
        async with open_mouth(ToneVoice(hold_at="little")) as spoken:
            task = asyncio.create_task(spoken.speak(REPLY))
            await until(spoken.voice.holding.is_set)
            spoken.mouth.stop()
            spoken.voice.going.set()
            await task
            return spoken.voice

    _assert_closed_on_its_thread(asyncio.run(main()))


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def _assert_closed_on_its_thread(voice: ToneVoice) -> None:
    assert len(voice.said) == len(voice.closed_on) == 1
    assert voice.closed_on[0].startswith("synthesis")


def test_an_error_of_the_synthesizer_is_raised() -> None:
    class VoiceIsGoneError(Exception): ...

    async def main() -> None:
        async with open_mouth(ToneVoice(failure=VoiceIsGoneError("gone"))) as spoken:
            with pytest.raises(ExceptionGroup) as caught:
                await spoken.speak(REPLY)
            assert caught.group_contains(VoiceIsGoneError)
            assert not spoken.mouth.speaking

    asyncio.run(main())


def test_leaving_ends_the_thread() -> None:
    async def main() -> None:
        async with open_mouth(by_itself=True) as spoken:
            await spoken.speak("Hello my little one.")

    asyncio.run(main())
    assert not any(thread.name.startswith("synthesis") for thread in threading.enumerate())


def test_leaving_does_not_wait_for_ever_for_a_synthesizer_that_hangs(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("voice.mouth.CLOSE_TIMEOUT_S", 0.05)
    voice = ToneVoice(hold_at="Hello")

    async def run() -> None:
        async with open_mouth(voice) as spoken:
            task = asyncio.create_task(spoken.speak(REPLY))
            await until(voice.holding.is_set)
            await _cancelled(task)
        assert not voice.going.is_set()
        voice.going.set()

    asyncio.run(run())
    assert "speech synthesis was left behind" in caplog.text


@pytest.mark.parametrize("stopping", [Mouth.stop, Mouth.begin])
def test_a_mouth_that_never_spoke_can_be_stopped(stopping: Callable[[Mouth], object]) -> None:
    async def main() -> None:
        async with open_mouth() as spoken:
            stopping(spoken.mouth)
            assert spoken.mouth.stop() == 0

    asyncio.run(main())


def test_the_reply_of_these_tests_is_two_clauses_and_two_gestures() -> None:
    assert [type(part) for part in parts_of(REPLY)] == [Clause, Gesture, Clause, Gesture]
