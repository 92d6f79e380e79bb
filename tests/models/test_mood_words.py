"""What a feeling is called: the right word, how much of it, and the same word until another clearly fits better."""

import pytest

from models.character import starter_character
from models.engine import LlamaEngine
from models.mood import NEUTRAL, MoodState, clipped
from models.mood_words import Feeling, describe, line, name_feeling
from models.temperament import MOOD_WORDS, MoodWord, Temperament

PLAIN = Temperament()


def feeling_at(*axes: float, temperament: Temperament = PLAIN) -> MoodState:
    """The state that lies so far from the baseline."""
    rest = temperament.dynamics.baseline
    return MoodState(mood=clipped(*(a + b for a, b in zip(rest, axes, strict=True))), emotion=NEUTRAL, at_s=0.0)


def line_at(*axes: float, before: Feeling | None = None) -> str:
    return line(name_feeling(feeling_at(*axes), PLAIN, before), PLAIN)


@pytest.mark.parametrize("word", MOOD_WORDS, ids=lambda word: word.word)
def test_each_word_names_its_own_direction(word: MoodWord) -> None:
    named = name_feeling(feeling_at(*(axis * 0.9 for axis in word.at)), PLAIN)
    assert named is not None
    assert named.word == word


def test_the_line_says_how_much_and_nothing_where_nothing_is_felt() -> None:
    assert line_at(0.0, 0.0, 0.0) == ""
    assert line_at(-0.1, 0.0, -0.05) == ""
    assert line_at(-0.24, -0.06, -0.15) == "You feel a little sad."
    assert line_at(-0.5, -0.12, -0.3) == "You feel sad."
    assert line_at(-0.8, -0.2, -0.5) == "You feel very sad."


def test_a_feeling_that_wavers_at_a_border_keeps_its_name() -> None:
    before = name_feeling(feeling_at(0.41, 0.1, 0.1), PLAIN)
    assert before is not None
    for scale in (0.90, 0.97, 1.0, 1.03):
        assert name_feeling(feeling_at(0.41 * scale, 0.1 * scale, 0.1 * scale), PLAIN, before) == before
    between = feeling_at(0.42, 0.33, 0.12)  # the same way from happy as from excited
    for word in ("happy", "excited"):
        kept = Feeling(word=next(one for one in MOOD_WORDS if one.word == word), degree=1)
        assert name_feeling(between, PLAIN, kept) == kept


def test_it_is_named_from_further_out_than_it_is_kept() -> None:
    faint = feeling_at(0.16, 0.04, 0.04)
    assert name_feeling(faint, PLAIN) is None
    before = name_feeling(feeling_at(0.3, 0.08, 0.08), PLAIN)
    assert name_feeling(faint, PLAIN, before) is not None
    assert name_feeling(feeling_at(0.1, 0.02, 0.02), PLAIN, before) is None


def test_another_feeling_gets_its_own_name_at_once() -> None:
    happy = name_feeling(feeling_at(0.5, 0.1, 0.1), PLAIN)
    assert line_at(-0.5, -0.1, -0.3, before=happy) == "You feel sad."


def test_a_character_says_it_in_its_own_words() -> None:
    german = Temperament(
        line="Du bist {}.", degrees=("etwas {}", "{}", "sehr {}"), words=(MOOD_WORDS[0],)
    )  # any direction is the only word there is
    assert line(name_feeling(feeling_at(0.3, 0.0, 0.0, temperament=german), german), german) == "Du bist etwas happy."
    silent = Temperament(words=())
    assert name_feeling(feeling_at(0.9, 0.0, 0.0), silent) is None


def test_people_get_a_sentence_with_figures() -> None:
    assert describe(feeling_at(0.0, 0.0, 0.0), PLAIN).startswith("as usual: pleasure +0.00 (at rest +0.00), arousal")
    assert describe(feeling_at(-0.5, -0.12, -0.3), PLAIN).startswith("sad: pleasure -0.50")


def test_the_line_costs_the_starter_model_few_tokens(real_engine: LlamaEngine) -> None:
    pip = starter_character().temperament
    lines = [line(Feeling(word=word, degree=degree), pip) for word in (*pip.words, *MOOD_WORDS) for degree in range(3)]
    most = max(len(real_engine.vocabulary.tokenize(text, parse_special=False)) for text in lines)
    assert most <= 12
