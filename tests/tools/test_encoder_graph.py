"""The ONNX graph computes what BERT, the head and the wide part are defined to; rounded to int8, nearly so."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.encoder import WEIGHTS, open_network
from tests.tools.small_encoder import BRANCH_AFTER, BRANCH_LAYERS, WORDS, Arrays, expected, random_arrays
from tools.encoder_graph import GraphOptions, quantize, write_graph

LENGTHS = (2, 3, 17, 128)

Answer = tuple[NDArray[np.float64], NDArray[np.float64]]


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return random_arrays()


@pytest.fixture(scope="module")
def answers(arrays: Arrays) -> dict[int, Answer]:
    """What the network must say of a sentence of each length."""
    return {n: expected(arrays, sentence(n)) for n in LENGTHS}


def written(arrays: Arrays, path: Path, *, quantized: bool, weight_bits: int = 8) -> Path:
    options = GraphOptions(
        quantized=quantized, branch_after=BRANCH_AFTER, branch_layers=BRANCH_LAYERS, weight_bits=weight_bits
    )
    write_graph(arrays, options, path)
    return path


def sentence(n: int) -> NDArray[np.int64]:
    return np.random.default_rng(n).integers(0, WORDS, n)


def test_the_float_graph_computes_what_is_defined(arrays: Arrays, answers: dict[int, Answer], tmp_path: Path) -> None:
    network = open_network(written(arrays, tmp_path / "float.onnx", quantized=False))
    for n, (expected_embedding, expected_emotions) in answers.items():
        embedding, emotions = network.run(["embedding", "emotions"], {"input_ids": sentence(n)})
        assert embedding == pytest.approx(expected_embedding, abs=1e-5)
        assert emotions == pytest.approx(expected_emotions, abs=1e-5)


@pytest.mark.parametrize("weight_bits", [7, 8])
def test_rounding_changes_little_and_saves_three_quarters(
    arrays: Arrays, answers: dict[int, Answer], tmp_path: Path, weight_bits: int
) -> None:
    whole = written(arrays, tmp_path / "float.onnx", quantized=False)
    rounded = written(arrays, tmp_path / "int8.onnx", quantized=True, weight_bits=weight_bits)
    assert rounded.stat().st_size < 0.27 * whole.stat().st_size
    network = open_network(rounded)
    for n, (expected_embedding, expected_emotions) in answers.items():
        embedding, emotions = network.run(["embedding", "emotions"], {"input_ids": sentence(n)})
        assert embedding @ expected_embedding > 0.99
        assert np.abs(emotions - expected_emotions).max() < 0.05


def test_weights_in_a_file_of_their_own_change_nothing(arrays: Arrays, tmp_path: Path) -> None:
    options = GraphOptions(
        quantized=True, branch_after=BRANCH_AFTER, branch_layers=BRANCH_LAYERS, weights_beside=True, weight_bits=7
    )
    (tmp_path / "whole").mkdir()
    (tmp_path / "apart").mkdir()
    whole = written(arrays, tmp_path / "whole" / "model.onnx", quantized=True, weight_bits=7)
    apart = tmp_path / "apart" / "model.onnx"
    sizes = set()
    for _ in range(2):  # written over, not on
        write_graph(arrays, options, apart)
        sizes.add((apart.stat().st_size, (apart.parent / WEIGHTS).stat().st_size))
    assert len(sizes) == 1
    assert apart.stat().st_size < 0.1 * whole.stat().st_size
    answers = [
        [part.tobytes() for n in LENGTHS for part in open_network(path).run(None, {"input_ids": sentence(n)})]
        for path in (whole, apart)
    ]
    assert answers[0] == answers[1]


def test_the_same_weights_make_the_same_file(arrays: Arrays, tmp_path: Path) -> None:
    first, second = (written(arrays, tmp_path / name, quantized=True) for name in ("a.onnx", "b.onnx"))
    assert first.read_bytes() == second.read_bytes()


@given(
    values=st.lists(st.lists(st.floats(-100, 100, width=32), min_size=3, max_size=3), min_size=1, max_size=8),
    axis=st.sampled_from([0, 1]),
    bits=st.sampled_from([7, 8]),
)
@settings(deadline=None, max_examples=50)
def test_integers_are_within_half_a_step(values: list[list[float]], axis: int, bits: int) -> None:
    exact = np.asarray(values, np.float32)
    integers, scale = quantize(exact, axis, bits)
    assert np.abs(integers).max() <= 2 ** (bits - 1) - 1
    assert (np.abs(integers * scale - exact) <= scale * 0.501 + 1e-6).all()
