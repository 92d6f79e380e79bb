"""The player: what was heard is told to the word, whenever it is asked and however it ends."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from voice.alignment import word_ends
from voice.messages import Clause, Pcm, Word, WordMark
from voice.player import Player

RATE_HZ = 1_000  # so that samples are milliseconds


@dataclass(slots=True)
class ScriptedSpeaker:
    """A speaker whose clock and device are moved by the test."""

    rate_hz: int = RATE_HZ
    capacity: int = 2_000
    expecting: bool = False
    played: int = 0
    samples: list[int] = field(default_factory=list)
    now_s: float = 50.0
    times: dict[int, float] = field(default_factory=dict)

    def write(self, samples: Pcm) -> int:
        n = min(len(samples), self.capacity - (len(self.samples) - self.played))
        self.samples += samples[:n].tolist()
        return n

    def written(self) -> int:
        return len(self.samples)

    def heard(self) -> int:
        return self.played

    def heard_at_s(self, sample: int) -> float | None:
        return self.times.get(sample)

    def flush(self) -> int:
        del self.samples[self.played + 5 :]
        return len(self.samples)

    def play(self, n: int) -> None:
        end = min(self.played + n, len(self.samples))
        for sample in range(self.played, end):
            self.times[sample] = self.now_s + (sample - self.played) / self.rate_hz
        self.played = end
        self.now_s += n / self.rate_hz


def clause(*texts: str, start: int = 0) -> Clause:
    words, end = [], start
    for text in texts:
        end += len(text)
        words.append(Word(text=text, end=end))
    return Clause(words=tuple(words), start=start, end=end)


def sound(n: int) -> Pcm:
    return np.arange(1, n + 1, dtype=np.int16)


FIRST = clause("Hello ", "there! ")
SECOND = clause("How ", "are ", "you?", start=FIRST.end)


def started() -> tuple[Player, ScriptedSpeaker]:
    speaker = ScriptedSpeaker()
    player = Player(speaker, clock=lambda: speaker.now_s)
    player.begin()
    return player, speaker


def say(player: Player, spoken: Clause, n: int, *marks: tuple[int, int]) -> None:
    """Add a whole clause that fits into the speaker."""
    asyncio.run(player.add(spoken, sound(n), tuple(WordMark(chars=chars, sample=sample) for chars, sample in marks)))
    player.end_clause(spoken)


def test_words_are_heard_one_after_the_other_across_clauses() -> None:
    player, speaker = started()
    say(player, FIRST, 1_000, (5, 400), (12, 900))
    say(player, SECOND, 900, (3, 300), (7, 600), (12, 900))

    offsets = []
    for _ in range(19):
        speaker.play(100)
        offsets.append(player.heard_end())

    assert offsets == [0, 0, 6, 6, 6, 6, 6, 13, 13, 13, 13, 13, 17, 17, 17, 21, 21, 21, 25]


def test_stop_returns_what_will_have_been_heard_after_the_fade() -> None:
    player, speaker = started()
    say(player, FIRST, 1_000, (5, 400), (12, 900))
    speaker.play(297)

    assert player.heard_end() == 0
    assert player.stop() == 6  # 5 more milliseconds fade out: three quarters of "Hello"
    speaker.play(5)
    assert player.heard_end() == 6
    assert player.stop() == 6


def test_stop_before_any_sound_means_nothing_was_heard() -> None:
    player, _ = started()

    assert player.stop() == 0


def test_a_new_reply_counts_from_zero() -> None:
    player, speaker = started()
    say(player, FIRST, 400)
    speaker.play(400)
    assert player.heard_end() == FIRST.end
    player.begin()
    assert player.heard_end() == 0

    say(player, FIRST, 400)
    speaker.play(200)
    assert player.heard_end() == 6


def test_chunks_of_a_clause_are_one_clause() -> None:
    player, speaker = started()
    asyncio.run(player.add(FIRST, sound(500), (WordMark(chars=5, sample=400),)))
    asyncio.run(player.add(FIRST, sound(500), (WordMark(chars=12, sample=900),)))
    player.end_clause(FIRST)
    say(player, SECOND, 300)
    speaker.play(1_000)

    assert player.heard_end() == FIRST.end


def test_the_cursor_looks_only_at_the_clause_that_sounds(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[Clause] = []

    def watched(clause: Clause, marks: Sequence[WordMark], n_samples: int) -> tuple[int, ...]:
        looked_at.append(clause)
        return word_ends(clause, marks, n_samples)

    monkeypatch.setattr("voice.player.word_ends", watched)
    player, speaker = started()
    asyncio.run(player.add(FIRST, sound(120), ()))
    player.end_clause(FIRST)
    asyncio.run(player.add(SECOND, sound(110), ()))
    player.end_clause(SECOND)
    ends = set()
    for _ in range(23):
        speaker.play(10)
        ends.add(player.heard_end())
    assert ends == {0, *(word.end for word in (*FIRST.words, *SECOND.words))}
    assert looked_at == [FIRST, SECOND]


def test_without_marks_an_unfinished_clause_is_estimated_from_the_voice_so_far() -> None:
    player, speaker = started()
    say(player, FIRST, 1_200)  # 12 letters: 100 ms each
    asyncio.run(player.add(SECOND, sound(500), ()))
    speaker.play(1_200 + 290)

    assert player.heard_end() == FIRST.end + 4  # "How" has 3 letters, of which three quarters are enough
    speaker.play(210)
    assert player.heard_end() == FIRST.end + 4


def test_what_was_reported_as_heard_is_never_taken_back() -> None:
    player, speaker = started()
    asyncio.run(player.add(FIRST, sound(300), ()))  # at 14 letters a second, "Hello" would take 357 ms
    speaker.play(290)
    assert player.heard_end() == 6
    asyncio.run(player.add(FIRST, sound(1_700), ()))  # the voice turns out to be slower
    player.end_clause(FIRST)

    assert player.heard_end() == 6


def test_a_full_speaker_is_waited_for_and_loses_nothing() -> None:
    async def scenario() -> list[int]:
        player, speaker = started()
        speaker.capacity = 100
        adding = asyncio.create_task(player.add(FIRST, sound(350), ()))
        while not adding.done():
            await asyncio.sleep(0.001)
            speaker.play(50)
        return speaker.samples

    assert asyncio.run(scenario()) == sound(350).tolist()


def test_stop_ends_a_wait_for_room_and_drops_what_came_late() -> None:
    async def scenario() -> tuple[int, int]:
        player, speaker = started()
        speaker.capacity = 100
        adding = asyncio.create_task(player.add(FIRST, sound(350), ()))
        await asyncio.sleep(0)
        player.stop()
        async with asyncio.timeout(5):
            await adding
        await player.add(SECOND, sound(100), ())
        player.end_clause(SECOND)
        return speaker.written(), player.heard_end()

    assert asyncio.run(scenario()) == (5, 0)


def test_drained_returns_once_the_last_sample_was_heard() -> None:
    async def scenario() -> None:
        player, speaker = started()
        await player.add(FIRST, sound(300), ())
        assert speaker.expecting
        player.end_clause(FIRST)
        draining = asyncio.create_task(player.drained())
        await asyncio.sleep(0)
        assert not speaker.expecting
        speaker.play(299)
        await asyncio.sleep(0)
        assert not draining.done()
        speaker.play(1)
        async with asyncio.timeout(5):
            await draining
        assert player.heard_end() == FIRST.end

    asyncio.run(scenario())


def test_stop_ends_draining() -> None:
    async def scenario() -> None:
        player, _ = started()
        await player.add(FIRST, sound(300), ())
        draining = asyncio.create_task(player.drained())
        await asyncio.sleep(0)
        player.stop()
        async with asyncio.timeout(5):
            await draining

    asyncio.run(scenario())


def test_the_first_sample_is_timed_by_the_speaker_and_not_by_when_somebody_looked() -> None:
    player, speaker = started()
    say(player, FIRST, 300)
    assert player.first_heard_s is None
    speaker.times[0] = 51.0  # the device took it and will play it in a second
    assert player.first_heard_s is None
    speaker.now_s = 54.0

    assert player.first_heard_s == 51.0
    player.begin()
    assert player.first_heard_s is None


def test_a_clause_that_made_no_sound_does_not_hold_up_the_next() -> None:
    player, speaker = started()
    player.end_clause(FIRST)
    say(player, SECOND, 400)
    speaker.play(400)

    assert player.heard_end() == SECOND.end


def test_after_a_stop_it_is_known_when_the_last_sample_is_heard() -> None:
    async def main() -> float | None:
        speaker = ScriptedSpeaker()
        player = Player(speaker)
        player.begin()
        await player.add(clause("Hello."), sound(100), ())
        speaker.play(40)
        player.stop()
        waiting = asyncio.create_task(player.last_heard_s())
        await asyncio.sleep(0)
        assert not waiting.done(), "the device has not taken the fade"
        speaker.play(10)
        return await waiting

    assert asyncio.run(main()) == pytest.approx(50.044)


def test_a_device_that_takes_nothing_any_more_is_not_waited_for() -> None:
    async def main() -> tuple[float | None, float | None]:
        speaker = ScriptedSpeaker()
        player = Player(speaker)
        player.begin()
        nothing_said = await player.last_heard_s()
        await player.add(clause("Hello."), sound(100), ())
        player.stop()
        async with asyncio.timeout(10):
            return nothing_said, await player.last_heard_s()

    assert asyncio.run(main()) == (None, None)
