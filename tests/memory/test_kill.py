"""kill -9 while writing, sleeping, forgetting, contradicting: what was acknowledged is there, and nothing is half."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="lives are forked")
def test_kill_9_at_random_moments_loses_nothing_and_leaves_nothing_half_done() -> None:
    command = [sys.executable, "-m", "tools.kill_memory", "--kills=100", "--seconds=8", "--seed=7", "--json"]
    run = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert run.stdout, run.stderr
    report = json.loads(run.stdout)
    assert report["flaws"] == []
    assert run.returncode == 0
    assert report["n_kills"] >= 10
    assert report["n_acknowledged"] >= 10
