"""`familiar bench turn` with the real engines: a short run, and a report whose figures fit together."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from device.engines import model_store
from tools.turn_report import TARGETS

ROOT = Path(__file__).parents[2]
LIMIT_S = 180.0
"""It takes 40 s on two slow cores, thirty written turns among them."""


def test_a_short_run_gives_a_whole_report(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="pocketsphinx (extra `starter`) is not installed")
    pytest.importorskip("espeakng_loader", reason="espeakng-loader (extra `starter`) is not installed")
    store = model_store(os.environ)
    if store.find("smollm2-135m") is None:
        pytest.skip("the starter model is not here: familiar models pull starter")
    (tmp_path / "models").symlink_to(store.root)
    (tmp_path / "familiar.toml").write_text(
        '[think]\nmodel = "smollm2-135m"\n[listen]\nengine = "sphinx"\n[speak]\nengine = "espeak"\n', encoding="utf-8"
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAMILIAR_")}
    before = sorted(tmp_path.iterdir())
    arguments = ["--turns", "2", "--interruptions", "1", "--json", "--config", str(tmp_path / "familiar.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "device", "bench", "turn", *arguments],
        env={**kept, "PYTHONPATH": str(ROOT), "FAMILIAR_STATE": str(tmp_path)},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )

    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["engines"] == {"model": "smollm2-135m", "ears": "pocketsphinx", "voice": "espeak-ng en"}
    assert result["turns"] == 2
    for stage in (*result["stages_ms"].values(), *result["bare_ms"].values()):
        assert stage["n"] == 2
        assert 0 <= stage["p50_ms"] <= stage["p95_ms"] < 1e3 * LIMIT_S
    assert result["stages_ms"]["total"]["p50_ms"] > result["stages_ms"]["endpoint_wait"]["p50_ms"] > 0

    reused, prefilled = result["tokens"]["reused"], result["tokens"]["prefilled"]
    assert len(reused) == len(prefilled) == 2
    assert prefilled[1] < reused[1], "the second turn computes what is new, not the conversation again"
    assert result["barge_in_ms"]["n"] in (0, 1), "an answer may be over before the person speaks into it"
    assert result["within_target"].keys() | {"barge_in_p95_ms"} == TARGETS.keys()
    assert result["first_token_ms"]["growth"] > 0
    assert 0 < result["first_answer_s"] < LIMIT_S
    assert result["resident_mb"] > 0
    assert sorted(tmp_path.iterdir()) == before, "a measurement leaves nothing in the state directory"
