"""Free wordings of gestures become what a body can express, or nothing."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.body import ExpressionName
from firmware_bridge.gestures import expression_for


@pytest.mark.parametrize(
    ("gesture", "name"),
    [
        ("smiles", "smile"),
        ("Smiled at you, warmly", "smile"),
        ("looks happy", "smile"),
        ("giggling", "laugh"),
        ("pouts", "frown"),
        ("cries", "cry"),
        ("sobbed", "cry"),
        ("cheeks blushing", "blush"),
        ("gasps", "surprise"),
        ("opens its eyes wide", "surprise"),
        ("nods", "nod"),
        ("nodding slowly", "nod"),
        ("shakes her head no", "shake_head"),
        ("shook his head", "shake_head"),
        ("Tilts its head to one side", "tilt_head"),
        ("bows", "bow"),
        ("lowers head", "bow"),
        ("looks up at you", "look"),
        ("gazed into the fire", "look"),
        ("stares", "look"),
        ("winks", "blink"),
        ("wags tail", "wag"),
        ("tail wagging furiously", "wag"),
        ("TAIL_SWISHES", "wag"),
        ("ears perk up", "ears_up"),
        ("ears flattened against its head", "ears_back"),
        ("waves a paw", "wave"),
        ("hugged you tight", "hug"),
        ("shrugging", "shrug"),
        ("hops around", "jump"),
        ("bouncing", "jump"),
        ("twirls", "dance"),
        ("shivers", "tremble"),
        ("purring", "purr"),
        ("heart beats faster", "heartbeat"),
        ("takes a deep breath", "breathe"),
        ("sighed", "breathe"),
        ("yawns sleepily", "yawn"),
        ("falls asleep", "sleep"),
        ("closes eyes", "sleep"),
        ("wakes up", "wake"),
    ],
)
def test_a_wording_names_an_expression(gesture: str, name: str) -> None:
    expression = expression_for(gesture, at_s=5.0)
    assert expression is not None
    assert expression.name == ExpressionName(name)


@pytest.mark.parametrize(
    "gesture",
    [
        "",
        "😊",
        "clears throat",
        "hopes you like it",
        "points at a star",
        "picks up an earring",
        "doesn\u2019t smile",
        "stops wagging",
        "tries not to laugh",
        "without looking",
        "and " * 20 + "smiles",
    ],
)
def test_what_no_body_shows_is_nothing(gesture: str) -> None:
    assert expression_for(gesture, at_s=5.0) is None


@pytest.mark.parametrize(("gesture", "intensity"), [("smiles softly", 0.3), ("smiles", 0.6), ("smiles broadly", 0.9)])
def test_an_adverb_says_how_much(gesture: str, intensity: float) -> None:
    expression = expression_for(gesture, at_s=5.0)
    assert expression is not None
    assert expression.intensity == intensity


@settings(deadline=None, max_examples=200)
@given(gesture=st.text(max_size=60))
def test_any_text_is_an_expression_or_nothing(gesture: str) -> None:
    expression = expression_for(gesture, at_s=5.0)
    assert expression is None or expression.at_s == 5.0


def test_every_expression_can_be_asked_for_by_its_own_name() -> None:
    for name in ExpressionName:
        expression = expression_for(name.replace("_", " "), at_s=5.0)
        assert expression is not None
        assert expression.name == name
