"""Frames are drawn as text: see `tests.voice.scripted_ears`."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import numpy as np
import pytest

from tests.voice.saying import frames, room, say
from tests.voice.scripted_ears import (
    PATIENCE_S,
    ChattyTranscriber,
    LoudnessVad,
    ScriptedPort,
    ScriptedTranscriber,
    sound,
    until,
)
from voice.errors import VoiceModelError
from voice.listener import Listener
from voice.messages import (
    FRAME_SAMPLES,
    MIC_RATE_HZ,
    Heard,
    ListenerMessage,
    MicFrame,
    PartialText,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    Transcript,
    TurnEnded,
)
from voice.turns import TurnSettings, TurnTaker
from voice.vad import SileroVad

PAUSE = "." * 7
HANGOVER = "." * 18


def listen(
    script: str | AsyncIterator[str],
    transcriber: ScriptedTranscriber | None = None,
    *,
    settings: TurnSettings | None = None,
    speaking: Callable[[], bool] = lambda: False,
    half_duplex: bool = False,
    into: list[ListenerMessage] | None = None,
) -> list[ListenerMessage]:
    """Everything heard of the script; `into` receives it as it comes."""
    messages = into if into is not None else []

    async def run() -> None:
        async with (
            asyncio.timeout(PATIENCE_S),
            Listener(
                ScriptedPort(script),
                LoudnessVad(),
                TurnTaker(settings),
                transcriber or ScriptedTranscriber(),
                speaking=speaking,
                half_duplex=half_duplex,
            ) as listener,
        ):
            async for message in listener.messages():
                messages.append(message)

    asyncio.run(run())
    return messages


def kinds(messages: list[ListenerMessage]) -> list[str]:
    """What they are, Heard with its words."""
    return [
        f"{'final' if message.final else 'early'} {message.text}"
        if isinstance(message, Heard)
        else type(message).__name__
        for message in messages
    ]


def test_words_found_at_the_pause_are_those_of_the_turn() -> None:
    transcriber = ScriptedTranscriber()
    messages: list[ListenerMessage] = []

    async def script() -> AsyncIterator[str]:
        yield "." * 10 + "#####" + PAUSE
        await until(lambda: any(isinstance(message, Heard) for message in messages))
        yield HANGOVER

    listen(script(), transcriber, into=messages)
    words = "22 frames"  # 10 of pre-roll, 5 of speech, 7 of pause
    assert kinds(messages) == ["SpeechStarted", "SpeechPaused", f"early {words}", "TurnEnded", f"final {words}"]
    assert transcriber.n_results == 1
    early, final = messages[2], messages[4]
    assert isinstance(early, Heard)
    assert isinstance(final, Heard)
    assert (final.turn_id, final.revision, final.asr_s, final.audio_s) == (1, 0, early.asr_s, early.audio_s)
    assert final.speech_ended_s == 100 + 15 * FRAME_SAMPLES / MIC_RATE_HZ
    assert final.lost_s == 0
    assert transcriber.threads == {"asr_0"}


def test_recognition_gets_the_audio_from_the_preroll_to_the_pause_without_a_gap() -> None:
    transcriber = ScriptedTranscriber()
    messages = listen("." * 30 + "#####" + PAUSE + "..###" + HANGOVER, transcriber)
    started = messages[0]
    assert isinstance(started, SpeechStarted)
    assert started.preroll_sample == 30 * FRAME_SAMPLES - 320 * MIC_RATE_HZ // 1000
    expected = [sound(started.preroll_sample, 30 * FRAME_SAMPLES - started.preroll_sample, voiced=False)]
    expected += [sound(n * FRAME_SAMPLES, voiced=n in (*range(30, 35), *range(44, 47))) for n in range(30, 54)]
    assert np.array_equal(transcriber.fed(0), np.concatenate(expected))


def test_late_words_come_after_the_end_of_the_turn_and_once() -> None:
    transcriber = ScriptedTranscriber()
    transcriber.open.clear()
    messages: list[ListenerMessage] = []

    async def script() -> AsyncIterator[str]:
        yield "#####" + HANGOVER
        await until(lambda: any(isinstance(message, TurnEnded) for message in messages))
        transcriber.open.set()

    listen(script(), transcriber, into=messages)
    assert kinds(messages) == ["SpeechStarted", "SpeechPaused", "TurnEnded", "final 12 frames"]
    assert transcriber.n_results == 1


def test_words_of_a_turn_that_went_on_are_dropped() -> None:
    transcriber = ScriptedTranscriber()
    transcriber.open.clear()
    messages: list[ListenerMessage] = []

    async def script() -> AsyncIterator[str]:
        yield "#####" + PAUSE
        await until(lambda: transcriber.n_results_begun == 1)
        yield "..#####"
        await until(lambda: any(isinstance(message, SpeechResumed) for message in messages))
        transcriber.open.set()
        await until(lambda: transcriber.n_results == 1)
        yield HANGOVER

    listen(script(), transcriber, into=messages)
    assert "early 12 frames" not in kinds(messages)
    assert kinds(messages)[-1] == "final 26 frames"
    assert [message.revision for message in messages] == [0, 0, 1, 1, *[1] * (len(messages) - 4)]


def test_reading_goes_on_while_words_are_looked_for() -> None:
    transcriber = ScriptedTranscriber()
    transcriber.open.clear()
    messages: list[ListenerMessage] = []

    async def script() -> AsyncIterator[str]:
        yield "#####" + HANGOVER + "." * 50 + "#####" + HANGOVER
        # The port was read to here although no words have come.
        await until(lambda: sum(isinstance(message, TurnEnded) for message in messages) == 2)
        assert transcriber.n_results == 0
        transcriber.open.set()

    listen(script(), transcriber, into=messages)
    finals = [message for message in messages if isinstance(message, Heard) and message.final]
    assert [(final.turn_id, final.text) for final in finals] == [(1, "12 frames"), (2, "22 frames")]
    assert np.array_equal(transcriber.fed(1)[-12 * FRAME_SAMPLES :][:FRAME_SAMPLES], sound(73 * 512, voiced=True))


def test_audio_that_recognition_was_too_slow_for_is_counted() -> None:
    transcriber = ScriptedTranscriber()
    transcriber.open.clear()
    messages: list[ListenerMessage] = []

    async def script() -> AsyncIterator[str]:
        yield "#####" + HANGOVER + "#####" + HANGOVER
        await until(lambda: transcriber.n_results_begun == 1)
        yield "." * (10 * MIC_RATE_HZ // FRAME_SAMPLES)
        transcriber.open.set()

    listen(script(), transcriber, settings=TurnSettings(max_turn_s=2.0), into=messages)
    first, second = (message for message in messages if isinstance(message, Heard) and message.final)
    assert first.lost_s == 0
    assert (second.text, second.audio_s) == ("0 frames", 0.0)
    assert second.lost_s == pytest.approx((10 + 5 + 7) * FRAME_SAMPLES / MIC_RATE_HZ)


def test_running_words_come_at_most_five_times_a_second_and_never_twice() -> None:
    transcriber = ChattyTranscriber()
    messages: list[ListenerMessage] = []

    async def script() -> AsyncIterator[str]:
        yield "." * 10 + "####"
        for n_frames in range(15, 75):
            yield "#"
            await until(lambda: transcriber.n_frames_fed >= n_frames - 1)  # noqa: B023 - called here and now
        yield HANGOVER

    listen(script(), transcriber, into=messages)
    texts = [message.text for message in messages if isinstance(message, PartialText)]
    spoken_s = 64 * FRAME_SAMPLES / MIC_RATE_HZ
    assert 0.7 * spoken_s * 5 < len(texts) <= spoken_s * 5 + 1
    assert len(set(texts)) == len(texts)
    paused = next(n for n, message in enumerate(messages) if isinstance(message, SpeechPaused))
    assert not any(isinstance(message, PartialText) for message in messages[paused:])


def test_the_end_of_a_recording_ends_the_turn_in_it() -> None:
    messages = listen("..#####")
    assert kinds(messages) == ["SpeechStarted", "SpeechPaused", "TurnEnded", "final 7 frames"]
    assert isinstance(messages[2], TurnEnded)
    assert messages[2].forced


def test_interrupting_the_character_takes_longer_speech() -> None:
    assert kinds(listen("......###" + HANGOVER))[0] == "SpeechStarted"
    assert listen("......###" + HANGOVER, speaking=lambda: True) == []
    assert kinds(listen("......#####" + HANGOVER, speaking=lambda: True))[0] == "SpeechStarted"


def test_in_half_duplex_the_microphone_is_deaf_to_the_character_however_late_it_is_read() -> None:
    delay_s, tail_s, frame_s = 0.5, 0.25, FRAME_SAMPLES / MIC_RATE_HZ
    silent_from_s = 100 + 40 * frame_s
    port = ScriptedPort("#" * 70 + HANGOVER)
    transcriber = ScriptedTranscriber()

    def now_s() -> float:
        """Frames are read long after they were heard."""
        return port.mic_time_s(port.n_read * FRAME_SAMPLES) + delay_s

    async def run() -> list[ListenerMessage]:
        async with Listener(
            port,
            LoudnessVad(),
            TurnTaker(),
            transcriber,
            speaking=lambda: now_s() < silent_from_s,
            half_duplex=True,
            clock=now_s,
        ) as listener:
            return [message async for message in listener.messages()]

    started = asyncio.run(run())[0]
    assert isinstance(started, SpeechStarted)
    hears_from_s = port.mic_time_s(started.at_sample)
    assert silent_from_s + tail_s - 2 * frame_s < hears_from_s < silent_from_s + tail_s + 2 * frame_s
    assert not transcriber.fed(0)[: 10 * FRAME_SAMPLES].any(), "the pre-roll holds nothing of the character's voice"


def test_a_failing_recogniser_ends_the_listening_with_its_error() -> None:
    class Failing(ScriptedTranscriber):
        def result(self) -> Transcript:
            raise VoiceModelError("the model is gone")

    with pytest.raises(ExceptionGroup) as raised:
        listen("#####" + HANGOVER + "#" * 10, Failing())
    assert raised.group_contains(VoiceModelError, match="the model is gone")


def test_leaving_waits_for_the_recognition_under_way() -> None:
    transcriber = ScriptedTranscriber()
    transcriber.open.clear()

    async def listening() -> None:
        port = ScriptedPort("#####" + HANGOVER)
        async with Listener(port, LoudnessVad(), TurnTaker(), transcriber) as listener:
            async for _ in listener.messages():
                pass

    async def run() -> None:
        task = asyncio.create_task(listening())
        await until(lambda: transcriber.n_results_begun == 1)
        task.cancel()
        await until(lambda: not any(other.get_name().startswith("listener") for other in asyncio.all_tasks()))
        assert not task.done()
        transcriber.open.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert transcriber.n_results == 1

    asyncio.run(run())


def test_cancelled_again_while_leaving_the_thread_still_ends() -> None:
    transcriber = ScriptedTranscriber()
    transcriber.open.clear()
    port = ScriptedPort("#####" + HANGOVER)
    listener = Listener(port, LoudnessVad(), TurnTaker(), transcriber)

    async def listening() -> None:
        async with listener:
            async for _ in listener.messages():
                pass

    async def run() -> None:
        task = asyncio.create_task(listening())
        await until(lambda: transcriber.n_results_begun == 1)
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(RuntimeError, match="after shutdown"):
            listener._executor.submit(transcriber.begin)
        transcriber.open.set()

    asyncio.run(run())


def test_a_listener_that_was_never_asked_to_listen_can_be_left() -> None:
    async def run() -> None:
        async with Listener(ScriptedPort(""), LoudnessVad(), TurnTaker(), ScriptedTranscriber()) as listener:
            assert listener.time_s(MIC_RATE_HZ) == 101.0

    asyncio.run(run())


def test_a_listener_listens_once() -> None:
    async def run() -> None:
        async with Listener(ScriptedPort("."), LoudnessVad(), TurnTaker(), ScriptedTranscriber()) as listener:
            assert [message async for message in listener.messages()] == []
            with pytest.raises(RuntimeError, match="once"):
                await anext(listener.messages())

    asyncio.run(run())


def test_real_ears_hear_a_real_sentence() -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx (extra `starter`) is not installed")
    from voice.sphinx import SphinxTranscriber

    class Recording(ScriptedPort):
        """A microphone in a room where somebody speaks."""

        def __init__(self) -> None:
            super().__init__("")
            self._left = frames(np.concatenate((room(1.0), say("Where do you live?"), room(1.0, seed=2))))

        async def read(self) -> MicFrame | None:
            if not self._left:
                return None
            self.n_read += 1
            return MicFrame(samples=self._left.pop(0), end_sample=self.n_read * FRAME_SAMPLES)

    async def run() -> list[ListenerMessage]:
        async with Listener(Recording(), SileroVad(), TurnTaker(), SphinxTranscriber()) as listener:
            return [message async for message in listener.messages()]

    started_s = time.monotonic()
    messages = asyncio.run(run())
    heard = messages[-1]
    assert isinstance(heard, Heard)
    assert heard.final
    assert "where do you" in heard.text
    assert 0 <= heard.asr_s < time.monotonic() - started_s
