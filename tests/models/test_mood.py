"""Feelings come, pull the mood along, and pass; however time is cut, and whatever happens, within their bounds."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.mood import (
    MOST_MOOD,
    NEUTRAL,
    Dynamics,
    MoodState,
    Pad,
    advance,
    at_rest,
    contained,
    deviation,
    felt_impulse,
    is_inside,
    shown,
)

DAY_S = 86_400.0
PLAIN = Dynamics()
ROOM = (0.5, 0.3, 0.4)
"""Of `models.mood`: how far the same thing over and over takes each axis of what is felt."""

axes = st.floats(-1.0, 1.0)
points = st.builds(Pad, axes, axes, axes)
rests = st.floats(-MOST_MOOD, MOST_MOOD)
dynamics = st.builds(
    lambda baseline, emotion_s, times, pull: Dynamics(
        baseline=baseline, emotion_half_life_s=emotion_s, mood_half_life_s=emotion_s * times, pull=pull
    ),
    st.builds(Pad, rests, rests, rests),
    st.floats(1.0, 600.0),
    st.floats(1.01, 1000.0),
    st.floats(0.0, 1.0),
)
durations = st.floats(0.0, 10 * DAY_S)
wild = st.floats(allow_nan=False, allow_infinity=False)


def near(state: MoodState, other: MoodState) -> bool:
    return all(
        math.isclose(a, b, abs_tol=1e-12)
        for a, b in zip((*state.mood, *state.emotion), (*other.mood, *other.emotion), strict=True)
    )


def settled(state: MoodState, how: Dynamics) -> list[float]:
    """Where the mood would go if the emotion passed at once, on the stretched scale."""
    return [
        math.atanh(mood) + pull * emotion
        for mood, emotion, pull in zip(state.mood, state.emotion, how.pulls, strict=True)
    ]


@given(points, points, dynamics, durations, durations)
@settings(deadline=None, max_examples=200)
def test_two_steps_of_time_are_one(mood: Pad, emotion: Pad, how: Dynamics, first_s: float, then_s: float) -> None:
    state = contained(MoodState(mood=mood, emotion=emotion, at_s=0.0), how)
    stepwise = advance(advance(state, first_s, how), first_s + then_s, how)
    assert near(stepwise, advance(state, first_s + then_s, how))


@given(points, points, dynamics, durations, wild, wild, wild)
@settings(deadline=None, max_examples=200)
def test_nothing_leaves_the_space_of_feelings(
    mood: Pad, emotion: Pad, how: Dynamics, later_s: float, pleasure: float, arousal: float, dominance: float
) -> None:
    state = felt_impulse(
        contained(MoodState(mood=mood, emotion=emotion, at_s=0.0), how), Pad(pleasure, arousal, dominance), how
    )
    for at_s in (0.0, later_s / 100, later_s):
        now = advance(state, at_s, how)
        assert is_inside(now.mood)
        assert is_inside(now.emotion)
        assert max(map(abs, settled(now, how))) <= math.atanh(MOST_MOOD) + 1e-9, "what is left behind is bounded too"


def test_hours_of_joy_have_an_end_and_leave_room_for_more() -> None:
    state, joy = at_rest(PLAIN, 0.0), Pad(0.3, 0.1, 0.0)
    for turn in range(1000):
        state = felt_impulse(advance(state, turn * 15.0, PLAIN), joy, PLAIN)
    assert 0.3 < state.mood.pleasure < state.felt.pleasure < 0.5
    evening = advance(state, 15_000.0 + 4 * 3600.0, PLAIN)
    assert 0.02 < evening.mood.pleasure < 0.1


@given(points, st.floats(1.0, 120.0), st.floats(-0.5, 0.5))
@settings(deadline=None, max_examples=60)
def test_the_same_for_hours_goes_no_further_than_its_room(impulse: Pad, every_s: float, rest: float) -> None:
    how = Dynamics(baseline=Pad(rest, rest, rest))
    state = at_rest(how, 0.0)
    for turn in range(500):
        state = felt_impulse(advance(state, turn * every_s, how), impulse, how)
        for mood, felt, push, room in zip(state.mood, deviation(state, how), impulse, ROOM, strict=True):
            assert abs(mood - rest) < room + 0.05
            assert abs(felt) <= max(room, abs(push)) + 1e-9, "no more than it would be as news, or than its room"


@given(points, points, points)
@settings(deadline=None, max_examples=200)
def test_a_shade_more_is_felt_as_a_shade_more(mood: Pad, emotion: Pad, towards: Pad) -> None:
    """What a contradicted mood yields, it yields without a jump."""
    shade = 1e-6
    near_by = Pad(*(axis + shade * (aim - axis) for axis, aim in zip(emotion, towards, strict=True)))
    moved = Pad(*(axis + shade * (aim - axis) for axis, aim in zip(mood, towards, strict=True)))
    first = deviation(MoodState(mood=mood, emotion=emotion, at_s=0.0), PLAIN)
    for other in (MoodState(mood=mood, emotion=near_by, at_s=0.0), MoodState(mood=moved, emotion=emotion, at_s=0.0)):
        assert deviation(other, PLAIN) == pytest.approx(first, abs=100 * shade)


def test_an_emotion_that_contradicts_the_mood_is_felt_alone() -> None:
    rest = Pad(0.3, 0.0, 0.1)
    how = Dynamics(baseline=rest)
    cheerful = MoodState(mood=Pad(0.7, 0.3, 0.3), emotion=NEUTRAL, at_s=0.0)
    assert deviation(cheerful, how) == pytest.approx(Pad(0.4, 0.3, 0.2))
    sad = MoodState(mood=cheerful.mood, emotion=Pad(-0.4, -0.2, -0.2), at_s=0.0)
    assert deviation(sad, how) == pytest.approx(sad.emotion)
    assert shown(sad, how) == pytest.approx(Pad(-0.1, -0.2, -0.1))
    over = advance(sad, 600.0, how)
    assert deviation(over, how).pleasure > 0.3, "the mood comes back"
    glad_of_it = MoodState(mood=cheerful.mood, emotion=Pad(0.1, 0.1, 0.0), at_s=0.0)
    assert deviation(glad_of_it, how) == pytest.approx(Pad(0.5, 0.4, 0.2))


def test_agitation_stays_less_than_pleasure() -> None:
    state = felt_impulse(at_rest(PLAIN, 0.0), Pad(0.4, 0.4, 0.4), PLAIN)
    mood = advance(state, 600.0, PLAIN).mood
    assert mood.arousal == pytest.approx(mood.pleasure / 2, rel=0.01)
    assert mood.dominance == mood.pleasure


def test_the_closed_form_solves_the_equations() -> None:
    how = Dynamics(baseline=Pad(0.3, -0.1, 0.0), emotion_half_life_s=45.0, mood_half_life_s=600.0, pull=0.3)
    emotion_rate, mood_rate = math.log(2) / 45.0, math.log(2) / 600.0
    start = MoodState(mood=Pad(-0.2, 0.4, 0.1), emotion=Pad(0.8, -0.5, 0.3), at_s=0.0)
    steps, until_s = 60_000, 120.0
    x, emotion = list(map(math.atanh, start.mood)), list(start.emotion)
    for _ in range(steps):
        for axis, rest in enumerate(how.baseline):
            pulled = how.pulls[axis] * (emotion_rate - mood_rate) * emotion[axis]
            x[axis] += (mood_rate * (math.atanh(rest) - x[axis]) + pulled) * until_s / steps
            emotion[axis] -= emotion_rate * emotion[axis] * until_s / steps
    assert advance(start, until_s, how).mood == pytest.approx(list(map(math.tanh, x)), abs=1e-5)
    assert advance(start, until_s, how).emotion == pytest.approx(emotion, abs=1e-5)


def test_an_emotion_halves_in_its_half_life_and_leaves_a_mood_behind() -> None:
    state = felt_impulse(at_rest(PLAIN, 0.0), Pad(0.8, 0.0, 0.0), PLAIN)
    assert (state.mood, state.emotion) == (NEUTRAL, Pad(0.8, 0.0, 0.0))
    later = advance(state, PLAIN.emotion_half_life_s, PLAIN)
    assert later.emotion.pleasure == pytest.approx(0.4)
    after = advance(state, 10 * 60.0, PLAIN)
    assert after.emotion.pleasure < 0.001
    assert after.mood.pleasure == pytest.approx(0.8 * PLAIN.pull, rel=0.1)


def test_after_a_day_without_anything_the_baseline_is_back() -> None:
    how = Dynamics(baseline=Pad(0.4, 0.0, 0.2))
    state = felt_impulse(at_rest(how, 0.0), Pad(-1.0, 1.0, -1.0), how)
    assert max(map(abs, deviation(advance(state, DAY_S, how), how))) < 1e-4


def test_a_clock_that_runs_backwards_changes_nothing_but_the_time() -> None:
    state = felt_impulse(at_rest(PLAIN, 1000.0), Pad(0.5, 0.5, 0.5), PLAIN)
    back = advance(state, -1e9, PLAIN)
    assert near(back, state)
    assert advance(back, -1e9 + 45.0, PLAIN).emotion.pleasure == pytest.approx(0.25)


def test_a_hundred_years_later_it_is_at_rest() -> None:
    state = felt_impulse(at_rest(PLAIN, 0.0), Pad(1.0, -1.0, 1.0), PLAIN)
    assert near(advance(state, 100 * 365 * DAY_S, PLAIN), at_rest(PLAIN, 0.0))


def test_the_same_again_adds_less_and_the_opposite_tells_more() -> None:
    once = felt_impulse(at_rest(PLAIN, 0.0), Pad(0.2, 0.0, 0.0), PLAIN)
    twice = felt_impulse(once, Pad(0.2, 0.0, 0.0), PLAIN)
    against = felt_impulse(once, Pad(-0.2, 0.0, 0.0), PLAIN)
    assert once.emotion.pleasure == pytest.approx(0.2)
    assert twice.emotion.pleasure - once.emotion.pleasure == pytest.approx(0.2 * 0.6)
    assert against.emotion.pleasure - once.emotion.pleasure == pytest.approx(-0.2 * 1.4)


def test_nothing_felt_moves_nothing() -> None:
    state = felt_impulse(at_rest(PLAIN, 0.0), Pad(0.3, -0.2, 0.1), PLAIN)
    assert felt_impulse(state, NEUTRAL, PLAIN) == state


def test_what_is_felt_is_mood_and_emotion_together() -> None:
    state = MoodState(mood=Pad(0.6, -0.2, 0.0), emotion=Pad(0.7, 0.1, -0.3), at_s=0.0)
    assert state.felt == pytest.approx(Pad(1.0, -0.1, -0.3))


@pytest.mark.parametrize(
    "wrong",
    [
        {"baseline": Pad(0.95, 0.0, 0.0)},
        {"baseline": Pad(float("nan"), 0.0, 0.0)},
        {"emotion_half_life_s": 0.0},
        {"emotion_half_life_s": 6000.0},
        {"mood_half_life_s": float("inf")},
        {"pull": 1.5},
    ],
)
def test_dynamics_that_cannot_be_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"from|above"):
        Dynamics(**wrong)  # type: ignore[arg-type]  # of the right types, but for their values
