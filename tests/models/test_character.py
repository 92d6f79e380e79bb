"""A character file is read completely or refused with the file and what to mend."""

import json
from pathlib import Path

import pytest

from models.character import MAX_FILE_BYTES, Character, Exchange, load_character, starter_character
from models.errors import CharacterError
from models.guard_rules import CATEGORIES
from models.steering import Adapter, ControlVector, Steering
from tests.assets import ASSETS, WITHOUT_ASSETS

CARDS = ASSETS / "characters"

START = 'name = "Pip"\npersona = "x"\n'

FULL = """
name = "Pip"
persona = "You are Pip."
greeting = " Hi! "
[[examples]]
user = "Who are you?"
reply = "I am Pip."
"""


def written(tmp_path: Path, content: str | bytes, name: str = "pip.toml") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(CharacterError) as caught:
        load_character(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_key_is_read(tmp_path: Path) -> None:
    assert load_character(written(tmp_path, FULL)) == Character(
        name="Pip",
        persona="You are Pip.",
        greeting="Hi!",
        examples=(Exchange(user="Who are you?", reply="I am Pip."),),
    )


def test_the_same_in_json(tmp_path: Path) -> None:
    content = {"name": "Pip", "persona": "You are Pip.", "examples": [{"user": "a", "reply": "b"}]}
    character = load_character(written(tmp_path, "\ufeff" + json.dumps(content), "pip.json"))
    assert (character.greeting, character.examples) == ("", (Exchange(user="a", reply="b"),))
    assert character.steering == Steering()


def test_answers_are_read(tmp_path: Path) -> None:
    content = START + '[answers]\nmedical = " Ask a doctor. "\nabuse = "Tell it."'
    assert load_character(written(tmp_path, content)).answers == (("abuse", "Tell it."), ("medical", "Ask a doctor."))


def test_files_to_steer_by_lie_beside_the_character(tmp_path: Path) -> None:
    content = f"""
name = "Pip"
persona = "You are Pip."
[[adapters]]
file = "pip.gguf"
scale = 0.5
[[adapters]]
file = "{tmp_path}/elsewhere/fox.gguf"
[[steering]]
file = "moods/happy.gguf"
strength = -2
"""
    assert load_character(written(tmp_path, content)).steering == Steering(
        adapters=(
            Adapter(path=tmp_path / "pip.gguf", scale=0.5),
            Adapter(path=tmp_path / "elsewhere" / "fox.gguf", scale=1.0),
        ),
        vectors=(ControlVector(path=tmp_path / "moods" / "happy.gguf", strength=-2.0),),
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('name = "Pip"\npersona = "x"\ngreting = "Hi"', "'greting'; did you mean 'greeting'?"),
        ('name = "Pip"\npersona = "x"\nqqq = 1', "known are name, persona"),
        ('name = "Pip"\npersona = "x"\n[[examples]]\nuser = "a"\nrepply = "b"', "'repply' of example 1; did you mean"),
        ('name = "Pip"\npersona = "x"\n[[examples]]\nuser = "a"', "reply of example 1 is missing"),
        ('name = "Pip"\npersona = "x"\nexamples = ["a"]', "list of tables"),
        ('name = "Pip"\npersona = "x"\nexamples = "a"', "list of tables"),
        (START + '[[adapters]]\nfle = "a"', "'fle' of adapter 1; did you mean 'file'?"),
        (START + "[[adapters]]\nscale = 1", "file of adapter 1 is missing"),
        (START + '[[adapters]]\nfile = "a"\nscale = true', "scale of adapter 1 must be a number"),
        (START + '[[adapters]]\nfile = "a"\nscale = nan', "between -100 and 100"),
        (START + '[[adapters]]\nfile = "a"\nstrength = 1', "'strength' of adapter 1"),
        (START + 'adapters = "a"', "adapters must be a list of tables, each with file and scale"),
        (START + '[[steering]]\nfile = "a"\n[[steering]]\nfile = 3', "file of control vector 2 must be a text"),
        (START + '[[steering]]\nfile = "a\\u0000b"', "NUL"),
        (START + '[[steering]]\nfile = "a"\nstrength = "1"', "strength of control vector 1 must be a number"),
        (START + '[[steering]]\nfile = "a"\nstrength = 1e400', "between -100 and 100"),
        (START + "answers = 3", "answers must be a table"),
        (START + '[answers]\nself_ham = "x"', "'self_ham' of answers; did you mean 'self_harm'?"),
        (START + '[answers]\nabuse = " "', "abuse of answers is empty"),
        (START + f'[answers]\nabuse = "{"a" * 400}"', "abuse of answers has 400 letters; say it in 300"),
        ('persona = "x"', "name is missing"),
        ('name = "Pip"\npersona = "  "', "persona is empty"),
        ('name = 3\npersona = "x"', "name must be a text, not int"),
        ('name = "Pip"\npersona = x', "line 2"),
        ("", "name is missing"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, content: str, reason: str) -> None:
    assert reason in refusal(written(tmp_path, content))


def test_files_that_are_no_character_are_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.toml")
    assert "cannot be read" in refusal(tmp_path)
    assert "line 2" in refusal(written(tmp_path, '{\n"name": }', "x.json"))
    assert "a character is a table" in refusal(written(tmp_path, "[1]", "x.json"))
    assert "nested" in refusal(written(tmp_path, "[" * 60_000, "x.json"))
    assert "line 2: this is no UTF-8" in refusal(written(tmp_path, b'name = "Pip"\npersona = "\xff"'))
    assert "larger than" in refusal(written(tmp_path, "#" * (MAX_FILE_BYTES + 1)))


def test_a_card_gives_its_texts_with_names_in_place_of_macros(tmp_path: Path) -> None:
    data = {
        "name": "Aurora",
        "description": "{{char}} is an oracle who likes {{user}}.",
        "personality": "kind",
        "first_mes": "Welcome!",
        "mes_example": "<START>\n{{user}}: Who?\n{{char}}: I am {{char}}.\nYou know me.\n<START>\n{{char}}: alone",
        "creator_notes": "not for the model",
    }
    content = json.dumps({"spec": "chara_card_v3", "spec_version": "3.0", "data": data})
    assert load_character(written(tmp_path, content, "card.json")) == Character(
        name="Aurora",
        persona="Aurora is an oracle who likes your friend.\nPersonality: kind",
        greeting="Welcome!",
        examples=(Exchange(user="Who?", reply="I am Aurora.\nYou know me."),),
    )


def test_a_card_without_a_person_in_it_is_refused(tmp_path: Path) -> None:
    for data, reason in (({"name": "A"}, "neither"), ({"description": "x"}, "name of the card is missing")):
        content = json.dumps({"spec": "chara_card_v2", "data": data})
        assert reason in refusal(written(tmp_path, content, "card.json"))
    wrong = json.dumps({"spec": "chara_card_v2", "data": {"name": "A", "description": 3}})
    assert "description of the card must be a text" in refusal(written(tmp_path, wrong, "card.json"))


def test_published_cards_are_read() -> None:
    if not CARDS.is_dir():
        pytest.skip(f"no published cards: {WITHOUT_ASSETS}")
    for name in ("full_v2_card.json", "ccv2_with_overrides.json", "ccv3_st_export_like.json"):
        assert load_character(CARDS / name).persona
    assert load_character(CARDS / "full_v2_card.json").examples[0].user == "What does the future hold?"
    with pytest.raises(CharacterError, match="name"):
        load_character(CARDS / "invalid_missing_name.json")


def test_the_starter_character_is_short() -> None:
    pip = starter_character()
    assert pip.name == "Pip"
    assert "grown-up" in pip.persona
    assert len(pip.persona.split()) < 80
    assert all(len(example.reply.split()) < 15 for example in pip.examples)
    assert [category for category, _ in pip.answers] == list(CATEGORIES)
    assert all(len(text) < 200 for _, text in pip.answers)
