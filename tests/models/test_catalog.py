"""The catalogue that ships: every entry is complete, pinned and unambiguous."""

import re

import pytest

from models.catalog import CatalogEntry, HubSource, PypiSource, load_catalog
from models.errors import ModelError

CATALOG = load_catalog()


@pytest.mark.parametrize("entry", CATALOG.entries, ids=lambda entry: entry.name)
def test_every_entry_is_pinned_to_the_byte(entry: CatalogEntry) -> None:
    assert entry.files
    for file in entry.files:
        assert file.size_bytes > 0
        assert re.fullmatch(r"[0-9a-f]{64}", file.sha256)
    match entry.source:
        case PypiSource():
            assert re.fullmatch(r"[0-9a-f]{64}", entry.source.wheel_sha256)
            assert entry.source.wheel_bytes > 0
        case HubSource():
            assert re.fullmatch(r"[0-9a-f]{40}", entry.source.revision), "a branch name would move"


@pytest.mark.parametrize("entry", CATALOG.entries, ids=lambda entry: entry.name)
def test_every_entry_says_what_a_person_must_know(entry: CatalogEntry) -> None:
    assert entry.licence
    assert entry.note
    assert re.fullmatch(r"mul|[a-z]{2}(-[A-Z]{2})?", entry.language)


def test_names_and_files_are_unambiguous() -> None:
    names = [entry.name for entry in CATALOG.entries]
    assert len(names) == len(set(names))
    assert "starter" not in names
    for entry in CATALOG.entries:
        files = [file.name for file in entry.files]
        assert len(files) == len(set(files)), "files of a model share one folder"


def test_each_kind_has_the_files_its_engine_opens() -> None:
    for entry in CATALOG.entries:
        names = [file.name for file in entry.files]
        match entry.kind:
            case "llm":
                assert [name.endswith(".gguf") for name in names] == [True]
            case "asr":
                assert set(names) == {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt"}
            case "tts":
                assert names == [f"{entry.name}.onnx", f"{entry.name}.onnx.json"]


def test_the_starter_is_a_language_model_that_needs_no_model_hub() -> None:
    starter = CATALOG.require("starter")
    assert starter.kind == "llm"
    assert isinstance(starter.source, PypiSource)


def test_a_misspelt_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ModelError, match=r"did you mean .*whisper-tiny\.en"):
        CATALOG.require("wisper-tiny.en")


def test_a_name_like_no_other_gets_the_way_to_the_list() -> None:
    with pytest.raises(ModelError, match="models list"):
        CATALOG.require("zzzz")


@pytest.mark.parametrize(
    ("name", "language", "expected"),
    [
        ("whisper-tiny", "de", True),
        ("whisper-tiny.en", "de", False),
        ("whisper-tiny.en", "en", True),
        ("de_DE-thorsten-medium", "de", True),
        ("de_DE-thorsten-medium", "de_AT", True),
        ("en_GB-alba-medium", "EN-us", True),
        ("en_GB-alba-medium", "es", False),
    ],
)
def test_languages_match_without_regions(name: str, language: str, expected: bool) -> None:
    assert CATALOG.require(name).speaks(language) is expected
