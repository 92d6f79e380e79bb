"""Who the companion is: read from a small TOML or JSON file, or from a Character Card (V2, V3 as JSON).

Our own format has the keys `name`, `persona`, `greeting` and a list `examples` of `user` and `reply`, and lists of
`adapters` and `steering`: files beside the character file, which are not opened here. The table `answers` has what it
says where the guard speaks (`models.guard`), by category. The tables of its feelings are read by
`models.temperament_file`. Of a card the name, description, personality, scenario, first message and example messages
are taken; its lorebook, alternate greetings and embedded prompts are left to the importer in `tools`. Nothing in a
character file is ever run.
"""

import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.errors import CharacterError
from models.guard_rules import CATEGORIES, Category
from models.key_check import check_keys
from models.steering import MOST_WEIGHT, Adapter, ControlVector, Steering
from models.temperament import Temperament
from models.temperament_file import TABLES, read_temperament

MAX_FILE_BYTES = 64 << 10
"""Far more than any context holds; what is larger is no character."""

_KEYS = ("name", "persona", "greeting", "examples", "adapters", "steering", "answers", *TABLES)
_EXAMPLE_KEYS = ("user", "reply")
_MOST_ANSWER_LETTERS = 300
"""About twenty seconds of speech: whoever needs help stops listening then."""

_ENTRIES = {"examples": "example", "adapters": "adapter", "steering": "control vector"}
_STARTER = Path(__file__).parent / "characters" / "pip.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An example of how the character talks: what a person says, and its reply."""

    user: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """`persona` is said to the model, `greeting` (may be empty) to the person; `examples` go before every conversation
    as if they had been said. Texts are stripped; `name` and `persona` are never empty. `steering` is to be laid over
    the model; whether its files are there and fit is not known here. `temperament` is how it feels, `answers` what it
    says where the guard speaks, in place of what is usual there."""

    name: str
    persona: str
    greeting: str = ""
    examples: tuple[Exchange, ...] = ()
    steering: Steering = field(default_factory=Steering)
    temperament: Temperament = field(default_factory=Temperament)
    answers: tuple[tuple[Category, str], ...] = ()


def starter_character() -> Character:
    """Pip, the small robot fox that comes with Familiar."""
    return load_character(_STARTER)


def load_character(path: Path) -> Character:
    """Read a character. Raises CharacterError, with the file and where known the line, for anything it cannot use."""
    content = _parse(path, _read(path))
    if not isinstance(content, dict):
        raise CharacterError(f"{path}: a character is a table of {', '.join(_KEYS)}")
    if isinstance(content.get("data"), dict) and str(content.get("spec", "")).startswith("chara_card_v"):
        return _from_card(path, content["data"])
    return _from_table(path, content)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CharacterError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_FILE_BYTES:
        raise CharacterError(f"{path} is larger than {MAX_FILE_BYTES} bytes; shorten the persona or the examples")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise CharacterError(f"{path}, line {line}: this is no UTF-8 text; save the file as UTF-8") from error


def _parse(path: Path, text: str) -> Any:
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else tomllib.loads(text)
    except json.JSONDecodeError as error:
        raise CharacterError(f"{path}, line {error.lineno}: {error.msg}") from error
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise CharacterError(f"{path}: {error}") from error
    except RecursionError as error:
        raise CharacterError(f"{path}: nested too deeply for a character") from error


def _from_table(path: Path, table: Mapping[str, Any]) -> Character:
    check_keys(path, table, _KEYS, "")
    exchanges = []
    for example, where in _tables(path, table, "examples", _EXAMPLE_KEYS):
        user, reply = (_text(path, example, key, where, required=True) for key in _EXAMPLE_KEYS)
        exchanges.append(Exchange(user=user, reply=reply))
    return Character(
        name=_text(path, table, "name", required=True),
        persona=_text(path, table, "persona", required=True),
        greeting=_text(path, table, "greeting"),
        examples=tuple(exchanges),
        steering=Steering(
            adapters=tuple(
                Adapter(path=file, scale=scale) for file, scale in _weighted_files(path, table, "adapters", "scale")
            ),
            vectors=tuple(
                ControlVector(path=file, strength=strength)
                for file, strength in _weighted_files(path, table, "steering", "strength")
            ),
        ),
        temperament=read_temperament(path, table),
        answers=tuple(_answers(path, table)),
    )


def _answers(path: Path, table: Mapping[str, Any]) -> Iterator[tuple[Category, str]]:
    answers = table.get("answers", {})
    if not isinstance(answers, dict):
        raise CharacterError(f"{path}: answers must be a table of texts, by what the guard has found")
    check_keys(path, answers, CATEGORIES, " of answers")
    for category in CATEGORIES:
        if category in answers:
            text = _text(path, answers, category, " of answers", required=True)
            if len(text) > _MOST_ANSWER_LETTERS:
                raise CharacterError(
                    f"{path}: {category} of answers has {len(text)} letters; say it in {_MOST_ANSWER_LETTERS}"
                )
            yield category, text


def _weighted_files(path: Path, table: Mapping[str, Any], key: str, weight_key: str) -> Iterator[tuple[Path, float]]:
    """The files of a list, relative to the folder of the character file, and how much each counts: 1 unless said."""
    for entry, where in _tables(path, table, key, ("file", weight_key)):
        file = _text(path, entry, "file", where, required=True)
        if "\0" in file:
            raise CharacterError(f"{path}: file{where} holds a NUL character")
        weight = entry.get(weight_key, 1.0)
        # Not a number compares as False.
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not abs(weight) <= MOST_WEIGHT:
            raise CharacterError(
                f"{path}: {weight_key}{where} must be a number between -{MOST_WEIGHT:g} and {MOST_WEIGHT:g}"
            )
        yield path.parent / file, float(weight)


def _tables(
    path: Path, table: Mapping[str, Any], key: str, known: tuple[str, ...]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """The entries of a list of tables, each with how to name it in a complaint."""
    entries = table.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise CharacterError(f"{path}: {key} must be a list of tables, each with {' and '.join(known)}")
    for number, entry in enumerate(entries, start=1):
        where = f" of {_ENTRIES[key]} {number}"
        check_keys(path, entry, known, where)
        yield entry, where


def _from_card(path: Path, data: Mapping[str, Any]) -> Character:
    name = _text(path, data, "name", " of the card", required=True)

    def said(key: str) -> str:
        return _named(_text(path, data, key, " of the card"), name)

    labelled = (("", "description"), ("Personality: ", "personality"), ("Scenario: ", "scenario"))
    persona = "\n".join(label + text for label, key in labelled if (text := said(key)))
    if not persona:
        raise CharacterError(f"{path}: the card has neither description nor personality; it needs one of them")
    examples = _card_examples(_text(path, data, "mes_example", " of the card"), name)
    return Character(name=name, persona=persona, greeting=said("first_mes"), examples=tuple(examples))


def _card_examples(text: str, name: str) -> Iterator[Exchange]:
    """The pairs of a card's example messages: blocks after `<START>`, lines that begin with who speaks."""
    speaker = re.compile(
        rf"(\{{\{{user\}}\}}|<USER>)\s*:|(\{{\{{char\}}\}}|<BOT>|{re.escape(name)})\s*:", re.IGNORECASE
    )
    for block in re.split(r"<START>", text, flags=re.IGNORECASE):
        turns: list[tuple[bool, str]] = []
        for line in block.strip().splitlines():
            if match := speaker.match(line):
                turns.append((match[1] is not None, line[match.end() :].strip()))
            elif turns:
                turns[-1] = (turns[-1][0], f"{turns[-1][1]}\n{line.strip()}".strip())
        for (by_user, words), (next_by_user, reply) in itertools.pairwise(turns):
            if by_user and not next_by_user and words and reply:
                yield Exchange(user=_named(words, name), reply=_named(reply, name))


def _named(text: str, name: str) -> str:
    """Put names in the place of a card's macros. Who the person is, a card cannot know."""
    text = re.sub(r"\{\{char\}\}|<BOT>", lambda _: name, text, flags=re.IGNORECASE)
    return re.sub(r"\{\{user\}\}|<USER>", "your friend", text, flags=re.IGNORECASE)


def _text(path: Path, table: Mapping[str, Any], key: str, where: str = "", *, required: bool = False) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise CharacterError(f"{path}: {key}{where} must be a text, not {type(value).__name__}")
    if required and not value.strip():
        raise CharacterError(f"{path}: {key}{where} is {'empty' if key in table else 'missing'}; write one")
    return value.strip()
