"""Settings: found where they should be, overridden by the environment, and every mistake named with its place."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from device.errors import SettingsError
from device.paths import hub_cache_dir, memory_file, models_dir, settings_file, state_dir
from device.settings import ListenSettings, Settings
from device.settings_file import load_settings, reference


def written(folder: Path, text: str) -> Path:
    path = folder / "familiar.toml"
    path.write_text(text, encoding="utf-8")
    return path


def mistakes_in(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(written(folder, text), environ or {})
    return str(caught.value)


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    loaded = load_settings(None, {"HOME": str(tmp_path)})
    assert loaded == Settings()
    assert loaded.source is None


def test_a_file_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = written(tmp_path, '[listen]\nlanguage = "de"\n[think]\ntemperature = 1\n')
    loaded = load_settings(path, {})
    assert loaded.source == path
    assert loaded.listen == ListenSettings(language="de")
    assert loaded.think.temperature == 1.0
    assert isinstance(loaded.think.temperature, float)
    assert loaded.speak == Settings().speak


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[listen]\nlanguage = "de"\npause_ms = 300\n')
    environ = {
        "FAMILIAR_LISTEN__LANGUAGE": "fr",
        "FAMILIAR_LISTEN__BARGE_IN": "false",
        "FAMILIAR_THINK__SEED": "7",
        "FAMILIAR_PERSON__NAME": "42",
        "FAMILIAR_STATE": "/elsewhere",
    }
    loaded = load_settings(path, environ)
    assert (loaded.listen.language, loaded.listen.pause_ms, loaded.listen.barge_in) == ("fr", 300, False)
    assert loaded.think.seed == 7
    assert loaded.person.name == "42", "text needs no quotes in the environment"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[listen]\npause_m = 3", "listen.pause_m: no such setting; did you mean 'pause_ms'?"),
        ("[lissen]\nmodel = 'x'", "[lissen]: no such section; did you mean 'listen'?"),
        ("listen = 3", "listen: must be a section, [listen]"),
        ("[listen]\npause_ms = '3'", 'listen.pause_ms: "3" must be a whole number'),
        ("[listen]\npause_ms = true", "listen.pause_ms: true must be a whole number"),
        ("[listen]\npause_ms = 9999", "listen.pause_ms: 9999 must be between 64 and 2000"),
        ("[listen]\nbarge_in = 1", "listen.barge_in: 1 must be true or false"),
        ("[listen]\nengine = 'wisper'", 'listen.engine: "wisper" must be one of "auto", "whisper", "sphinx"'),
        ("[speak]\nvoice = 3", "speak.voice: 3 must be text in quotes"),
        ("[speak]\nlength_scale = nan", "speak.length_scale: nan must be between 0.0 and 3.0"),
        ("[character]\nfile = 3", "character.file: 3 must be a path in quotes"),
        (
            "[listen]\nhangover_ms = 200\npause_ms = 300",
            "listen.pause_ms: 300 must not be more than listen.hangover_ms, 200",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_reason(tmp_path: Path, text: str, expected: str) -> None:
    assert mistakes_in(tmp_path, text) == f"{tmp_path / 'familiar.toml'}: {expected}"


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    text = "[listen]\npause_ms = 1\n[think]\nmodle = 'x'\nseed = 1.5\n"
    said = mistakes_in(tmp_path, text, {"FAMILIAR_MEMORY__ENABLED": "yes", "FAMILIAR_NO__SUCH": "1"})
    first, *listed = said.splitlines()
    assert first == f"{tmp_path / 'familiar.toml'}: 5 mistakes"
    assert [line.split(":")[0].strip() for line in listed] == [
        "listen.pause_ms",
        "think.modle",
        "think.seed",
        "FAMILIAR_MEMORY__ENABLED",
        "FAMILIAR_NO__SUCH",
    ]


def test_broken_toml_is_named_with_line_and_column(tmp_path: Path) -> None:
    assert "line 2, column" in mistakes_in(tmp_path, "[listen]\npause_ms = = 3\n")


def test_a_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "familiar.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match="not UTF-8"):
        load_settings(tmp_path / "familiar.toml", {})


def test_a_relative_path_counts_from_the_folder_of_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, '[character]\nfile = "pip.json"\n')
    assert load_settings(path, {}).character.file == tmp_path / "pip.json"
    assert load_settings(written(tmp_path, '[character]\nfile = ""\n'), {}).character.file is None


NAMES = [
    f"FAMILIAR_{section.name}__{key.name}".upper()
    for section in fields(Settings)
    if section.name != "source"
    for key in fields(type(getattr(Settings(), section.name)))
]


@given(strategies.text(max_size=60) | strategies.sampled_from(["~nobody-of-that-name/x", "~", "-0", "1e999", "0x10"]))
@settings(max_examples=60, deadline=None)
def test_no_value_in_the_environment_does_worse_than_be_refused_by_name(value: str) -> None:
    for name in NAMES:
        refused = ""
        try:
            load_settings(None, {name: value, "HOME": "/nowhere"})
        except SettingsError as error:
            refused = str(error)
        assert not refused or name in refused or "listen.pause_ms" in refused


def test_the_reference_names_every_setting() -> None:
    text = reference()
    for section in fields(Settings)[1:]:
        assert f"## [{section.name}]" in text
        for key in fields(type(getattr(Settings(), section.name))):
            assert f"| `{key.name}` |" in text


# Where things lie -----------------------------------------------------------------------------------------------------


def test_the_settings_file_is_looked_for_in_order(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path)}
    assert settings_file(None, environ) is None
    own = tmp_path / ".config" / "familiar" / "familiar.toml"
    own.parent.mkdir(parents=True)
    own.touch()
    assert settings_file(None, environ) == own
    named = written(tmp_path, "")
    assert settings_file(None, {**environ, "FAMILIAR_CONFIG": str(named)}) == named
    assert settings_file(own, {**environ, "FAMILIAR_CONFIG": str(named)}) == own


def test_a_tilde_in_the_environment_is_the_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path, "")
    assert settings_file(None, {"FAMILIAR_CONFIG": "~/familiar.toml"}) == tmp_path / "familiar.toml"
    with pytest.raises(SettingsError, match=r"\$FAMILIAR_CONFIG"):
        settings_file(None, {"FAMILIAR_CONFIG": "~nobody-of-that-name/familiar.toml"})


def test_a_settings_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--config"):
        settings_file(tmp_path / "no.toml", {})
    with pytest.raises(SettingsError, match=r"\$FAMILIAR_CONFIG"):
        settings_file(None, {"FAMILIAR_CONFIG": str(tmp_path / "no.toml")})


def test_the_state_directory_is_the_first_that_is_named(tmp_path: Path) -> None:
    environ = {"HOME": "/home/ada"}
    assert state_dir(environ) == Path("/home/ada/.local/share/familiar")
    environ["STATE_DIRECTORY"] = "/var/lib/familiar:/var/lib/other"
    assert state_dir(environ) == Path("/var/lib/familiar")
    environ["FAMILIAR_STATE"] = str(tmp_path)
    assert state_dir(environ) == tmp_path
    assert models_dir(environ) == tmp_path / "models"
    assert memory_file(environ).parent == tmp_path


def test_the_hub_cache_is_where_the_hub_client_keeps_it() -> None:
    environ = {"HOME": "/home/ada"}
    assert hub_cache_dir(environ) == Path("/home/ada/.cache/huggingface/hub")
    environ["XDG_CACHE_HOME"] = "/cache"
    assert hub_cache_dir(environ) == Path("/cache/huggingface/hub")
    environ["HF_HOME"] = "/hf"
    assert hub_cache_dir(environ) == Path("/hf/hub")
    environ["HF_HUB_CACHE"] = "/hub"
    assert hub_cache_dir(environ) == Path("/hub")
