"""The feelings of a companion: moved by what happens, steady within a turn, and woken in the mood that was earned."""

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from device.feelings import LINE_HOLD_S, SAVE_EVERY_S, STIMULUS_KEPT_EVERY_S, Feelings, figures, state_of
from firmware_bridge.body import ExpressionName
from memory.messages import Stimulus
from memory.moods import Mood, last_stimuli, load_mood, save_mood
from memory.worker import AsyncMemory
from models.character import Character, starter_character
from models.emotions import EMOTIONS
from models.errors import CharacterError
from models.mood import MoodState, Pad, at_rest
from models.sampling import Sampling
from models.temperament import MoodWord, Temperament
from voice.messages import Prosody

PIP = starter_character()
HOUR_S = 3600.0
MIDNIGHT = 1_700_000_000.0


def words(**shares: float) -> list[float]:
    return [shares.get(name, 0.0) for name in EMOTIONS]


SAD, GLAD, QUIET = words(sadness=0.9, grief=0.6), words(joy=0.9, excitement=0.5), words(neutral=0.95)


class Clock:
    """The time that passes, and the time of day, which may be set without it."""

    def __init__(self) -> None:
        self.passed_s, self.day_s = 1000.0, MIDNIGHT

    def wait(self, seconds: float) -> None:
        self.passed_s += seconds
        self.day_s += seconds


class Kept:
    """Feelings over a memory, and what they told."""

    def __init__(self, memory: AsyncMemory | None = None, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.told: list[MoodState] = []
        self.feelings = Feelings(
            PIP,
            memory=memory,
            person="Anna",
            clock_s=lambda: self.clock.passed_s,
            time_s=lambda: self.clock.day_s,
            on_change=self.told.append,
        )

    @property
    def pleasure(self) -> float:
        return self.feelings.state.felt.pleasure


def with_memory(folder: Path, work: Callable[[AsyncMemory], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncMemory.open(folder / "memory.db") as memory:
            await work(memory)

    asyncio.run(main())


def test_it_begins_at_rest_and_colours_nothing() -> None:
    feelings = Kept().feelings
    assert feelings.line() == ""
    assert feelings.sampling(Sampling(seed=3)) == Sampling(seed=3)
    assert feelings.prosody() == Prosody()
    assert feelings.expression(1.0) is None
    assert feelings.look().tempo == 1.0
    assert feelings.describe().startswith("as usual")


def test_it_feels_with_whoever_talks_to_it() -> None:
    kept = Kept()
    before = kept.pleasure
    kept.feelings.heard(SAD)
    assert kept.pleasure < before - 0.2
    sad = kept.feelings.prosody()
    assert sad.rate < 1.0
    kept.feelings.said(SAD)
    assert kept.feelings.line() == "You feel sad."
    assert kept.feelings.describe().startswith("sad: pleasure")
    face = kept.feelings.expression(5.0)
    assert face is not None
    assert (face.name, face.intensity, face.at_s) == (ExpressionName.EARS_BACK, 0.6, 5.0)


def test_words_that_were_not_the_final_ones_were_never_felt() -> None:
    kept, other = Kept(), Kept()
    for emotions in (SAD, QUIET, SAD, GLAD):
        kept.feelings.recalled([SAD])
        kept.feelings.recalled([])
        kept.feelings.heard(emotions)
    other.feelings.heard(GLAD)
    assert kept.feelings.state == other.feelings.state
    kept.feelings.said()
    kept.feelings.heard(GLAD)
    assert kept.pleasure > other.pleasure, "the same words in the next turn are new words"


def test_what_the_body_feels_between_two_versions_of_the_words_stays() -> None:
    kept, other = Kept(), Kept()
    kept.feelings.heard(SAD)
    kept.feelings.stimulus("touched")
    kept.feelings.heard(QUIET)
    other.feelings.stimulus("touched")
    assert kept.feelings.state.felt == pytest.approx(other.feelings.state.felt)


def test_what_is_recalled_is_felt_besides_what_is_heard() -> None:
    kept, other = Kept(), Kept()
    kept.feelings.recalled([SAD, SAD])
    kept.feelings.heard(GLAD)
    other.feelings.heard(GLAD)
    assert kept.pleasure < other.pleasure


def test_the_line_of_a_turn_stays_whatever_is_felt_in_it() -> None:
    kept = Kept()
    assert kept.feelings.line() == ""
    kept.feelings.heard(SAD)
    kept.feelings.stimulus("fall")
    kept.clock.wait(20.0)
    assert kept.feelings.line() == ""
    kept.feelings.said()
    assert kept.feelings.line() != ""


def test_the_line_of_a_turn_is_the_same_if_it_is_asked_for_late() -> None:
    early, late = Kept(), Kept()
    for kept in (early, late):
        kept.feelings.heard(SAD)
        kept.feelings.said(SAD)
    asked = early.feelings.line()
    for kept in (early, late):
        kept.feelings.heard(GLAD)
    assert early.feelings.line() == late.feelings.line() == asked != ""


def test_a_turn_that_nobody_finished_does_not_keep_its_line_for_ever() -> None:
    kept = Kept()
    kept.feelings.heard(SAD)
    kept.feelings.said(SAD)
    assert "sad" in kept.feelings.line()
    kept.clock.wait(LINE_HOLD_S - 1.0)
    assert "sad" in kept.feelings.line()
    kept.clock.wait(8 * HOUR_S)
    assert kept.feelings.line() == ""


def test_everybody_who_watches_is_told_in_numbers() -> None:
    kept = Kept()
    kept.feelings.heard(SAD)
    kept.feelings.stimulus("dark")
    kept.feelings.said()
    assert len(kept.told) == 3
    assert kept.told[-1].felt == pytest.approx(kept.feelings.state.felt)
    told = figures(kept.told[0])
    assert set(told) == {f"{what}_{axis}" for what in ("mood", "felt") for axis in Pad._fields}
    assert told["felt_pleasure"] < told["mood_pleasure"]


def test_what_nobody_has_a_feeling_for_moves_nothing() -> None:
    kept = Kept()
    kept.feelings.stimulus("tickled by a comet")
    assert kept.told == []


def test_the_body_gets_there_slowly() -> None:
    kept = Kept()
    rest = kept.feelings.look()
    kept.feelings.stimulus("fall")
    assert kept.feelings.look() == rest
    kept.clock.wait(0.1)
    assert 0.0 < kept.feelings.look().hue_deg - rest.hue_deg <= 4.0 + 1e-9


def test_an_expression_that_no_body_has_is_told_at_once() -> None:
    odd = Character(
        name="X",
        persona="x",
        temperament=Temperament(words=(MoodWord(word="odd", at=Pad(1, 0, 0), expression="wagg"),)),
    )
    with pytest.raises(CharacterError, match=r"'odd' has the expression 'wagg'.*known are smile"):
        Feelings(odd)


def test_it_wakes_in_the_mood_it_earned_less_what_passed(tmp_path: Path) -> None:
    clock = Clock()

    async def evening(memory: AsyncMemory) -> None:
        kept = Kept(memory, clock)
        await kept.feelings.restore()
        for _ in range(240):  # an hour of it
            kept.feelings.heard(SAD)
            kept.feelings.said(SAD)
            clock.wait(15.0)
        await kept.feelings.save(at_once=True)

    async def later(memory: AsyncMemory) -> None:
        soon, morning = Kept(memory, clock), Kept(memory, clock)
        await soon.feelings.restore()
        assert "sad" in soon.feelings.line()
        assert soon.feelings.state.emotion.pleasure > -0.01
        clock.passed_s, clock.day_s = 3.0, clock.day_s + 10 * HOUR_S  # a reboot: the monotonic clock begins anew
        await morning.feelings.restore()
        assert morning.feelings.line() == ""
        assert morning.pleasure < at_rest(PIP.temperament.dynamics, 0.0).mood.pleasure

    with_memory(tmp_path, evening)
    clock.passed_s, clock.day_s = 50.0, clock.day_s + HOUR_S
    with_memory(tmp_path, later)


def test_a_board_that_wakes_in_the_past_keeps_its_mood(tmp_path: Path) -> None:
    async def main(memory: AsyncMemory) -> None:
        kept = Kept(memory)
        kept.feelings.heard(SAD)
        await kept.feelings.save(at_once=True)
        clock = Clock()
        clock.day_s = 0.0
        woken = Kept(memory, clock)
        await woken.feelings.restore()
        assert woken.feelings.state.felt == pytest.approx(kept.feelings.state.felt)

    with_memory(tmp_path, main)


def test_a_clock_that_is_set_right_lets_no_feeling_pass() -> None:
    kept = Kept()
    kept.feelings.heard(SAD)
    before = kept.feelings.state
    kept.clock.day_s += 50 * 365 * 24 * HOUR_S
    assert kept.feelings.state == before


def test_moods_are_written_seldom_and_only_when_something_was_felt(tmp_path: Path) -> None:
    async def main(memory: AsyncMemory) -> None:
        kept = Kept(memory)
        await kept.feelings.save(at_once=True)
        assert await memory.ask(load_mood, PIP.name) is None
        kept.feelings.heard(SAD)
        await kept.feelings.save()
        assert await memory.ask(load_mood, PIP.name) is None
        kept.clock.wait(SAVE_EVERY_S)
        await kept.feelings.save()
        first = await memory.ask(load_mood, PIP.name)
        assert first is not None
        assert first.felt_at == kept.clock.day_s
        kept.clock.wait(SAVE_EVERY_S)
        await kept.feelings.save()
        assert await memory.ask(load_mood, PIP.name) == first

    with_memory(tmp_path, main)


def test_of_what_the_body_feels_one_a_minute_is_remembered(tmp_path: Path) -> None:
    async def main(memory: AsyncMemory) -> None:
        kept = Kept(memory)
        for _ in range(100):
            kept.feelings.stimulus("touched", 0.5)
            kept.clock.wait(0.1)
        kept.feelings.stimulus("fall", 7.0)
        await kept.feelings.save(at_once=True)
        kept.clock.wait(STIMULUS_KEPT_EVERY_S)
        kept.feelings.stimulus("touched")
        await kept.feelings.save(at_once=True)
        felt = await memory.ask(last_stimuli, PIP.name, 10)
        assert [(one.kind, one.strength) for one in felt] == [("touched", 0.5), ("fall", 1.0), ("touched", 1.0)]
        assert felt[0].happened_at == MIDNIGHT

    with_memory(tmp_path, main)


def test_a_mood_that_nobody_can_feel_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main(memory: AsyncMemory) -> None:
        await memory.ask(save_mood, PIP.name, Mood(**dict.fromkeys(Mood.__slots__, 3.0)))
        kept = Kept(memory)
        await kept.feelings.restore()
        assert kept.feelings.state.felt == pytest.approx(PIP.temperament.dynamics.baseline)

    with caplog.at_level(logging.WARNING):
        with_memory(tmp_path, main)
    assert "it begins at rest" in caplog.text
    assert state_of(Mood(**dict.fromkeys(Mood.__slots__, 0.5))) == MoodState(
        mood=Pad(0.5, 0.5, 0.5), emotion=Pad(0.5, 0.5, 0.5), at_s=0.5
    )


def test_where_memory_fails_it_is_said_and_nothing_is_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "memory.db"

    async def main(memory: AsyncMemory) -> None:
        kept = Kept(memory)
        kept.feelings.stimulus("fall")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("DROP TABLE stimuli")
        with caplog.at_level(logging.WARNING):
            await kept.feelings.save(at_once=True)
        assert "the mood was not kept" in caplog.text
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(
                "CREATE TABLE stimuli (id INTEGER PRIMARY KEY, character_id INTEGER, person_id INTEGER, kind TEXT, "
                "strength REAL, happened_at REAL)"
            )
        await kept.feelings.save(at_once=True)
        kept_stimuli = await memory.ask(last_stimuli, PIP.name, 5)
        assert kept_stimuli == (Stimulus(kind="fall", strength=1.0, happened_at=MIDNIGHT),)

    with_memory(tmp_path, main)


def test_without_memory_nothing_is_kept_and_nothing_fails() -> None:
    async def main() -> None:
        kept = Kept()
        kept.feelings.heard(GLAD)
        await kept.feelings.restore()
        await kept.feelings.save(at_once=True)
        assert kept.feelings.sampling(replace(Sampling(), temperature=0.5)).temperature > 0.5

    asyncio.run(main())
