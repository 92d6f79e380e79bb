"""Who the companion is: read from a small TOML or JSON file, or from a Character Card (V2, V3 as JSON).

Our own format has the keys `name`, `persona`, `greeting` and a list `examples` of `user` and `reply`. Of a card the
name, description, personality, scenario, first message and example messages are taken; its lorebook, alternate
greetings and embedded prompts are left to the importer in `tools`. Nothing in a character file is ever run.
"""

import difflib
import itertools
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import CharacterError

MAX_FILE_BYTES = 64 << 10
"""Far more than any context holds; what is larger is no character."""

_KEYS = ("name", "persona", "greeting", "examples")
_EXAMPLE_KEYS = ("user", "reply")
_STARTER = Path(__file__).parent / "characters" / "pip.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """An example of how the character talks: what a person says, and its reply."""

    user: str
    reply: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Character:
    """`persona` is said to the model, `greeting` (may be empty) to the person; `examples` go before every conversation
    as if they had been said. Texts are stripped; `name` and `persona` are never empty."""

    name: str
    persona: str
    greeting: str = ""
    examples: tuple[Exchange, ...] = ()


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
    _check_keys(path, table, _KEYS, "")
    examples = table.get("examples", [])
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise CharacterError(f"{path}: examples must be a list of tables, each with {' and '.join(_EXAMPLE_KEYS)}")
    exchanges = []
    for number, example in enumerate(examples, start=1):
        where = f" of example {number}"
        _check_keys(path, example, _EXAMPLE_KEYS, where)
        user, reply = (_text(path, example, key, where, required=True) for key in _EXAMPLE_KEYS)
        exchanges.append(Exchange(user=user, reply=reply))
    return Character(
        name=_text(path, table, "name", required=True),
        persona=_text(path, table, "persona", required=True),
        greeting=_text(path, table, "greeting"),
        examples=tuple(exchanges),
    )


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


def _check_keys(path: Path, table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise CharacterError(f"{path}: unknown key {key!r}{where}; {hint}")


def _text(path: Path, table: Mapping[str, Any], key: str, where: str = "", *, required: bool = False) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise CharacterError(f"{path}: {key}{where} must be a text, not {type(value).__name__}")
    if required and not value.strip():
        raise CharacterError(f"{path}: {key}{where} is {'empty' if key in table else 'missing'}; write one")
    return value.strip()
