"""What a character's feelings do to its words, its voice and its body: from a state, by the character's own table.

The one place where the vocabularies of `models`, `voice` and `firmware_bridge` meet over feelings. All factors are 1 at
the baseline and stay within narrow bounds; those of sampling and voice go in steps with some play, so that what was
prepared ahead with one of them still fits a moment later. Pure.
"""

from dataclasses import dataclass, replace

from firmware_bridge.look import HIGHEST_FACTOR, LOWEST_FACTOR, Look
from models.mood import MoodState, Pad, deviation, shown
from models.sampling import Sampling
from models.temperament import Temperament, Weights
from voice.messages import Prosody

_TEMPERATURE_BOUNDS, _MIN_P_BOUNDS = (0.8, 1.2), (0.6, 1.5)
"""A 135M model keeps to the subject at a temperature of 0.4 and loses it at 0.7: 0.48 is still safe."""

_RATE_BOUNDS, _PITCH_BOUNDS = (0.8, 1.25), (0.85, 1.2)
_VOLUME_BOUNDS, _VARIATION_BOUNDS = (0.7, 1.15), (0.6, 1.5)
"""Plainly heard, and still the same person: eSpeak NG begins to clip above 1.15."""

_STEP = 0.05
"""Of every factor of sampling and voice. No ear tells 5% of a rate or a pitch between two replies."""

_PLAY = 0.75
"""Steps that a figure may be away from the factor in use. With half a step there would be no play at all."""

_HIGHEST_MIN_P = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class MindFlavour:
    """Factors of the sampler's temperature and min-p."""

    temperature: float = 1.0
    min_p: float = 1.0

    def of(self, base: Sampling) -> Sampling:
        """`base`, more or less adventurous. Greedy stays greedy."""
        return replace(
            base,
            temperature=base.temperature * self.temperature,
            min_p=min(base.min_p * self.min_p, _HIGHEST_MIN_P),
        )


def mind_of(state: MoodState, temperament: Temperament, before: MindFlavour) -> MindFlavour:
    """How adventurous the words are in this state. `before` is what they were last."""
    step, flavour = deviation(state, temperament.dynamics), temperament.flavour
    return MindFlavour(
        temperature=_stepped(_factor(step, flavour.temperature, _TEMPERATURE_BOUNDS), before.temperature),
        min_p=_stepped(_factor(step, flavour.min_p, _MIN_P_BOUNDS), before.min_p),
    )


def prosody_of(state: MoodState, temperament: Temperament, before: Prosody) -> Prosody:
    """How the voice sounds in this state. `before` is how it sounded last."""
    step, flavour = deviation(state, temperament.dynamics), temperament.flavour
    return Prosody(
        rate=_stepped(_factor(step, flavour.rate, _RATE_BOUNDS), before.rate),
        pitch=_stepped(_factor(step, flavour.pitch, _PITCH_BOUNDS), before.pitch),
        volume=_stepped(_factor(step, flavour.volume, _VOLUME_BOUNDS), before.volume),
        variation=_stepped(_factor(step, flavour.variation, _VARIATION_BOUNDS), before.variation),
    )


def look_of(state: MoodState, temperament: Temperament) -> Look:
    """What the body looks like in this state: the hue by pleasure itself, the rest by the distance from the baseline.

    How fast it may get there is for `firmware_bridge.look.approached`.
    """
    step, flavour = deviation(state, temperament.dynamics), temperament.flavour
    low, high = flavour.hues
    bounds = (LOWEST_FACTOR, HIGHEST_FACTOR)
    return Look(
        hue_deg=low + (high - low) * (shown(state, temperament.dynamics).pleasure + 1.0) / 2.0,
        brightness=_factor(step, flavour.brightness, bounds),
        tempo=_factor(step, flavour.tempo, bounds),
        amplitude=_factor(step, flavour.amplitude, bounds),
    )


def _factor(step: Pad, weights: Weights, bounds: tuple[float, float]) -> float:
    low, high = bounds
    factor = 1.0 + sum(distance * weight for distance, weight in zip(step, weights, strict=True))
    return min(max(factor, low), high)


def _stepped(factor: float, before: float) -> float:
    if abs(factor - before) <= _PLAY * _STEP:
        return before
    return round(round(factor / _STEP) * _STEP, 6)
