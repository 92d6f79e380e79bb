"""Reading a temperament: the tables `traits`, `feelings`, `moods`, `flavour` and `stimuli` of a character file.

    [traits]                 # the Big Five, -1 to 1; what is left out is 0
    extraversion = 0.5
    [feelings]               # half-lives, pull, how the feeling is told to the model
    mood_half_life_s = 7200
    [[moods]]                # words of its own, in place of the usual ones
    word = "happy"
    at = [0.8, 0.2, 0.2]     # pleasure, arousal, dominance
    expression = "wag"
    [flavour]                # what a step on each axis adds to the factor; `hues` are two colours
    rate = [0.1, 0.2, 0.0]
    [stimuli]                # what the body feels; these are added to the usual ones
    dark = [-0.3, 0.2, -0.4]

What is left out is as in `models.temperament`. Every mistake is a CharacterError that names the key.
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from models.errors import CharacterError
from models.key_check import check_keys
from models.mood import Pad
from models.temperament import STIMULI, Flavour, MoodWord, Temperament, Traits

TABLES = ("traits", "feelings", "moods", "flavour", "stimuli")

_FEELINGS = {
    "emotion_half_life_s": (1.0, 3600.0),
    "mood_half_life_s": (60.0, 30 * 86_400.0),
    "pull": (0.0, 1.0),
}
_TRAITS = tuple(trait.name for trait in fields(Traits))
_FLAVOURS = tuple(one.name for one in fields(Flavour))

_MOST_LETTERS = 60
"""Of a line or a word: the line is prefilled in every turn."""

_MOST_ENTRIES = 64


def read_temperament(path: Path, table: Mapping[str, Any]) -> Temperament:
    """The temperament of the character in `path`, whose content is `table`. Raises CharacterError."""
    parts = {key: _table(path, table, key) for key in ("traits", "feelings", "flavour", "stimuli")}
    check_keys(path, parts["traits"], _TRAITS, " of traits")
    check_keys(path, parts["feelings"], (*_FEELINGS, "line", "degrees"), " of feelings")
    check_keys(path, parts["flavour"], _FLAVOURS, " of flavour")
    traits = {key: _number(path, value, f"{key} of traits", -1.0, 1.0) for key, value in parts["traits"].items()}
    flavour: dict[str, Any] = {
        key: _hues(path, value) if key == "hues" else _point(path, value, f"{key} of flavour")
        for key, value in parts["flavour"].items()
    }
    stimuli = {key: _point(path, value, f"{key} of stimuli") for key, value in parts["stimuli"].items()}
    settings = _feelings(path, parts["feelings"])
    if "moods" in table:
        settings["words"] = _words(path, table["moods"])
    temperament = Temperament(
        traits=Traits(**traits),
        flavour=Flavour(**flavour),
        stimuli=tuple({**STIMULI, **stimuli}.items()),
        **settings,
    )
    if temperament.emotion_half_life_s >= temperament.mood_half_life_s:
        raise CharacterError(f"{path}: emotion_half_life_s of feelings must be below mood_half_life_s")
    return temperament


def _feelings(path: Path, table: Mapping[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {
        key: _number(path, table[key], f"{key} of feelings", *bounds)
        for key, bounds in _FEELINGS.items()
        if key in table
    }
    if "line" in table:
        read["line"] = _template(path, table["line"], "line of feelings")
    if "degrees" in table:
        degrees = table["degrees"]
        if not isinstance(degrees, list) or len(degrees) != 3:
            raise CharacterError(f"{path}: degrees of feelings must be three texts: slight, plain, strong")
        read["degrees"] = tuple(_template(path, degree, "degrees of feelings") for degree in degrees)
    return read


def _words(path: Path, moods: Any) -> tuple[MoodWord, ...]:
    if not isinstance(moods, list) or not all(isinstance(mood, dict) for mood in moods) or len(moods) > _MOST_ENTRIES:
        raise CharacterError(f"{path}: moods must be a list of at most {_MOST_ENTRIES} tables, each with word and at")
    words = []
    for number, mood in enumerate(moods, start=1):
        where = f" of mood {number}"
        check_keys(path, mood, ("word", "at", "expression"), where)
        at = _point(path, mood.get("at"), f"at{where}")
        if not any(at):
            raise CharacterError(f"{path}: at{where} must lie in some direction; nothing felt needs no word")
        word = _text(path, mood.get("word"), f"word{where}")
        expression = mood.get("expression", "")
        if not isinstance(expression, str):
            raise CharacterError(f"{path}: expression{where} must be a text")
        words.append(MoodWord(word=word, at=at, expression=expression.strip()))
    return tuple(words)


def _table(path: Path, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict) or len(value) > _MOST_ENTRIES:
        raise CharacterError(f"{path}: {key} must be a table, [{key}], of at most {_MOST_ENTRIES} keys")
    return value


def _hues(path: Path, value: Any) -> tuple[float, float]:
    if not isinstance(value, list) or len(value) != 2:
        raise CharacterError(f"{path}: hues of flavour must be two colours in degrees: of displeasure and of pleasure")
    low, high = (_number(path, hue, "hues of flavour", 0.0, 360.0) for hue in value)
    return low, high


def _point(path: Path, value: Any, what: str) -> Pad:
    if not isinstance(value, list) or len(value) != 3:
        raise CharacterError(f"{path}: {what} must be three numbers: pleasure, arousal, dominance")
    return Pad(*(_number(path, axis, what, -1.0, 1.0) for axis in value))


def _number(path: Path, value: Any, what: str, low: float, high: float) -> float:
    # Not a number compares as False.
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise CharacterError(f"{path}: {what} must be a number from {low:g} to {high:g}")
    return float(value)


def _template(path: Path, value: Any, what: str) -> str:
    text = _text(path, value, what)
    if text.count("{}") != 1:
        raise CharacterError(f"{path}: {what} must have one {{}}, where the feeling stands")
    return text


def _text(path: Path, value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _MOST_LETTERS or not value.isprintable():
        raise CharacterError(f"{path}: {what} must be a text of one line with 1 to {_MOST_LETTERS} letters")
    return value.strip()
