"""From the gestures a model writes between asterisks to what a body can express. Pure.

A small model writes "wags tail happily", "Tilts its head to one side", "smiled at you": endless wordings of few things.
A table of words finds which, whatever their ending, and an adverb says how much of it; everything else is nothing that
a body could show, and None. Wordings are English, as those of nearly all character cards are.
"""

import re
from collections.abc import Iterator
from itertools import islice

from firmware_bridge.body import Expression, ExpressionName

_MAX_WORDS = 16
"""A gesture is a few words; a paragraph between asterisks is narration, of which the beginning is looked at."""

# The first row whose groups all have a word in the gesture decides, so the more particular stand first. Words stand in
# their base form, and for all their endings.
_GESTURES: tuple[tuple[ExpressionName, tuple[str, ...]], ...] = (
    (ExpressionName.EARS_BACK, ("ear", "back flat flatten droop lower fold down lay laid pin drop")),
    (ExpressionName.EARS_UP, ("ear", "perk prick up raise lift twitch swivel stand forward")),
    (ExpressionName.WAG, ("wag",)),
    (ExpressionName.WAG, ("tail", "swish thump sway flick swing wiggle")),
    (ExpressionName.SHAKE_HEAD, ("head", "shake shook shaken")),
    (ExpressionName.TILT_HEAD, ("head", "tilt cock lean")),
    (ExpressionName.BOW, ("head", "bow lower hang")),
    (ExpressionName.HEARTBEAT, ("heart heartbeat", "heartbeat beat race pound thump flutter skip glow pulse")),
    (ExpressionName.NOD, ("nod",)),
    (ExpressionName.YAWN, ("yawn",)),
    (ExpressionName.SLEEP, ("sleep slept asleep snore doze drowse nap slumber",)),
    (ExpressionName.SLEEP, ("eye", "close shut")),
    (ExpressionName.WAKE, ("wake woke waken awake awoke awaken",)),
    (ExpressionName.SURPRISE, ("eye", "wide widen")),
    (ExpressionName.SURPRISE, ("gasp startle surprise astonish amaze",)),
    (ExpressionName.WAKE, ("eye", "open")),
    (ExpressionName.LAUGH, ("laugh laughter giggle chuckle chortle snicker cackle",)),
    (ExpressionName.CRY, ("cry sob weep wept tear sniffle whimper",)),
    (ExpressionName.BLUSH, ("blush redden",)),
    (ExpressionName.SMILE, ("smile grin beam",)),
    (ExpressionName.FROWN, ("frown pout scowl sulk grimace",)),
    (ExpressionName.HUG, ("hug cuddle snuggle embrace nuzzle",)),
    (ExpressionName.WAVE, ("wave",)),
    (ExpressionName.BOW, ("bow curtsy",)),
    (ExpressionName.SHRUG, ("shrug",)),
    (ExpressionName.DANCE, ("dance twirl spin spun whirl prance",)),
    (ExpressionName.JUMP, ("jump hop leap leapt bounce skip",)),
    (ExpressionName.TREMBLE, ("tremble shiver shudder quiver shake shook quake",)),
    (ExpressionName.PURR, ("purr",)),
    (ExpressionName.BREATHE, ("breath breathe sigh exhale inhale",)),
    (ExpressionName.BLINK, ("blink wink",)),
    (ExpressionName.SMILE, ("happy cheerful",)),
    (ExpressionName.FROWN, ("sad gloomy",)),
    (ExpressionName.LOOK, ("look gaze stare peer glance watch peek squint",)),
)

# How much, when an adverb says so; the three figures are chosen so that a body shows them apart.
_SLIGHTLY, _PLAINLY, _STRONGLY = 0.3, 0.6, 0.9
_SLIGHT_WORDS = (
    "slight slightly gentle gently soft softly faint faintly little bit small quiet quietly shy shyly weakly"
)
_STRONG_WORDS = (
    "wild wildly big bright brightly broad broadly excitedly furiously vigorously hard loud loudly very madly"
)
_NEGATIONS = "not never without stop refuse cannot"


def expression_for(gesture: str, at_s: float) -> Expression | None:
    """What a free wording such as "wags tail wildly" asks of a body, at that time (seconds of `time.monotonic`).

    None if it names nothing that a body expresses, or says that it is not done.
    """
    found = re.finditer("[a-z]+(?:'[a-z]+)?", gesture.lower().replace("\u2019", "'"))
    words = [word.group() for word in islice(found, _MAX_WORDS)]
    bases = {base for word in words for base in _bases(word)}
    if _one_of(_NEGATIONS, bases) or any(word.endswith("n't") for word in words):
        return None
    for name, groups in _GESTURES:
        if all(_one_of(group, bases) for group in groups):
            return Expression(name=name, intensity=_intensity(bases), at_s=at_s)
    return None


def _intensity(bases: set[str]) -> float:
    if _one_of(_SLIGHT_WORDS, bases):
        return _SLIGHTLY
    return _STRONGLY if _one_of(_STRONG_WORDS, bases) else _PLAINLY


def _one_of(group: str, bases: set[str]) -> bool:
    return not bases.isdisjoint(group.split())


def _bases(word: str) -> Iterator[str]:
    """The base forms that `word` may be a form of: "hopping" of hop, "hoping" of hope. Not all of them are words."""
    yield word
    if word.endswith(("ies", "ied")):
        yield word[:-3] + "y"
    elif word.endswith(("ses", "xes", "zes", "ches", "shes")):
        yield word[:-2]
        yield word[:-1]
    elif word.endswith("s"):
        yield word[:-1]
    for ending in ("ed", "ing"):
        stem = word.removesuffix(ending)
        if stem != word:
            yield stem + "e"
            if stem[-1:] == stem[-2:-1] and _doubles_its_last_letter(stem[:-1]):
                yield stem[:-1]
            if not _doubles_its_last_letter(stem):
                yield stem


def _doubles_its_last_letter(base: str) -> bool:
    """True of "hop", whose forms are "hopped" and "hopping"."""
    return re.fullmatch("[^aeiou]*[aeiou][^aeiouwxy]", base) is not None
