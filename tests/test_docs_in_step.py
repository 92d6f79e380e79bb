"""What the documentation says is what the program does."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from typer.core import TyperGroup
from typer.main import get_command

from device.cli import app
from device.settings_file import reference
from tools.write_docs import CONFIGURATION, configuration

REPOSITORY = Path(__file__).parents[1]


def test_the_configuration_reference_is_the_generated_one() -> None:
    assert CONFIGURATION.read_text(encoding="utf-8") == configuration(), "`make docs` writes it anew"


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for document in REPOSITORY.glob("*.md"):
        named = set(re.findall(r"(?:`|^ {4})make ([a-z-]+)", document.read_text(encoding="utf-8"), re.MULTILINE))
        assert named <= targets, document.name


def test_every_setting_that_the_documents_name_exists() -> None:
    known = set(re.findall(r"^\| `([a-z_]+)`", reference(), re.MULTILINE))
    for document in REPOSITORY.glob("*.md"):
        named = re.findall(r"FAMILIAR_[A-Z]+__([A-Z_]+)", document.read_text(encoding="utf-8"))
        assert {key.lower() for key in named} - {"key"} <= known, document.name


def test_every_command_that_the_documents_name_exists_with_its_options() -> None:
    lines = [(path.name, line) for path in REPOSITORY.glob("*.md") for line in command_lines(path)]
    assert ("README.md", "familiar talk --text") in lines
    for document, line in lines:
        assert not unknown_words(line), f"{document}: {line}"


def test_a_command_or_option_that_does_not_exist_is_found() -> None:
    assert unknown_words("familiar models list --json") == []
    assert unknown_words("familiar models pull whisper-tiny.en") == []
    assert unknown_words("familiar --version") == []
    assert unknown_words("familiar fly") == ["fly"]
    assert unknown_words("familiar models fly") == ["fly"]
    assert unknown_words("familiar talk --text --louder=3") == ["--louder"]
    assert unknown_words("familiar models list --fast") == ["--fast"]


def command_lines(document: Path) -> Iterator[str]:
    """The commands in a document: in code blocks up to a comment, and in the text between backticks."""
    text = document.read_text(encoding="utf-8")
    for line in re.findall(r"^ {4}(familiar .*)$|`(familiar [^`]*)`", text, re.MULTILINE):
        yield shlex.join(shlex.split("".join(line), comments=True))


def unknown_words(line: str) -> list[str]:
    """The words of the line that `--help` does not know: a missing command, or options that its command lacks."""
    _, *words = shlex.split(line)
    command = get_command(app)
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    known = {name for option in command.params for name in option.opts} | {"--help"}
    given = (word.partition("=")[0] for word in words if word.startswith("-"))
    return [option for option in given if option not in known]
