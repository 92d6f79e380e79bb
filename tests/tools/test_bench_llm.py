"""`familiar bench llm` on a tiny model: a quick run of all that talks with the model, and what it refuses."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.cli import app
from device.errors import FamiliarError
from device.settings import Settings
from tests.models.tiny_gguf import write_wandering_model
from tools import bench_llm
from tools.bench_llm import PARTS, BenchRequest, run_bench
from tools.llm_report import Figure, Part

ROOT = Path(__file__).parents[2]
LIMIT_S = 120.0
"""It takes 10 s on two slow cores."""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A state directory with settings for a tiny model and a character of few words."""
    write_wandering_model(tmp_path / "wandering.gguf")
    (tmp_path / "nobody.toml").write_text('name = "Nobody"\npersona = "Be kind."\n', encoding="utf-8")
    (tmp_path / "familiar.toml").write_text(
        '[think]\nmodel = "wandering.gguf"\ncontext_tokens = 512\nmax_reply_tokens = 32\nthreads = 1\n'
        '[character]\nfile = "nobody.toml"\n',
        encoding="utf-8",
    )
    return tmp_path


def bench(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAMILIAR_")}
    return subprocess.run(
        [sys.executable, "-m", "device", "bench", "llm", "--config", str(home / "familiar.toml"), *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), "FAMILIAR_STATE": str(home / "state")},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )


def test_a_quick_run_gives_a_whole_report(home: Path) -> None:
    parts = [part for part in PARTS if part != "shapes"]  # these have a test of their own
    done = bench(home, "--quick", "--json", "--out", "out", *(f"--only={part}" for part in parts))

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert list(result["parts"]) == parts
    assert "wandering.gguf" in result["about"]["model"]
    for part in parts:
        assert result["parts"][part]["targets"], part
        assert f"{part}:" in done.stderr, "each part says that it begins"
    conversation = result["parts"]["conversation"]
    assert conversation["figures"]["ratio_max"] <= 1.5
    assert conversation["figures"]["computed_ours"] > 0
    assert result["parts"]["restart"]["figures"]["over_cold"] > 0
    leaks = result["parts"]["speculation"]["figures"]
    assert leaks["other_replies"] == leaks["other_tokens"] == leaks["other_states"] == 0
    assert result["parts"]["abort"]["figures"]["tokens_after"] in (None, 0, 1)
    assert json.loads((home / "out" / "report.json").read_text(encoding="utf-8")) == result
    assert "Speed beside the raw loop" in (home / "out" / "report.txt").read_text(encoding="utf-8")


def test_a_missed_target_fails_only_a_strict_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Part(name="speed", title="", figures=(Figure(name="f", label="f", value=0.5, at_least=0.98),))
    monkeypatch.setattr(bench_llm, "_run_part", lambda *_: slow)
    arguments = ["bench", "llm", "--only", "speed", "--config", str(home / "familiar.toml")]
    assert CliRunner().invoke(app, arguments).exit_code == 0
    strict = CliRunner().invoke(app, [*arguments, "--strict"])
    assert strict.exit_code == 1
    assert "missed: speed.f" in strict.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--only", "sped"], "conversation"), (["--shapes", "gpt-5"], "llama-3.2-3b"), (["--turns", "1"], "turns")],
    ids=["part", "shape", "turns"],
)
def test_an_unknown_part_or_shape_is_wrong_usage(arguments: list[str], said: str) -> None:
    refused = CliRunner().invoke(app, ["bench", "llm", *arguments])
    assert refused.exit_code == 2
    assert said in refused.output


def test_a_missing_package_is_named_before_anything_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_llm, "find_spec", lambda name: None)
    said: list[str] = []
    with pytest.raises(FamiliarError, match=r"matplotlib.*familiar-companion\[bench\]"):
        run_bench(BenchRequest(out=Path("nowhere")), Settings(), said.append)
    assert not said
    assert not Path("nowhere").exists()
