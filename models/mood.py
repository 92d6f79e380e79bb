"""The character's own feelings, in three numbers: pleasure, arousal and dominance (PAD), each from -1 to 1.

Two layers after ALMA (Gebhard, "ALMA: A Layered Model of Affect", AAMAS 2005): an emotion, which is about something and
passes within minutes, and a mood, which the emotions leave behind and which takes hours to come back to the baseline of
the temperament. Moods are counted on a stretched scale, x = atanh(mood), which has no ends: the further out a mood is,
the less the same emotion moves it, and no time or event takes it out of its bounds. With p for the pull, x_b for the
baseline, and e > m the rates that belong to the two half-lives,

    d emotion / dt = -e emotion            dx / dt = m (x_b - x) + p (e - m) emotion

so that an emotion, once it has passed, has moved x by p times what it was, less what x lost meanwhile; p of arousal is
half that of the others. Between two impulses that is all. An impulse moves the emotion by habituation: less the more
of it is felt already. Where emotion and mood contradict each other, the emotion leads (`deviation`).

What makes an emotion is worked out in `models.appraisal`; what the state does to words, voice and body is told by the
temperament's tables. Pure: time is passed in, in seconds of any clock.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple


class Pad(NamedTuple):
    """A point or a step in the space of feelings: pleasure (displeased to pleased), arousal (drowsy to agitated) and
    dominance (at the mercy of things to in control), each from -1 to 1."""

    pleasure: float
    arousal: float
    dominance: float


NEUTRAL = Pad(0.0, 0.0, 0.0)

MOST_MOOD = 0.9
"""The furthest that emotions take a mood, whatever they are and wherever its baseline lies. Hours of nothing but joy
end long before, for want of news."""

_ROOM = Pad(0.5, 0.3, 0.4)
"""How far from the baseline the same thing over and over takes what is felt. Joy told ten times is joy, no frenzy: an
hour of it stays "happy" (tests/device/test_hour_of_talk.py). Arousal has least, as it tires first."""

_MOST_CONTRAST = 1.5
"""How many times as much it tells at most what goes against what is felt."""

_PLAIN_MOOD = 0.1
"""Distance of the mood's pleasure from the baseline from which it can be wholly contradicted."""

_YIELDS_TO = 0.15
"""Pleasure of an emotion from which a mood that it contradicts has yielded. One sad sentence is 0.15 to 0.45."""

_PULL_OF_AROUSAL = 0.5
"""Of that of the other axes. Being scolded and being glad both agitate: agitation that stayed from the one while the
other made up for its displeasure would look like surprise, which is of the moment and no mood."""

_MOST_STRETCHED = math.atanh(MOST_MOOD)
_ALMOST_ONE = 0.999


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamics:
    """How feelings come and go: where the mood comes to rest, the half-lives of emotion and mood in seconds, and how
    far a full emotion moves the mood (`pull`, 0 to 1).

    Raises ValueError if the emotion does not pass before the mood does, or a figure is out of range.
    """

    baseline: Pad = NEUTRAL
    emotion_half_life_s: float = 45.0
    mood_half_life_s: float = 5400.0
    pull: float = 0.04
    """A plain joy, of 0.5, moves the mood by a fiftieth. 0.15 took every mood to its end in an hour of cheer."""

    def __post_init__(self) -> None:
        if not all(-MOST_MOOD <= axis <= MOST_MOOD for axis in self.baseline):
            raise ValueError(f"each axis of the baseline lies from -{MOST_MOOD} to {MOST_MOOD}")
        if not 0.0 < self.emotion_half_life_s < self.mood_half_life_s < math.inf:
            raise ValueError("the half-life of an emotion lies above 0 and below that of the mood")
        if not 0.0 <= self.pull <= 1.0:
            raise ValueError("the pull lies from 0 to 1")

    @property
    def pulls(self) -> Pad:
        """How far a full emotion moves each axis of the mood."""
        return Pad(self.pull, _PULL_OF_AROUSAL * self.pull, self.pull)


@dataclass(frozen=True, slots=True, kw_only=True)
class MoodState:
    """What the character feels at `at_s`: its mood, and what has just moved it as a step away from the mood."""

    mood: Pad
    emotion: Pad
    at_s: float

    @property
    def felt(self) -> Pad:
        """Both added up, whether or not they agree; what shows of them is `shown`."""
        return clipped(*(mood + emotion for mood, emotion in zip(self.mood, self.emotion, strict=True)))


def at_rest(dynamics: Dynamics, at_s: float) -> MoodState:
    """A character to whom nothing has happened for long."""
    return MoodState(mood=dynamics.baseline, emotion=NEUTRAL, at_s=at_s)


def advance(state: MoodState, to_s: float, dynamics: Dynamics) -> MoodState:
    """The state at `to_s` if nothing happens until then. In two steps as in one, to rounding.

    If the clock ran backwards no time has passed, and the state counts from the new time on. In closed form: `settled`,
    x + pull * emotion, comes back to the baseline with the half-life of the mood and is pulled by nothing.
    """
    elapsed_s = max(0.0, to_s - state.at_s)
    emotion_left = 2.0 ** -(elapsed_s / dynamics.emotion_half_life_s)
    mood_left = 2.0 ** -(elapsed_s / dynamics.mood_half_life_s)
    moods, emotions = [], []
    for mood, emotion, rest, pull in zip(state.mood, state.emotion, dynamics.baseline, dynamics.pulls, strict=True):
        settled, settled_rest = _stretched(mood) + pull * emotion, _stretched(rest)
        emotions.append(emotion * emotion_left)
        moods.append(math.tanh(settled_rest + (settled - settled_rest) * mood_left - pull * emotions[-1]))
    return MoodState(mood=Pad(*moods), emotion=Pad(*emotions), at_s=to_s)


def felt_impulse(state: MoodState, impulse: Pad, dynamics: Dynamics) -> MoodState:
    """The state after something moved the character, at the same time.

    At rest the emotion is moved by the impulse itself. What is felt in its direction already takes from that, and from
    the whole of _ROOM on nothing of it is left: the same thing again is nothing new. What goes against it tells more,
    up to _MOST_CONTRAST.
    """
    emotion = [
        now + push * min(max(1.0 - (felt if push > 0.0 else -felt) / room, 0.0), _MOST_CONTRAST)
        for now, push, felt, room in zip(
            state.emotion, clipped(*impulse), deviation(state, dynamics), _ROOM, strict=True
        )
    ]
    return contained(MoodState(mood=state.mood, emotion=clipped(*emotion), at_s=state.at_s), dynamics)


def contained(state: MoodState, dynamics: Dynamics) -> MoodState:
    """The state with what its emotion will leave behind within MOST_MOOD, by a mood that gives way. For any point of
    the space of feelings, such as one that comes from a file."""
    emotion = clipped(*state.emotion)
    moods = []
    for mood, feeling, pull in zip(state.mood, emotion, dynamics.pulls, strict=True):
        x = _stretched(mood)
        settled = x + pull * feeling
        kept = min(max(settled, -_MOST_STRETCHED), _MOST_STRETCHED)
        moods.append(mood if kept == settled else math.tanh(x + kept - settled))
    return MoodState(mood=Pad(*moods), emotion=emotion, at_s=state.at_s)


def deviation(state: MoodState, dynamics: Dynamics) -> Pad:
    """How far what is felt lies from what the character always feels; up to 2 on an axis.

    Emotion and mood together, but for a mood whose pleasure the emotion contradicts: it yields to the emotion, with all
    of its axes, and comes back as the emotion passes. Somebody cheerful who hears of a death is sad, not half cheerful.
    """
    mood = Pad(*(now - rest for now, rest in zip(state.mood, dynamics.baseline, strict=True)))
    sign = min(max(mood.pleasure / _PLAIN_MOOD, -1.0), 1.0)
    left = 1.0 - min(max(-state.emotion.pleasure * sign / _YIELDS_TO, 0.0), 1.0)
    felt = clipped(
        *(rest + step * left + moved for rest, step, moved in zip(dynamics.baseline, mood, state.emotion, strict=True))
    )
    return Pad(*(axis - rest for axis, rest in zip(felt, dynamics.baseline, strict=True)))


def shown(state: MoodState, dynamics: Dynamics) -> Pad:
    """The point of the space of feelings that `deviation` leads to."""
    return clipped(*(rest + step for rest, step in zip(dynamics.baseline, deviation(state, dynamics), strict=True)))


def clipped(pleasure: float, arousal: float, dominance: float, most: float = 1.0) -> Pad:
    """The nearest point in the space of feelings, or in the part of it within `most` of its middle on each axis."""
    return Pad(*(min(max(axis, -most), most) for axis in (pleasure, arousal, dominance)))


def is_inside(point: Pad) -> bool:
    """Whether it is a point of the space of feelings; what is no number is not."""
    return all(-1.0 <= axis <= 1.0 for axis in point)


def _stretched(mood: float) -> float:
    return math.atanh(min(max(mood, -_ALMOST_ONE), _ALMOST_ONE))
