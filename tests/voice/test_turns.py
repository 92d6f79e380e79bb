"""Frames are drawn as text: `#` is voiced, `~` is weak (between the two thresholds), `.` is silent."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice.messages import (
    FRAME_SAMPLES,
    MIC_RATE_HZ,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
    TurnEvent,
)
from voice.turns import TurnSettings, TurnTaker

PROBABILITY = {"#": 0.9, "~": 0.4, ".": 0.05}
PAUSE = "." * 7  # 224 ms, the first whole frames beyond pause_ms
HANGOVER = "." * 18  # 576 ms


def events_of(drawn: str, taker: TurnTaker | None = None, *, speaking: bool = False, first: int = 0) -> list[TurnEvent]:
    taker = taker or TurnTaker()
    return [
        event
        for index, frame in enumerate(drawn, start=first)
        for event in taker.push((index + 1) * FRAME_SAMPLES, PROBABILITY[frame], speaking=speaking)
    ]


def kinds(events: Sequence[TurnEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def frame(index: int) -> int:
    return index * FRAME_SAMPLES


@pytest.mark.parametrize(
    "drawn",
    [
        pytest.param("." * 100, id="silence"),
        pytest.param("..#...#....#...", id="clicks"),
        pytest.param("..##.......##....", id="blips of two frames"),
        pytest.param(".~~~~~~~~~~~~~~~.", id="weak frames alone"),
        pytest.param("#.#.....#.#.....", id="two of three"),
    ],
)
def test_what_is_too_short_or_too_weak_starts_no_turn(drawn: str) -> None:
    assert events_of(drawn) == []


@pytest.mark.parametrize("drawn", ["###", "##.#", "#.##"])
def test_three_of_four_voiced_frames_start_a_turn(drawn: str) -> None:
    (started,) = events_of("." * 20 + drawn)
    assert started == SpeechStarted(
        turn_id=1, revision=0, at_sample=frame(20), preroll_sample=frame(20) - 320 * MIC_RATE_HZ // 1000
    )


def test_preroll_reaches_no_further_back_than_the_first_frame() -> None:
    (started,) = events_of("..####")
    assert isinstance(started, SpeechStarted)
    assert started.preroll_sample == 0


def test_preroll_of_the_next_turn_holds_no_voice_of_the_last() -> None:
    taker = TurnTaker(TurnSettings(preroll_ms=5000))
    events = events_of("." * 20 + "#" * 10 + HANGOVER + "####", taker)
    assert isinstance(events[-1], SpeechStarted)
    assert events[-1].preroll_sample == frame(30)


def test_a_pause_is_reported_once_and_ends_at_the_last_voiced_frame() -> None:
    events = events_of("####~~~" + PAUSE + "..")
    assert kinds(events) == ["SpeechStarted", "SpeechPaused"]
    assert events[1] == SpeechPaused(turn_id=1, revision=0, last_voiced_sample=frame(7))


def test_a_weak_frame_continues_speech_but_does_not_begin_it_again() -> None:
    events = events_of("####~.~" + "......")
    assert events[1] == SpeechPaused(turn_id=1, revision=0, last_voiced_sample=frame(5))


def test_gaps_shorter_than_a_pause_are_part_of_speech() -> None:
    assert kinds(events_of("####......####......#####")) == ["SpeechStarted"]


def test_the_hangover_ends_the_turn() -> None:
    events = events_of("#####" + HANGOVER)
    assert kinds(events) == ["SpeechStarted", "SpeechPaused", "TurnEnded"]
    assert events[2] == TurnEnded(turn_id=1, revision=0, last_voiced_sample=frame(5), forced=False)
    assert kinds(events_of("#####" + HANGOVER[1:])) == ["SpeechStarted", "SpeechPaused"]


def test_speech_after_a_pause_is_a_new_revision_of_the_same_turn() -> None:
    events = events_of("#####" + PAUSE + "..###" + HANGOVER)
    assert kinds(events) == ["SpeechStarted", "SpeechPaused", "SpeechResumed", "SpeechPaused", "TurnEnded"]
    assert events[2] == SpeechResumed(turn_id=1, revision=1, at_sample=frame(14))
    assert [event.revision for event in events] == [0, 0, 1, 1, 1]
    assert events[4] == TurnEnded(turn_id=1, revision=1, last_voiced_sample=frame(17), forced=False)


def test_a_blip_in_a_pause_neither_resumes_nor_prolongs_it() -> None:
    events = events_of("#####" + PAUSE + "#" + "." * 10)
    assert kinds(events) == ["SpeechStarted", "SpeechPaused", "TurnEnded"]
    assert events[2] == TurnEnded(turn_id=1, revision=0, last_voiced_sample=frame(5), forced=False)


def test_a_turn_does_not_end_on_a_voiced_frame() -> None:
    events = events_of("#####" + HANGOVER[1:] + "##")
    assert kinds(events) == ["SpeechStarted", "SpeechPaused", "SpeechResumed"]


def test_turns_are_numbered_from_one() -> None:
    events = events_of(("#####" + HANGOVER) * 3)
    assert [event.turn_id for event in events if isinstance(event, TurnEnded)] == [1, 2, 3]


def test_interrupting_takes_longer_speech_than_starting() -> None:
    assert events_of("..###..", speaking=True) == []
    (started,) = events_of("..####", speaking=True)
    assert isinstance(started, SpeechStarted)
    assert started.at_sample == frame(2)


def test_a_turn_that_goes_on_for_ever_is_ended_by_force() -> None:
    taker = TurnTaker(TurnSettings(max_turn_s=1.0))
    events = events_of("..." + "#" * 40, taker)
    assert kinds(events) == ["SpeechStarted", "SpeechPaused", "TurnEnded", "SpeechStarted"]
    assert events[2] == TurnEnded(turn_id=1, revision=0, last_voiced_sample=frame(35), forced=True)
    assert isinstance(events[3], SpeechStarted)
    assert events[3].preroll_sample == events[3].at_sample == frame(35)


def test_pause_and_end_come_together_when_they_are_equally_long() -> None:
    taker = TurnTaker(TurnSettings(pause_ms=400, hangover_ms=400))
    assert kinds(events_of("####" + "." * 13, taker)) == ["SpeechStarted", "SpeechPaused", "TurnEnded"]


def test_the_end_of_the_stream_ends_the_turn() -> None:
    taker = TurnTaker()
    events_of("#####", taker)
    assert taker.finish() == (
        SpeechPaused(turn_id=1, revision=0, last_voiced_sample=frame(5)),
        TurnEnded(turn_id=1, revision=0, last_voiced_sample=frame(5), forced=True),
    )
    assert taker.finish() == ()


def test_missing_frames_count_as_silence() -> None:
    taker = TurnTaker()
    events_of("#####", taker)
    assert kinds(events_of(".", taker, first=30)) == ["SpeechPaused", "TurnEnded"]


def test_frames_must_come_in_order() -> None:
    taker = TurnTaker()
    taker.push(frame(2), 0.0)
    with pytest.raises(ValueError, match="follows"):
        taker.push(frame(2), 0.0)


@pytest.mark.parametrize(
    ("nonsense", "named"),
    [
        ({"speech_on": 0.3}, "speech_on"),
        ({"speech_on": 1.5}, "speech_on"),
        ({"speech_on": math.nan}, "speech_on"),
        ({"speech_off": 0.0}, "speech_off"),
        ({"start_ms": 0}, "start_ms"),
        ({"interrupt_start_ms": -1}, "interrupt_start_ms"),
        ({"resume_ms": 0}, "resume_ms"),
        ({"pause_ms": 0}, "pause_ms"),
        ({"pause_ms": 600}, "hangover_ms = 550"),
        ({"preroll_ms": -1}, "preroll_ms"),
        ({"max_turn_s": 0.5}, "max_turn_s"),
        ({"max_turn_s": math.nan}, "max_turn_s"),
        ({"max_turn_s": math.inf}, "max_turn_s"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(nonsense: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TurnSettings(**nonsense)


# Properties -----------------------------------------------------------------------------------------------------------

drawings = st.lists(
    st.tuples(st.sampled_from("##~..."), st.integers(1, 30)).map(lambda run: run[0] * run[1]), max_size=40
).map("".join)
turn_settings = st.builds(
    TurnSettings,
    start_ms=st.integers(1, 200),
    interrupt_start_ms=st.integers(1, 400),
    resume_ms=st.integers(1, 200),
    pause_ms=st.integers(1, 400),
    hangover_ms=st.integers(400, 900),
    preroll_ms=st.integers(0, 600),
    max_turn_s=st.floats(1.5, 4.0),
)
probabilities = st.lists(st.floats(0, 1), max_size=300)


def pushed(taker: TurnTaker, judged: Sequence[float], *, first: int = 0, speaking: bool = False) -> list[TurnEvent]:
    return [
        event
        for index, probability in enumerate(judged, start=first)
        for event in taker.push(frame(index + 1), probability, speaking=speaking)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """Probabilities by frame, and the turns made of them."""

    judged: list[float]
    chosen: TurnSettings
    events: list[TurnEvent]


def checked(holds: Callable[[Conversation], None]) -> Callable[[], None]:
    """Check that something holds for drawn and for wild probabilities, to the end of the last turn."""

    @settings(deadline=None, max_examples=80)
    @given(
        judged=drawings.map(lambda drawn: [PROBABILITY[frame] for frame in drawn]) | probabilities,
        chosen=turn_settings,
        speaking=st.booleans(),
    )
    def check(judged: list[float], chosen: TurnSettings, speaking: bool) -> None:
        taker = TurnTaker(chosen)
        judged = judged + [0.0] * 60
        holds(Conversation(judged=judged, chosen=chosen, events=pushed(taker, judged, speaking=speaking)))
        assert taker.finish() == (), "every turn ends after enough silence"

    return check


@checked
def test_events_of_a_turn_come_in_order(had: Conversation) -> None:
    may_follow: dict[str, set[str]] = {
        "": {"SpeechStarted"},
        "SpeechStarted": {"SpeechPaused"},
        "SpeechPaused": {"SpeechResumed", "TurnEnded"},
        "SpeechResumed": {"SpeechPaused"},
        "TurnEnded": {"SpeechStarted"},
    }
    for before, after in zip(["", *kinds(had.events)], kinds(had.events), strict=False):
        assert after in may_follow[before]
    assert not had.events or isinstance(had.events[-1], TurnEnded)


@checked
def test_turn_ids_and_revisions_count_up(had: Conversation) -> None:
    turn_id = revision = 0
    for event in had.events:
        match event:
            case SpeechStarted():
                turn_id, revision = turn_id + 1, 0
            case SpeechResumed():
                revision += 1
        assert (event.turn_id, event.revision) == (turn_id, revision)


@checked
def test_positions_never_go_back(had: Conversation) -> None:
    position = 0
    for event in had.events:
        match event:
            case SpeechStarted(at_sample=at, preroll_sample=preroll):
                assert position <= preroll <= at
                assert at - preroll <= had.chosen.preroll_ms * MIC_RATE_HZ // 1000
                position = at
            case SpeechResumed(at_sample=at):
                assert position <= at
                position = at
            case SpeechPaused(last_voiced_sample=last) | TurnEnded(last_voiced_sample=last):
                assert position <= last
                position = last
        assert position % FRAME_SAMPLES == 0


@checked
def test_speech_begins_and_ends_at_voiced_frames(had: Conversation) -> None:
    for event in had.events:
        match event:
            case SpeechStarted(at_sample=at) | SpeechResumed(at_sample=at):
                assert had.judged[at // FRAME_SAMPLES] >= had.chosen.speech_on
            case SpeechPaused(last_voiced_sample=last) | TurnEnded(last_voiced_sample=last):
                assert had.judged[last // FRAME_SAMPLES - 1] >= had.chosen.speech_off


@checked
def test_no_turn_is_longer_than_the_maximum(had: Conversation) -> None:
    started = [event.at_sample for event in had.events if isinstance(event, SpeechStarted)]
    ended = [event for event in had.events if isinstance(event, TurnEnded)]
    for at_sample, event in zip(started, ended, strict=True):
        # One frame, because the last one may reach beyond the maximum.
        assert event.last_voiced_sample - at_sample <= had.chosen.max_turn_s * MIC_RATE_HZ + FRAME_SAMPLES


@settings(deadline=None, max_examples=50)
@given(judged=probabilities, chosen=turn_settings, first=st.integers(0, 10**9))
def test_turns_do_not_depend_on_where_the_stream_began(judged: list[float], chosen: TurnSettings, first: int) -> None:
    def relative(event: TurnEvent, origin: int) -> tuple[object, ...]:
        positions = [
            getattr(event, name) - origin
            for name in ("at_sample", "preroll_sample", "last_voiced_sample")
            if hasattr(event, name)
        ]
        return type(event), event.turn_id, event.revision, *positions

    here = [relative(event, 0) for event in pushed(TurnTaker(chosen), judged)]
    there = [relative(event, frame(first)) for event in pushed(TurnTaker(chosen), judged, first=first)]
    assert here == there
