"""Mistakes on the command line, in files and in the environment: one line that names the culprit, and an exit status.

Everything here fails before a model is loaded; what needs one is in `test_talk`.
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-m", "device"]
QUESTION = Path(__file__).parents[2] / "device" / "data" / "question.wav"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A person of their own, with nothing set up."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAMILIAR_", "HF_"))}
    return {**kept, "HOME": str(tmp_path), "FAMILIAR_STATE": str(tmp_path / "state"), "COLUMNS": "200"}


def familiar(environ: Mapping[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)],
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What the program said on standard error, which must be one line, with exit status 1."""
    assert (done.returncode, done.stdout) == (1, ""), done.stderr
    assert done.stderr.startswith("familiar: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "does not exist"),
        (b"", "is empty"),
        (QUESTION.read_bytes()[:30], "cut short"),
        (QUESTION.read_bytes()[:5000], "is cut short"),
        (b"ID3 and so on", "is MP3, not WAV"),
        (b"hello", "not WAV"),
    ],
    ids=["missing", "empty", "torn-header", "cut-short", "mp3", "text"],
)
def test_a_recording_that_cannot_be_heard(
    environ: dict[str, str], tmp_path: Path, content: bytes | None, reason: str
) -> None:
    recording = tmp_path / "said.wav"
    if content is not None:
        recording.write_bytes(content)
    told = complaint(familiar(environ, "talk", "--in", recording))
    assert str(recording) in told
    assert reason in told


@pytest.mark.parametrize("path", ["/dev/null", "/dev/stdin", "."])
def test_what_is_not_a_file_is_no_recording(environ: dict[str, str], path: str) -> None:
    assert "is not a file" in complaint(familiar(environ, "talk", "--in", path))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[think\n", "not valid TOML"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b"[think]\nthreads = " + b"9" * 5000, "not valid TOML"),
        (b"[think]\nmodel = " + b"[" * 5000, "nested too deeply"),
        (b"[thnk]\n", "did you mean 'think'?"),
        (b"[think]\nmodle = ''\n", "did you mean 'model'?"),
        (b"[think]\nthreads = 'all'\n", "must be a whole number"),
        (b"[think]\ncontext_tokens = 1\n", "must be between 512 and 131072"),
        (b'[character]\nfile = "a\\u0000b"\n', "a path cannot hold a NUL character"),
    ],
    ids=["syntax", "binary", "digits", "depth", "section", "key", "type", "range", "nul"],
)
def test_settings_with_a_mistake(environ: dict[str, str], tmp_path: Path, content: bytes, reason: str) -> None:
    settings = tmp_path / "own.toml"
    settings.write_bytes(content)
    told = complaint(familiar(environ, "talk", "--text", "--config", settings))
    assert str(settings) in told
    assert reason in told


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("FAMILIAR_CONFIG", "/missing.toml"),
        ("FAMILIAR_THINK__MODEL", "/missing.gguf"),
        ("FAMILIAR_THINK__THREADS", "all"),
        ("FAMILIAR_STATE", "~nobody-has-this-name/state"),
        ("HF_HOME", "~nobody-has-this-name/cache"),
        ("HF_HUB_CACHE", "~nobody-has-this-name/cache"),
    ],
)
def test_a_variable_with_a_mistake_is_named(environ: dict[str, str], variable: str, value: str) -> None:
    told = complaint(familiar({**environ, variable: value}, "talk", "--text"))
    assert value in told


@pytest.mark.parametrize(
    "arguments", [["talk", "--text"], ["talk", "--in", QUESTION], ["bench", "turn", "--turns", "2"]], ids=lambda a: a[0]
)
def test_without_a_model_one_is_recommended(environ: dict[str, str], arguments: list[str | Path]) -> None:
    done = familiar(environ, *arguments)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        "familiar: no language model is here: `familiar models pull starter`"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.toml", b"name = \n", "line 1"),
        ("a.toml", b"persona = 'x'\n", "name is missing"),
        ("a.toml", b"name = 3\npersona = 'x'\n", "must be a text"),
        ("a.toml", b"\xff\xfe", "no UTF-8"),
        ("a.toml", b"name = " + b"9" * 5000, "digits"),
        ("a.json", b'{"name": ' + b"9" * 5000 + b"}", "digits"),
        ("a.toml", b"name = '" + b"x" * 100_000 + b"'\n", "is larger than"),
    ],
    ids=["syntax", "no-name", "type", "binary", "digits", "digits-json", "large"],
)
def test_a_character_file_with_a_mistake(
    environ: dict[str, str], tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    character = tmp_path / name
    character.write_bytes(content)
    told = complaint(familiar(environ, "talk", "--text", "--character", character))
    assert str(character) in told
    assert reason in told


def test_a_character_that_does_not_come_along(environ: dict[str, str]) -> None:
    told = complaint(familiar(environ, "talk", "--text", "--character", "pipp"))
    assert "--character pipp: no such character comes along; there are pip;" in told


def test_a_character_that_comes_along_is_named(environ: dict[str, str]) -> None:
    assert "models pull starter" in complaint(familiar(environ, "talk", "--text", "--character", "pip"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
@pytest.mark.parametrize("option", ["--config", "--in", "--character"])
def test_a_file_that_may_not_be_read(environ: dict[str, str], tmp_path: Path, option: str) -> None:
    secret = tmp_path / "secret"
    secret.touch(mode=0o000)
    assert "Permission denied" in complaint(familiar(environ, "talk", option, secret))


@pytest.mark.parametrize(
    "arguments",
    [
        "--text --in a.wav",
        "--out b.wav",
        "--in a.wav --out a.wav",
        "--in a.wav --trace ./a.wav",
        "--in a.wav --out link.wav",
        "--in a.wav --out b.wav --trace b.wav",
    ],
)
def test_options_that_contradict_each_other_touch_no_file(
    environ: dict[str, str], tmp_path: Path, arguments: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.wav").write_bytes(b"precious")
    Path("link.wav").symlink_to("a.wav")
    done = familiar(environ, "talk", *arguments.split())
    assert done.returncode == 2, done.stderr
    assert "Invalid value" in done.stderr
    assert Path("a.wav").read_bytes() == b"precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "link.wav"]


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_stream_is_taken_for_an_empty_one(environ: dict[str, str], closed: str) -> None:
    command = f"{shlex.join(PROGRAM)} models list {closed}"
    done = subprocess.run(["sh", "-c", command], env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_full_standard_output_is_told(environ: dict[str, str]) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with full.open("w") as out:
        command = [*PROGRAM, "models", "list"]
        done = subprocess.run(
            command, env=environ, stdout=out, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "familiar: standard output: No space left on device\n")


def test_a_terminal_without_unicode_gets_what_it_can_show(environ: dict[str, str]) -> None:
    done = familiar({**environ, "PYTHONIOENCODING": "ascii"}, "doctor")
    assert "Traceback" not in done.stderr
    assert "?" in done.stdout


def test_ctrl_c_while_the_program_is_still_being_imported(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    done = familiar({**environ, "PYTHONPATH": str(tmp_path)}, "doctor")
    assert complaint(done) == "familiar: stopped by Ctrl-C\n"
