"""Embeddings keep their direction as bytes, and the nearest are found by their signs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.vectors import SignIndex, cosines, packed, packed_shares, unpacked_shares


def _vectors(n: int, n_dimensions: int = 384, seed: int = 0) -> np.ndarray:
    """Unit vectors around a few centres, as meanings lie."""
    chance = np.random.default_rng(seed)
    centres = chance.standard_normal((max(1, n // 20), n_dimensions))
    vectors = centres[chance.integers(len(centres), size=n)] + 0.8 * chance.standard_normal((n, n_dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def test_packed_embeddings_have_the_cosines_of_the_embeddings() -> None:
    vectors = _vectors(200)
    stored = [packed(each) for each in vectors]
    assert all(len(each) == 384 for each in stored)
    assert np.abs(cosines(stored[0], stored) - vectors @ vectors[0]).max() < 0.01


def test_what_cannot_be_compared_has_no_cosine() -> None:
    one = packed([1.0, 0.0])
    found = cosines(one, [one, None, packed([1.0, 0.0, 0.0]), packed([0.0, 0.0]), packed([-2.0, 0.0])])
    assert np.isnan(found[[1, 2, 3]]).all()
    assert found[[0, 4]].tolist() == [1.0, -1.0]
    assert cosines(one, []).shape == (0,)


@settings(deadline=None, max_examples=50)
@given(shares=st.lists(st.floats(-0.5, 1.5, width=32), min_size=3, max_size=3))
def test_shares_survive_packing(shares: list[float]) -> None:
    found = unpacked_shares([packed_shares(shares), None, b"other length"], 3)
    assert np.abs(found[0] - np.clip(shares, 0, 1)).max() <= 0.5 / 255 + 1e-6
    assert not found[1:].any()


def test_nearly_all_of_the_nearest_are_found_by_their_signs() -> None:
    vectors = _vectors(5000)
    stored = [packed(each) for each in vectors]
    index = SignIndex(384)
    for start in range(0, 5000, 700):  # grows on the way
        index.put(np.arange(start, min(5000, start + 700)), stored[start : start + 700])
    shares = []
    for query in range(0, 5000, 250):
        exact = np.argsort(-cosines(stored[query], stored))[:10]
        found = index.nearest(stored[query], 5000, 64)
        assert len(found) == 64
        assert np.array_equal(found, np.sort(found))
        shares.append(np.isin(exact, found).mean())
    assert np.mean(shares) > 0.97
    assert index.n_known == 5000


def test_signs_promise_about_the_cosine() -> None:
    vectors = _vectors(300)
    stored = [packed(each) for each in vectors]
    index = SignIndex(384)
    index.put(np.arange(300), stored)
    promised = index.promised(stored[0], np.arange(300))
    assert np.abs(promised - vectors @ vectors[0]).mean() < 0.06
    assert promised[0] == promised.max()


def test_positions_without_an_embedding_are_never_found() -> None:
    stored = [packed(each) for each in _vectors(40)]
    index = SignIndex(384)
    assert index.nearest(stored[0], 0, 5).size == 0
    assert index.nearest(stored[0], 9, 5).size == 0
    index.put(np.arange(10, 50), stored)
    index.put(np.array([3]), [b"of another length"])
    assert index.n_known == 40
    assert set(index.nearest(stored[0], 3000, 100)) == set(range(10, 50))
    assert set(index.nearest(stored[0], 15, 100)) == set(range(10, 15))
    assert index.promised(stored[0], np.array([3, 10, 2999])).tolist() == [0.0, pytest.approx(1, abs=0.1), 0.0]


def test_an_embedding_can_be_put_again() -> None:
    stored = [packed(each) for each in _vectors(60, seed=3)]
    index = SignIndex(384)
    index.put(np.arange(30), stored[:30])
    index.put(np.array([7]), [stored[45]])
    assert index.n_known == 30
    assert index.promised(stored[45], np.arange(30)).argmax() == 7


@pytest.mark.parametrize("n_dimensions", [1, 63, 64, 65, 200, 256])
def test_any_number_of_dimensions_will_do(n_dimensions: int) -> None:
    stored = [packed(each) for each in _vectors(30, n_dimensions)]
    index = SignIndex(n_dimensions)
    index.put(np.arange(30), stored)
    best = index.nearest(stored[4], 30, 30)
    assert set(best) == set(range(30))
    assert index.promised(stored[4], best).argmax() == 4 or n_dimensions < 63


def test_the_index_is_small() -> None:
    index = SignIndex(384)
    index.put(np.arange(10_000), [bytes(384)] * 10_000)
    assert index.n_bytes < 80 * 10_000
