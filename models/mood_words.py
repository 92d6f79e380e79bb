"""What a feeling is called: a word of the character's and how much of it, steady enough to stand in a prompt.

From a state and a temperament comes a `Feeling`, or none near the baseline; from that one short line for the prompt's
volatile block, or a sentence for people. A feeling keeps its name until another fits clearly better: a line that
flickered would cost the words prefilled behind it. Pure.
"""

import math
from dataclasses import dataclass

from models.mood import MoodState, Pad, deviation, shown
from models.temperament import MoodWord, Temperament

_SHOWN_FROM, _HIDDEN_BELOW = 0.20, 0.14
"""Distance from the baseline from which a feeling has a name, and below which it has none any more. A single sentence
that is plainly sad moves Pip by 0.3 to 0.5."""

_DEGREES_FROM = (0.0, 0.40, 0.80)
"""Distance from which a feeling is slight, plain, strong."""

_DEGREE_MARGIN = 0.05
_WORD_MARGIN = 0.08
"""By how much the cosine of another word must be better."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeling:
    """A word of the temperament, and its degree: 0 slight, 1 plain, 2 strong."""

    word: MoodWord
    degree: int


def name_feeling(state: MoodState, temperament: Temperament, before: Feeling | None = None) -> Feeling | None:
    """What this state is called, `before` being what it was called last; None where nothing much is felt."""
    step = deviation(state, temperament.dynamics)
    distance = math.hypot(*step)
    if not temperament.words or distance < (_HIDDEN_BELOW if before else _SHOWN_FROM):
        return None
    best = max(temperament.words, key=lambda word: _cosine(step, word.at))
    if before is not None and _cosine(step, best.at) < _cosine(step, before.word.at) + _WORD_MARGIN:
        best = before.word
    return Feeling(word=best, degree=_degree(distance, before.degree if before and before.word == best else None))


def line(feeling: Feeling | None, temperament: Temperament) -> str:
    """One line that tells the model what it feels; empty where that is nothing in particular."""
    return temperament.line.replace("{}", _named(feeling, temperament)) if feeling else ""


def describe(state: MoodState, temperament: Temperament) -> str:
    """The state for people, in one sentence with its figures; no words of anybody."""
    feeling = name_feeling(state, temperament)
    named = _named(feeling, temperament) if feeling else "as usual"
    axes = ", ".join(
        f"{axis} {felt:+.2f} (at rest {rest:+.2f})"
        for axis, felt, rest in zip(
            Pad._fields, shown(state, temperament.dynamics), temperament.dynamics.baseline, strict=True
        )
    )
    return f"{named}: {axes}"


def _named(feeling: Feeling, temperament: Temperament) -> str:
    return temperament.degrees[feeling.degree].replace("{}", feeling.word.word)


def _degree(distance: float, before: int | None) -> int:
    degree = sum(distance >= start for start in _DEGREES_FROM) - 1
    if before is None or degree == before:
        return degree
    border = _DEGREES_FROM[max(degree, before)]
    return degree if abs(distance - border) > _DEGREE_MARGIN or abs(degree - before) > 1 else before


def _cosine(step: Pad, towards: Pad) -> float:
    length = math.hypot(*step) * math.hypot(*towards)
    return sum(a * b for a, b in zip(step, towards, strict=True)) / length if length else 0.0
