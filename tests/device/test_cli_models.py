"""`familiar models bench` as a program: exit statuses, JSON for programs, one line for a set-up."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.models.tiny_gguf import write_wandering_model
from tools.models_bench import STAND_IN

LIMIT_S = 60.0


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A person of their own, with nothing set up."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAMILIAR_", "HF_"))}
    return {**kept, "HOME": str(tmp_path), "FAMILIAR_STATE": str(tmp_path / "state"), "COLUMNS": "80"}


def bench(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "device.cli", "models", "bench", *arguments]
    return subprocess.run(
        command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=LIMIT_S
    )


def test_without_a_model_the_way_to_one_is_said(environ: dict[str, str]) -> None:
    done = bench(environ)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("familiar: no language model is here: `familiar models pull starter`")


def test_a_model_is_measured_once_and_kept(environ: dict[str, str], tmp_path: Path) -> None:
    write_wandering_model(tmp_path / "tiny.gguf")
    model = ("--model", str(tmp_path / "tiny.gguf"))
    done = bench(environ, *model, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert [one["model"] for one in found["measured"]] == ["tiny", STAND_IN]
    assert found["recommended"] is not None
    kept = tmp_path / "state" / "models" / "bench.json"
    assert kept.is_file()

    again = bench(environ, *model, "--once")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", ""), "nothing is to be done or said"

    kept.write_text("damaged")
    anew = bench(environ, *model, "--once")
    assert (anew.returncode, anew.stdout.count("\n")) == (0, 1)
    assert anew.stdout.startswith("benchmark: tiny makes ")


def test_a_model_that_cannot_be_measured_is_exit_status_1(environ: dict[str, str], tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(100))
    done = bench(environ, "--model", str(broken))
    assert done.returncode == 1
    assert "broken could not be measured on the CPU:" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert "Traceback" not in done.stderr


def test_wrong_usage_is_exit_status_2(environ: dict[str, str]) -> None:
    assert bench(environ, "--quick").returncode == 2
