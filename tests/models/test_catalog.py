"""The catalogue that ships: every entry is complete, pinned and unambiguous."""

import itertools
import re
from typing import assert_never, get_args

import pytest

from models.catalog import CatalogEntry, HubSource, Kind, PypiSource, Quirk, load_catalog
from models.errors import ModelError

CATALOG = load_catalog()

PREPROCESSOR = "preprocessor_config.json"
"""Of the Whisper models that hear 128 bands; the others' 80 are what their engine expects anyway."""


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
            assert re.fullmatch(r"[0-9a-f]{40}|main", entry.source.revision), "a commit, or the branch where unknown"


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
                common = {"config.json", "model.bin", "tokenizer.json"}
                assert set(names) in (common | {"vocabulary.txt"}, common | {"vocabulary.json", PREPROCESSOR})
            case "tts":
                assert names == [f"{entry.name}.onnx", f"{entry.name}.onnx.json"]
            case "encoder":
                assert names[0].endswith((".onnx", ".safetensors"))
                assert "tokenizer.json" in names
            case "turn":
                assert [name.endswith(".onnx") for name in names] == [True]
            case _:
                assert_never(entry.kind)


def test_language_models_say_what_they_take_and_stand_by_size() -> None:
    llms = CATALOG.select("llm")
    for entry in llms:
        assert entry.parameters_b is not None
        assert 0.1 <= entry.parameters_b <= 4.1
        assert entry.quantization
        assert entry.quantization.lower() in entry.files[0].path.lower().replace("-", "_")
        # From a bit more than 4 bits for a weight to 8.5, and up to a third more where the vocabulary is large.
        assert 0.5 < entry.size_bytes / (entry.parameters_b * 1e9) < 1.2
        assert entry.kv_bytes_per_token % 512 == 0
        assert entry.memory_bytes(0) == entry.size_bytes
        assert entry.memory_bytes(2048) == entry.size_bytes + 2048 * entry.kv_bytes_per_token > entry.size_bytes
        assert set(entry.quirks) <= set(get_args(Quirk))
    assert [entry.name for entry in sorted(llms, key=lambda entry: entry.size_bytes)] == [entry.name for entry in llms]


def test_entries_of_a_kind_stand_together() -> None:
    kinds = [kind for kind, _ in itertools.groupby(entry.kind for entry in CATALOG.entries)]
    assert kinds == list(get_args(Kind))


def test_entries_are_selected_by_kind_and_language() -> None:
    assert CATALOG.select() == CATALOG.entries
    assert [entry.name for entry in CATALOG.select("tts", "pl")] == ["pl_PL-gosia-medium"]
    assert {entry.kind for entry in CATALOG.select(language="pl")} == {"llm", "asr", "tts", "turn"}
    assert CATALOG.select("tts", "tlh") == ()


def test_there_is_a_voice_for_each_of_the_common_languages() -> None:
    voices = {entry.language.partition("-")[0] for entry in CATALOG.select("tts")}
    assert voices >= {"ar", "cs", "de", "en", "es", "fr", "it", "nl", "pl", "pt", "ru", "sv", "tr", "uk", "vi", "zh"}


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
