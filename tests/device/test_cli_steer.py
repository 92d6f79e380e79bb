"""The command that makes control vectors: its answer for people and programs, and wrong usage."""

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest
import typer
from typer.testing import CliRunner, Result

import device.cli_steer
from models.errors import SteeringError
from models.native import llama_cpp
from models.steering_files import read_control_vector
from tests.models.steering_gguf import LAYERS, WIDTH, write_layered_model, write_vector

PERSONAS = ("--positive", "very happy", "--negative", "very sad")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person of their own, with a small model in the folder they stand in."""
    for name in [name for name in os.environ if name.startswith("FAMILIAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    write_layered_model(tmp_path / "layered.gguf")
    return tmp_path


def steer(*arguments: str) -> Result:
    app = typer.Typer()
    app.command()(device.cli_steer.steer)
    return CliRunner().invoke(app, list(arguments))


def test_a_vector_is_made_for_people(folder: Path) -> None:
    done = steer("moods/happy.gguf", *PERSONAS, "--model", "layered.gguf")
    assert done.exit_code == 0, done.output
    assert 'file = "happy.gguf"' in done.stdout
    assert "32 pairs" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    vector = read_control_vector(
        llama_cpp(), folder / "moods" / "happy.gguf", architecture="llama", n_embd=WIDTH, n_layers=LAYERS
    )
    assert vector.any(axis=1).all()


def test_and_for_programs_from_prompts_of_ones_own(folder: Path) -> None:
    for name in ("one", "other"):
        (folder / name).write_text("\n".join(f"{name} {n}" for n in range(8)))
    arguments = ("v.gguf", "--positive-file", "one", "--negative-file", "other", "--model", "layered.gguf", "--json")
    done = steer(*arguments)
    assert done.exit_code == 0, done.output
    answer = json.loads(done.stdout)
    assert (answer["file"], answer["model"], answer["pairs"]) == ("v.gguf", "layered", 8)
    assert [layer["layer"] for layer in answer["layers"]] == [1, 2, 3]
    assert set(answer["layers"][0]) == {"layer", "method", "separation", "accuracy"}


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        PERSONAS[:2],
        ("--positive", "happy", "--negative", " "),
        (*PERSONAS, "--positive-file", "a", "--negative-file", "b"),
        ("--positive", "happy", "--negative-file", "b"),
        ("--positive-file", "a"),
    ],
)
def test_sides_that_do_not_pair_are_wrong_usage(folder: Path, arguments: tuple[str, ...]) -> None:
    done = steer("v.gguf", *arguments)
    assert done.exit_code == 2
    assert "--negative-file" in " ".join(done.output.split())


def test_what_is_wrong_with_the_prompts_is_said(folder: Path) -> None:
    (folder / "few").write_text("a\nb")
    done = steer("v.gguf", "--positive-file", "few", "--negative-file", "few", "--model", "layered.gguf")
    assert isinstance(done.exception, SteeringError)
    assert "2 pairs of prompts are too few" in str(done.exception)
    assert not (folder / "v.gguf").exists()


def no_model(*_arguments: object, **_named: object) -> NoReturn:
    raise AssertionError("a model is loaded")


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (".", "is a folder"),
        ("..", "is a folder"),
        ("/", "is a folder"),
        ("moods", "is a folder"),
        ("layered.gguf", "is no control vector"),
        ("notes.txt", "is no control vector"),
        ("nowhere", "is no control vector"),
        ("notes.txt/happy.gguf", "is no folder"),
        ("held/happy.gguf", "is in the way"),
        ("/proc/happy.gguf", "cannot be written"),
        (f"{'a' * 250}.gguf", "name too long"),
        (f"{'a' * 300}/happy.gguf", "name too long"),
    ],
)
def test_a_place_where_nothing_may_be_written_is_refused_before_anything_is_computed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, out: str, expected: str
) -> None:
    (folder / "moods").mkdir()
    (folder / "notes.txt").write_text("buy milk")
    (folder / "nowhere").symlink_to("gone")
    (folder / "held" / "happy.gguf.partial").mkdir(parents=True)
    before = {path: path.lstat().st_size for path in folder.rglob("*")}
    monkeypatch.setattr("tools.hidden_states.HiddenStates", no_model)
    done = steer(out, *PERSONAS, "--model", "layered.gguf")
    assert isinstance(done.exception, SteeringError), done.output
    assert expected in str(done.exception).lower()
    assert {path: path.lstat().st_size for path in folder.rglob("*")} == before


def test_a_control_vector_takes_the_place_of_an_older_one(folder: Path) -> None:
    write_vector(folder / "v.gguf")
    before = (folder / "v.gguf").read_bytes()
    done = steer("v.gguf", *PERSONAS, "--model", "layered.gguf")
    assert done.exit_code == 0, done.output
    assert (folder / "v.gguf").read_bytes() != before
