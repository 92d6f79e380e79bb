"""What feelings do to words, voice and body: nothing at rest, the right thing otherwise, never much, and steadily."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.flavour import MindFlavour, look_of, mind_of, prosody_of
from firmware_bridge.look import HIGHEST_FACTOR, LOWEST_FACTOR
from models.character import starter_character
from models.mood import NEUTRAL, MoodState, Pad, at_rest, clipped, contained
from models.sampling import Sampling
from models.temperament import Flavour, Temperament
from voice.messages import Prosody

PIP = starter_character().temperament
PLAIN = Temperament()
UNCOLOURED = MindFlavour()

axes = st.floats(-1.0, 1.0)
weights = st.tuples(axes, axes, axes)
states = st.builds(
    lambda mood, emotion: MoodState(mood=mood, emotion=emotion, at_s=0.0),
    st.builds(Pad, axes, axes, axes),
    st.builds(Pad, axes, axes, axes),
)
flavours = st.builds(
    lambda every, hues: Flavour(
        temperature=every, min_p=every, rate=every, pitch=every, volume=every, variation=every, hues=hues
    ),
    weights,
    st.tuples(st.floats(0.0, 360.0), st.floats(0.0, 360.0)),
)


def feeling_at(*axes: float) -> MoodState:
    return MoodState(mood=clipped(*axes), emotion=NEUTRAL, at_s=0.0)


SAD, HAPPY = feeling_at(-0.7, -0.4, -0.4), feeling_at(0.7, 0.5, 0.3)


def test_at_rest_everything_is_as_it_would_be_without_feelings() -> None:
    for temperament in (PIP, PLAIN):
        rest = at_rest(temperament.dynamics, 0.0)
        assert prosody_of(rest, temperament, Prosody()) == Prosody()
        assert mind_of(rest, temperament, UNCOLOURED) == UNCOLOURED
        assert UNCOLOURED.of(Sampling(seed=7)) == Sampling(seed=7)
        look = look_of(rest, temperament)
        assert (look.brightness, look.tempo, look.amplitude) == (1.0, 1.0, 1.0)


def test_sadness_is_slow_soft_low_and_flat_and_joy_is_not() -> None:
    sad, happy = (prosody_of(state, PLAIN, Prosody()) for state in (SAD, HAPPY))
    assert (sad.rate, sad.pitch, sad.volume, sad.variation) < (1.0, 1.0, 1.0, 1.0)
    for quality in ("rate", "pitch", "volume", "variation"):
        assert getattr(sad, quality) < 1.0 < getattr(happy, quality)


def test_excitement_makes_words_bolder_and_greedy_stays_greedy() -> None:
    bold, tired = (
        mind_of(feeling_at(0.2, 0.9, 0.0), PLAIN, UNCOLOURED),
        mind_of(feeling_at(0, -0.9, 0), PLAIN, UNCOLOURED),
    )
    base = Sampling(temperature=0.4, min_p=0.05, top_k=12)
    assert tired.of(base).temperature < 0.4 < bold.of(base).temperature
    assert bold.of(base).min_p < 0.05 < tired.of(base).min_p
    assert bold.of(base).top_k == 12
    assert bold.of(replace(base, temperature=0.0)).temperature == 0.0


def test_the_body_is_warm_when_pleased_quick_when_excited_and_large_when_sure() -> None:
    assert look_of(feeling_at(1.0, 0.0, 0.0), PLAIN).hue_deg == 45.0
    assert look_of(feeling_at(-1.0, 0.0, 0.0), PLAIN).hue_deg == 220.0
    quick, slow = look_of(feeling_at(0, 0.8, 0), PLAIN), look_of(feeling_at(0, -0.8, 0), PLAIN)
    assert quick.tempo > 1.0 > slow.tempo
    assert quick.brightness > 1.0 > slow.brightness
    assert look_of(feeling_at(0, 0, 0.8), PLAIN).amplitude > 1.0 > look_of(feeling_at(0, 0, -0.8), PLAIN).amplitude


@given(states, flavours)
@settings(deadline=None, max_examples=150)
def test_no_feeling_and_no_table_goes_beyond_the_bounds(state: MoodState, flavour: Flavour) -> None:
    temperament = replace(PLAIN, flavour=flavour)
    prosody = prosody_of(state, temperament, Prosody())
    assert 0.8 <= prosody.rate <= 1.25
    assert 0.85 <= prosody.pitch <= 1.2
    assert 0.7 <= prosody.volume <= 1.15
    assert 0.6 <= prosody.variation <= 1.5
    mind = mind_of(state, temperament, UNCOLOURED)
    assert 0.8 <= mind.temperature <= 1.2
    assert mind.of(Sampling(min_p=0.98)).min_p < 1.0
    look = look_of(state, temperament)
    assert 0.0 <= look.hue_deg <= 360.0
    for factor in (look.brightness, look.tempo, look.amplitude):
        assert LOWEST_FACTOR <= factor <= HIGHEST_FACTOR


@given(states.map(lambda state: contained(state, PIP.dynamics)), axes)
@settings(deadline=None, max_examples=150)
def test_what_was_prepared_in_a_pause_still_fits_after_it(state: MoodState, wobble: float) -> None:
    """An emotion loses 1% in a pause of 550 ms. Whatever was chosen for this very state stays; what has stayed from an
    earlier one to the end of its play may not."""
    before = prosody_of(state, PIP, Prosody(rate=0.5, pitch=0.5, volume=0.5, variation=0.5))
    moved = replace(state, emotion=Pad(*(axis * (1.0 - 0.01 * abs(wobble)) for axis in state.emotion)))
    assert prosody_of(moved, PIP, before) == before


def test_what_has_passed_is_heard_no_more() -> None:
    prosody = prosody_of(SAD, PLAIN, Prosody())
    for share in (0.7, 0.4, 0.2, 0.1, 0.05, 0.0):
        prosody = prosody_of(feeling_at(-0.7 * share, -0.4 * share, -0.4 * share), PLAIN, prosody)
    assert prosody == Prosody()


def test_steps_are_the_same_figures_however_they_are_reached() -> None:
    assert prosody_of(SAD, PLAIN, Prosody()).rate == pytest.approx(0.85)
    assert prosody_of(SAD, PLAIN, Prosody(rate=1.25)) == prosody_of(SAD, PLAIN, Prosody(rate=1.0))
