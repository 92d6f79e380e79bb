"""Traits make a baseline, and a character file says all of it or nothing; each mistake in it is named."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.character import load_character, starter_character
from models.errors import CharacterError
from models.mood import NEUTRAL, Pad, is_inside
from models.temperament import MOOD_WORDS, STIMULI, Flavour, MoodWord, Temperament, Traits, baseline

trait = st.floats(-1.0, 1.0)
START = 'name = "Pip"\npersona = "x"\n'

FULL = """
[traits]
openness = 0.5
neuroticism = -1
[feelings]
emotion_half_life_s = 20
mood_half_life_s = 3600
pull = 0.1
line = "Du bist {}."
degrees = ["etwas {}", "{}", "sehr {}"]
[flavour]
rate = [0.1, 0.3, -0.1]
hues = [240, 60]
[stimuli]
dark = [-0.5, 0.2, -0.4]
hugged = [0.5, 0, 0]
[[moods]]
word = "froh"
at = [0.8, 0.2, 0.2]
expression = "wag"
[[moods]]
word = "müde"
at = [0, -1, 0]
"""


def written(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "pip.toml"
    path.write_text(START + content, encoding="utf-8")
    return path


def test_nobody_in_particular_rests_in_the_middle() -> None:
    assert baseline(Traits()) == NEUTRAL
    assert Temperament().dynamics.baseline == NEUTRAL


def test_the_baseline_is_that_of_the_regression() -> None:
    assert baseline(Traits(extraversion=1.0)) == pytest.approx(Pad(0.21, 0.0, 0.60))
    assert baseline(Traits(agreeableness=1.0)) == pytest.approx(Pad(0.59, 0.30, -0.32))
    assert baseline(Traits(neuroticism=-1.0)) == pytest.approx(Pad(0.19, -0.57, 0.0))
    assert baseline(Traits(openness=1.0, conscientiousness=1.0)) == pytest.approx(Pad(0.0, 0.15, 0.42))


@given(trait, trait, trait, trait, trait)
def test_every_baseline_can_be_felt(o: float, c: float, e: float, a: float, n: float) -> None:
    traits = Traits(openness=o, conscientiousness=c, extraversion=e, agreeableness=a, neuroticism=n)
    assert is_inside(baseline(traits))


def test_traits_have_bounds() -> None:
    for wrong in (1.1, float("nan")):
        with pytest.raises(ValueError, match="extraversion"):
            Traits(extraversion=wrong)


def test_everything_in_a_file_is_read(tmp_path: Path) -> None:
    read = load_character(written(tmp_path, FULL)).temperament
    assert read == Temperament(
        traits=Traits(openness=0.5, neuroticism=-1.0),
        emotion_half_life_s=20.0,
        mood_half_life_s=3600.0,
        pull=0.1,
        line="Du bist {}.",
        degrees=("etwas {}", "{}", "sehr {}"),
        words=(
            MoodWord(word="froh", at=Pad(0.8, 0.2, 0.2), expression="wag"),
            MoodWord(word="müde", at=Pad(0.0, -1.0, 0.0)),
        ),
        flavour=Flavour(rate=(0.1, 0.3, -0.1), hues=(240.0, 60.0)),
        stimuli=tuple({**STIMULI, "dark": Pad(-0.5, 0.2, -0.4), "hugged": Pad(0.5, 0.0, 0.0)}.items()),
    )


def test_a_file_that_says_nothing_has_the_usual_tables(tmp_path: Path) -> None:
    assert load_character(written(tmp_path, "")).temperament == Temperament()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[traits]\nopeness = 0.1", "'openess' of traits; did you mean 'openness'?"),
        ("[traits]\nopenness = 2", "openness of traits must be a number from -1 to 1"),
        ("[traits]\nopenness = true", "openness of traits must be a number"),
        ("[traits]\nopenness = nan", "openness of traits must be a number"),
        ("traits = 3", "traits must be a table"),
        ("[feelings]\npul = 1", "'pul' of feelings; did you mean 'pull'?"),
        ("[feelings]\nmood_half_life_s = 1e400", "mood_half_life_s of feelings must be a number from 60"),
        ("[feelings]\nemotion_half_life_s = 100\nmood_half_life_s = 90", "must be below mood_half_life_s"),
        ('[feelings]\nline = "You feel."', "line of feelings must have one {}"),
        ('[feelings]\nline = "{} and {}"', "must have one {}"),
        ('[feelings]\nline = "a\\n{}"', "a text of one line"),
        ('[feelings]\ndegrees = ["{}"]', "degrees of feelings must be three texts"),
        ("[flavour]\nspeed = [0, 0, 0]", "'speed' of flavour"),
        ("[flavour]\nrate = 1", "rate of flavour must be three numbers"),
        ("[flavour]\nrate = [0, 0, 9]", "rate of flavour must be a number from -1 to 1"),
        ("[flavour]\nhues = [0]", "hues of flavour must be two colours"),
        ("[flavour]\nhues = [0, 400]", "hues of flavour must be a number from 0 to 360"),
        ("[stimuli]\ndark = 'x'", "dark of stimuli must be three numbers"),
        ("moods = 3", "moods must be a list"),
        ("[[moods]]\nat = [1, 0, 0]", "word of mood 1 must be a text"),
        ("[[moods]]\nword = 'a'\nat = [0, 0, 0]", "at of mood 1 must lie in some direction"),
        ("[[moods]]\nword = 'a'", "at of mood 1 must be three numbers"),
        ("[[moods]]\nword = 'a'\nat = [1, 0, 0]\nface = 'x'", "'face' of mood 1"),
        ("[[moods]]\nword = 'a'\nat = [1, 0, 0]\nexpression = 3", "expression of mood 1 must be a text"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: str, reason: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(CharacterError) as caught:
        load_character(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_pip_is_a_friendly_fox() -> None:
    pip = starter_character().temperament
    assert pip.dynamics.baseline.pleasure > 0.3
    assert "wag" in {word.expression for word in pip.words}
    assert dict(pip.stimuli)["dark"] != STIMULI["dark"]


def test_every_weight_lets_nothing_out_of_hand() -> None:
    for flavour in (Flavour(), starter_character().temperament.flavour):
        for one in fields(Flavour):
            weights = getattr(flavour, one.name)
            assert one.name == "hues" or all(-1.0 <= weight <= 1.0 for weight in weights)
    assert all(any(word.at) and is_inside(word.at) for word in MOOD_WORDS)
