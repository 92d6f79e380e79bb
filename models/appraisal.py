"""What events do to the character's feelings: words it hears, its own words, memories, and what its body feels.

Emotions come as GoEmotions probabilities, in the order of `models.emotions.EMOTIONS`, from the encoder; stimuli by
name from the body. Out go impulses for `models.mood.felt_impulse`. All of it is tables: points of emotions in the space
of feelings, and what an emotion of somebody else makes one feel in return. Pure.
"""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from models.emotions import EMOTIONS
from models.mood import NEUTRAL, Pad, clipped

# ALMA's points of the emotions of Ortony, Clore and Collins (Gebhard, AAMAS 2005).
_ADMIRATION = Pad(0.5, 0.3, -0.2)
_ANGER = Pad(-0.51, 0.59, 0.25)
_DISAPPOINTMENT = Pad(-0.3, 0.1, -0.4)
_DISTRESS = Pad(-0.4, -0.2, -0.5)
_FEAR = Pad(-0.64, 0.6, -0.43)
_FEARS_CONFIRMED = Pad(-0.5, -0.3, -0.7)
_GRATIFICATION = Pad(0.6, 0.5, 0.4)
_GRATITUDE = Pad(0.4, 0.2, -0.3)
_HOPE = Pad(0.2, 0.2, -0.1)
_JOY = Pad(0.4, 0.2, 0.1)
_LIKING = Pad(0.4, 0.16, -0.24)
_LOVE = Pad(0.3, 0.1, 0.2)
_PRIDE = Pad(0.4, 0.3, 0.3)
_RELIEF = Pad(0.2, -0.3, 0.4)
_REMORSE = Pad(-0.3, 0.1, -0.6)
_REPROACH = Pad(-0.3, -0.1, 0.4)
_SATISFACTION = Pad(0.3, -0.2, 0.4)
_SHAME = Pad(-0.3, 0.1, -0.6)
# Of Russell and Mehrabian, "Evidence for a three-factor theory of emotions" (1977): what the above has not.
_DISGUST = Pad(-0.6, 0.35, 0.11)
_SADNESS = Pad(-0.63, -0.27, -0.33)
_SURPRISE = Pad(0.4, 0.67, -0.13)
# Placed between the neighbours of the two lists; nobody measured them.
_ANNOYANCE = Pad(-0.3, 0.3, 0.15)
_CONFUSION = Pad(-0.15, 0.25, -0.25)
_CURIOSITY = Pad(0.15, 0.35, 0.0)
_EXCITEMENT = Pad(0.5, 0.7, 0.2)
_NERVOUSNESS = Pad(-0.3, 0.4, -0.35)
_REALIZATION = Pad(0.05, 0.2, 0.1)

POINTS: Mapping[str, Pad] = MappingProxyType(
    {
        "admiration": _ADMIRATION,
        "amusement": _JOY,
        "anger": _ANGER,
        "annoyance": _ANNOYANCE,
        "approval": _SATISFACTION,
        "caring": _LOVE,
        "confusion": _CONFUSION,
        "curiosity": _CURIOSITY,
        "desire": _HOPE,
        "disappointment": _DISAPPOINTMENT,
        "disapproval": _REPROACH,
        "disgust": _DISGUST,
        "embarrassment": _SHAME,
        "excitement": _EXCITEMENT,
        "fear": _FEAR,
        "gratitude": _GRATITUDE,
        "grief": _FEARS_CONFIRMED,
        "joy": _JOY,
        "love": _LOVE,
        "nervousness": _NERVOUSNESS,
        "optimism": _HOPE,
        "pride": _PRIDE,
        "realization": _REALIZATION,
        "relief": _RELIEF,
        "remorse": _REMORSE,
        "sadness": _SADNESS,
        "surprise": _SURPRISE,
        "neutral": NEUTRAL,
    }
)
"""Where each of the 28 emotions lies in the space of feelings."""

_REACTIONS: Mapping[str, tuple[Pad, Pad]] = MappingProxyType(
    {
        "admiration": (_PRIDE, _PRIDE),
        "amusement": (_JOY, _JOY),
        "anger": (_DISTRESS, _ANGER),
        "annoyance": (_REMORSE, _ANNOYANCE),
        "approval": (_SATISFACTION, _SATISFACTION),
        "caring": (_GRATITUDE, NEUTRAL),
        "disappointment": (_REMORSE, NEUTRAL),
        "disapproval": (_SHAME, _REPROACH),
        "disgust": (_SHAME, _DISGUST),
        "gratitude": (_GRATIFICATION, _SATISFACTION),
        "joy": (_LIKING, NEUTRAL),
        "love": (_LOVE, _PRIDE),
    }
)
"""What hearing an emotion makes one feel in return, taken as if it were meant for oneself: the most agreeable of
characters, and the least."""

FLOOR = 0.2
"""Probabilities up to this say nothing: an encoder that is sure of "neutral" gives the others a few hundredths each,
and a day of small talk must move nobody."""

_TELLS: Mapping[str, float] = MappingProxyType({"approval": 0.5, "confusion": 0.5, "curiosity": 0.25})
"""How much emotions count that ordinary talk is full of; the others count wholly. In 7 of 25 neutral sentences of a
child, all questions, the shipped encoder hears curiosity, with probabilities of 0.46 to 0.89, and hardly anything
else."""

_EMPATHY, _EMPATHY_OF_TRAIT = 0.5, 0.3
"""How much of what another feels is felt too: 0.2 by the least agreeable character, 0.8 by the most."""

_REACTION = 0.5
_OWN_WORDS = 0.1
"""How much saying something moves who says it. Well below 1: words follow the feeling, and must not feed it."""
_USUAL_OWN = 0.35
"""Of each axis of its own words: up to this they are a toy's usual tone, and only what goes beyond moves it. Twelve
ordinary replies of Pip's had a pleasure of 0 to 0.5, 0.23 in the mean, whatever they answered."""
_MEMORIES = 0.3
"""A memory of a feeling is weaker than the feeling."""

_NOVEL_AFTER_S = 10.0
"""The half-time after which a stimulus tells again: a hand that rests on the toy is reported many times a second."""


def heard_impulse(emotions: Sequence[float] | bytes, agreeableness: float) -> Pad:
    """What words of somebody with these 28 emotions do to a character that is so agreeable (-1 to 1): it feels with
    them, and in answer to them.

    `emotions` are probabilities, or the same as bytes with 255 for 1. Raises ValueError if there are not 28.
    """
    weights = _weights(emotions)
    empathy = _EMPATHY + _EMPATHY_OF_TRAIT * agreeableness
    kind = (1.0 + agreeableness) / 2.0
    total = [0.0, 0.0, 0.0]
    for name, weight in weights.items():
        agreeable, other = _REACTIONS.get(name, (NEUTRAL, NEUTRAL))
        for axis, (shared, first, second) in enumerate(zip(POINTS[name], agreeable, other, strict=True)):
            total[axis] += weight * (empathy * shared + _REACTION * (kind * first + (1.0 - kind) * second))
    return clipped(*total)


def said_impulse(emotions: Sequence[float] | bytes) -> Pad:
    """What the character's own words with these emotions do to itself: a little, and only what goes beyond its usual
    tone. As `heard_impulse`."""
    return Pad(*(_OWN_WORDS * math.copysign(max(0.0, abs(axis) - _USUAL_OWN), axis) for axis in _centre(emotions)))


def recalled_impulse(memories: Sequence[Sequence[float] | bytes]) -> Pad:
    """What memories with these emotions do, all of them together no more than one would. As `heard_impulse`."""
    if not memories:
        return NEUTRAL
    centres = [_centre(emotions) for emotions in memories]
    mean = [sum(axis) / len(centres) for axis in zip(*centres, strict=True)]
    return _scaled(Pad(*mean), _MEMORIES)


def stimulus_impulse(effect: Pad, strength: float, since_last_s: float) -> Pad:
    """What a stimulus does that at full strength has this effect: less the weaker it is (0 to 1), and less the shorter
    ago the last one of its kind was."""
    novelty = 1.0 - 2.0 ** -(max(0.0, since_last_s) / _NOVEL_AFTER_S)
    return _scaled(effect, min(1.0, max(0.0, strength)) * novelty)


def _weights(emotions: Sequence[float] | bytes) -> dict[str, float]:
    """How much each emotion but "neutral" counts: together at most 1, less what "neutral" has above FLOOR."""
    if len(emotions) != len(EMOTIONS):
        raise ValueError(f"there are {len(EMOTIONS)} emotions, not {len(emotions)}")
    most = 255.0 if isinstance(emotions, bytes) else 1.0
    shares = (float(value) / most for value in emotions)
    over = {
        name: (min(1.0, share) - FLOOR) / (1.0 - FLOOR) * _TELLS.get(name, 1.0)
        for name, share in zip(EMOTIONS, shares, strict=True)
        if share > FLOOR  # which no NaN is
    }
    plain = over.pop("neutral", 0.0)
    scale = (1.0 - plain) / max(1.0, sum(over.values()))
    return {name: weight * scale for name, weight in over.items()}


def _centre(emotions: Sequence[float] | bytes) -> Pad:
    """Where these emotions together lie."""
    weights = _weights(emotions)
    return clipped(*(sum(weight * POINTS[name][axis] for name, weight in weights.items()) for axis in range(3)))


def _scaled(point: Pad, factor: float) -> Pad:
    return Pad(*(axis * factor for axis in point))
