"""The timeline: whose milliseconds they were, in at most 80 columns."""

from collections.abc import Mapping

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from device.timeline import STAGES, render, stages, turn_events
from device.trace import Value


def record(event: str, t_s: Value, *, turn: int = 1) -> Mapping[str, Value]:
    return {"t_s": t_s, "turn": turn, "revision": 0, "event": event}


def evenly(step_s: float = 0.1) -> dict[str, float]:
    return {event: 10 + number * step_s for number, (event, _) in enumerate(STAGES)}


def test_the_events_of_one_turn_are_taken_the_later_of_two() -> None:
    records = [record("first_token", 1.0), record("first_token", 2.5), record("first_token", 9, turn=2)]
    assert turn_events(records, 1) == {"first_token": 2.5}
    assert turn_events(records, 3) == {}


def test_each_stage_took_the_time_since_the_one_before() -> None:
    rows = stages(evenly())
    assert [row.event for row in rows] == [event for event, _ in STAGES[1:]]
    assert [round(row.took_ms) for row in rows] == [100] * 8
    assert [round(row.at_ms) for row in rows] == list(range(100, 900, 100))


def test_a_turn_that_was_not_answered_aloud_has_no_stages() -> None:
    events = evenly()
    del events["first_audio_heard"]
    assert stages(events) == ()
    assert render(()) == "No turn was answered aloud."


def test_every_stage_has_a_bar() -> None:
    events = evenly(0.0001)
    events["first_audio_heard"] += 5
    lines = render(stages(events)).splitlines()
    assert len(lines) == 9
    assert all("█" in line for line in lines[1:])


@given(
    st.lists(st.floats(0, 30, allow_nan=False), min_size=len(STAGES), max_size=len(STAGES)),
)
@hypothesis_settings(deadline=None, max_examples=100)
def test_whatever_the_times_it_keeps_within_80_columns(times: list[float]) -> None:
    events = {event: time_s for (event, _), time_s in zip(STAGES, times, strict=True)}
    text = render(stages(events))
    assert max(map(len, text.splitlines())) <= 80
    assert all("█" in line for line in text.splitlines()[1:])
