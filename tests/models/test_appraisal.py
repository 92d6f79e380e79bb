"""What is heard, said, remembered and felt by the body moves the character: in the right direction, and never far."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.appraisal import POINTS, heard_impulse, recalled_impulse, said_impulse, stimulus_impulse
from models.emotions import EMOTIONS
from models.mood import MOST_MOOD, NEUTRAL, Dynamics, Pad, advance, at_rest, deviation, felt_impulse, is_inside
from models.temperament import STIMULI

probabilities = st.lists(st.floats(0.0, 1.0), min_size=28, max_size=28)
KIND, UNKIND = 1.0, -1.0


def feeling(**shares: float) -> list[float]:
    return [shares.get(name, 0.02) for name in EMOTIONS]


def as_bytes(shares: Sequence[float]) -> bytes:
    return bytes(round(255 * share) for share in shares)


def test_every_emotion_has_its_place() -> None:
    assert set(POINTS) == set(EMOTIONS)
    assert all(map(is_inside, POINTS.values()))
    assert POINTS["neutral"] == NEUTRAL


@given(probabilities, st.floats(-1.0, 1.0))
@settings(deadline=None, max_examples=100)
def test_no_words_move_further_than_a_whole_step(shares: list[float], agreeableness: float) -> None:
    for impulse in (heard_impulse(shares, agreeableness), said_impulse(shares), recalled_impulse([shares, shares])):
        assert is_inside(impulse)


@pytest.mark.parametrize("name", ["joy", "love", "gratitude", "admiration", "excitement", "relief", "amusement"])
def test_good_news_please_and_bad_ones_do_not(name: str) -> None:
    assert heard_impulse(feeling(**{name: 0.9}), KIND).pleasure > 0.05


@pytest.mark.parametrize("name", ["sadness", "grief", "anger", "fear", "disgust", "remorse", "disappointment"])
@pytest.mark.parametrize("agreeableness", [KIND, 0.0, UNKIND])
def test_what_makes_people_unhappy_makes_it_unhappy(name: str, agreeableness: float) -> None:
    assert heard_impulse(feeling(**{name: 0.9}), agreeableness).pleasure < -0.05


def test_the_kind_yield_to_anger_and_the_unkind_answer_it() -> None:
    angry = feeling(anger=0.9)
    assert heard_impulse(angry, KIND).dominance < 0.0 < heard_impulse(angry, UNKIND).dominance


def test_the_kind_feel_more_of_a_sorrow() -> None:
    sad = feeling(sadness=0.9)
    assert heard_impulse(sad, KIND).pleasure < 2 * heard_impulse(sad, UNKIND).pleasure


def test_talk_without_feeling_moves_nothing() -> None:
    quiet = feeling(neutral=0.9, approval=0.15, curiosity=0.19)
    assert heard_impulse(quiet, KIND) == said_impulse(quiet) == recalled_impulse([quiet]) == NEUTRAL
    assert heard_impulse([0.0] * 28, KIND) == NEUTRAL


def test_neutral_takes_its_share() -> None:
    plain, mixed = feeling(joy=0.8), feeling(joy=0.8, neutral=0.8)
    assert 0.0 < heard_impulse(mixed, KIND).pleasure < heard_impulse(plain, KIND).pleasure


def test_questions_and_nods_count_little() -> None:
    """Ordinary talk is full of them, and they are as clear to the encoder as joy."""
    asked = heard_impulse(feeling(curiosity=0.9), 0.5)
    assert 0.0 < math.hypot(*asked) < 0.06
    assert math.hypot(*heard_impulse(feeling(approval=0.9), 0.5)) < 0.3
    assert heard_impulse(feeling(curiosity=0.6, neutral=0.5), 0.5).arousal < 0.6 * asked.arousal


def test_its_usual_tone_moves_it_not_at_all() -> None:
    for share in (0.2, 0.5, 0.8):
        assert said_impulse(feeling(joy=share)).pleasure == 0.0
    assert said_impulse(feeling(love=0.99)) == NEUTRAL
    assert math.hypot(*said_impulse(feeling(admiration=0.98))) < 0.02
    assert -0.05 < said_impulse(feeling(sadness=0.99)).pleasure < -0.02


def test_bytes_say_the_same_as_probabilities() -> None:
    shares = feeling(joy=0.6, surprise=0.4)
    assert heard_impulse(as_bytes(shares), 0.3) == pytest.approx(heard_impulse(shares, 0.3), abs=0.01)


def test_its_own_words_and_memories_move_it_less_than_what_it_hears() -> None:
    sad = feeling(sadness=0.9)
    heard = heard_impulse(sad, 0.0).pleasure
    assert heard < said_impulse(sad).pleasure < 0.0
    assert heard < recalled_impulse([sad]).pleasure < 0.0
    assert recalled_impulse([sad] * 5) == pytest.approx(recalled_impulse([sad]))
    assert recalled_impulse([]) == NEUTRAL


def test_a_vector_of_something_else_is_refused() -> None:
    for wrong in ([], [0.5] * 27, b"\0" * 384):
        with pytest.raises(ValueError, match="28 emotions"):
            heard_impulse(wrong, 0.0)


@pytest.mark.parametrize("odd", [float("nan"), -3.0, 7.0, float("inf")])
def test_odd_figures_do_no_harm(odd: float) -> None:
    shares = feeling(joy=0.5)
    shares[2] = odd
    assert is_inside(heard_impulse(shares, KIND))


def test_a_stimulus_tells_by_its_strength_and_less_if_it_has_just_told() -> None:
    effect = STIMULI["shaken"]
    assert stimulus_impulse(effect, 1.0, float("inf")) == effect
    half = stimulus_impulse(effect, 0.5, float("inf"))
    assert half == pytest.approx(tuple(axis / 2 for axis in effect))
    assert abs(stimulus_impulse(effect, 1.0, 0.1).arousal) < 0.05 * abs(effect.arousal)
    for strength, since_s in ((-1.0, 5.0), (float("nan"), 5.0), (1.0, -5.0)):
        assert max(map(abs, stimulus_impulse(effect, strength, since_s))) == 0.0
    assert stimulus_impulse(effect, 9.0, float("inf")) == effect


def test_a_day_of_small_talk_leaves_no_trace_and_a_hand_on_the_toy_no_frenzy() -> None:
    how = Dynamics()
    state = at_rest(how, 0.0)
    for turn in range(2000):
        heard = heard_impulse(feeling(neutral=0.95, approval=0.1), KIND)
        state = felt_impulse(advance(state, turn * 30.0, how), heard, how)
    assert max(map(abs, deviation(state, how))) == 0.0
    for tick in range(6000):  # ten minutes at 10 Hz
        push = stimulus_impulse(STIMULI["touched"], 1.0, 0.1)
        state = felt_impulse(advance(state, 60_000.0 + tick * 0.1, how), push, how)
    assert 0.1 < state.mood.pleasure < MOST_MOOD
    assert max(map(abs, deviation(advance(state, 160_000.0, how), how))) < 1e-3


def test_points_are_those_of_alma_where_it_has_them() -> None:
    assert POINTS["joy"] == Pad(0.4, 0.2, 0.1)
    assert POINTS["anger"] == Pad(-0.51, 0.59, 0.25)
    assert POINTS["fear"] == Pad(-0.64, 0.6, -0.43)
    assert POINTS["gratitude"] == Pad(0.4, 0.2, -0.3)
