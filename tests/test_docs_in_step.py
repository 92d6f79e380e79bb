"""What the documentation says is what the program does."""

import re
from pathlib import Path

from device.settings import reference
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
