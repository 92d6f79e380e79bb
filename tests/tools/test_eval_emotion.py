"""`familiar eval emotion`: its figures are those of the encoder that ships, beside their targets, in 80 columns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.emotions import EKMAN, EMOTIONS
from models.encoder import SHIPPED
from models.errors import ModelFileError
from tests.tools.small_encoder import BRANCH_AFTER, BRANCH_LAYERS, random_arrays
from tests.tools.small_goemotions import small_test_split, write_goemotions
from tools.encoder_graph import GraphOptions, write_graph
from tools.eval_emotion import Evaluation, evaluate
from tools.eval_emotion_report import as_json, as_text, within_target


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """The shipped network, beside itself in place of the float one."""
    folder = tmp_path_factory.mktemp("goemotions")
    write_goemotions(folder, test=small_test_split())
    return evaluate(folder, lambda _: None, float_model=SHIPPED / "model.onnx")


def test_every_label_and_group_is_scored(found: Evaluation) -> None:
    assert tuple(score.label for score in found.scores.labels) == EMOTIONS
    assert tuple(score.label for score in found.scores.groups) == tuple(EKMAN)
    assert sum(score.n for score in found.scores.labels) == 7
    fear = found.scores.labels[EMOTIONS.index("fear")]
    assert (fear.precision, fear.recall, fear.f1) == (1, 1, 1)
    assert found.scores.ekman_macro_f1 == pytest.approx(sum(score.f1 for score in found.scores.groups) / 7)


def test_a_network_loses_nothing_against_itself(found: Evaluation) -> None:
    assert found.unrounded is not None
    assert found.unrounded.macro_f1_drop == 0
    assert found.unrounded.cosine_mean == pytest.approx(1, abs=1e-5)


def test_times_are_those_of_single_sentences(found: Evaluation) -> None:
    assert found.both.n == found.sentences == 6
    assert 0 < found.tokenization.p50_ms < found.inference.p50_ms <= found.inference.p95_ms


def test_the_report_has_80_columns_and_targets(found: Evaluation) -> None:
    text = as_text(found)
    assert max(map(len, text.splitlines())) <= 80
    assert "MISSES >= 0.50" in text  # of 28 labels, 21 do not occur in six sentences
    assert "within <= 0.01" in text
    assert all(name in text for name in EMOTIONS)


def test_the_report_for_programs_holds_the_same(found: Evaluation) -> None:
    content = json.loads(as_json(found))
    assert content["within_target"] == within_target(found)
    assert len(content["scores"]["labels"]) == len(content["thresholds"]) == 28


def test_another_network_is_refused(tmp_path: Path) -> None:
    write_goemotions(tmp_path, test=small_test_split())
    with pytest.raises(ModelFileError, match="cannot load"):
        evaluate(tmp_path, lambda _: None, float_model=tmp_path / "labels.txt")
    # Of the right kind, but with a vocabulary of its own: it is asked for words that it does not have.
    small = tmp_path / "small.onnx"
    options = GraphOptions(quantized=False, branch_after=BRANCH_AFTER, branch_layers=BRANCH_LAYERS)
    write_graph(random_arrays(), options, small)
    with pytest.raises(ModelFileError, match="vocabulary"):
        evaluate(tmp_path, lambda _: None, float_model=small)


def test_the_command_answers_in_json(tmp_path: Path) -> None:
    write_goemotions(tmp_path, test=small_test_split())
    command = [sys.executable, "-m", "device.cli", "eval", "emotion", "--data", str(tmp_path)]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(done.stdout)["unrounded"] is None
    missing = subprocess.run([*command[:-1], "nowhere"], capture_output=True, text=True, check=False, timeout=60)
    assert (missing.returncode, missing.stderr.count("\n")) == (1, 1)
    assert "nowhere" in missing.stderr
