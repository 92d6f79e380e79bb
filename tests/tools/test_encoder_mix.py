"""The mix of branch and wide part: a probability, and better than either alone where both know something."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tools.encoder_mix import fit_mix


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(1 / (1 + np.exp(-logits)))


def test_known_weights_are_found_again() -> None:
    random = np.random.default_rng(1)
    deep, wide = random.normal(size=(2, 20_000, 3)).astype(np.float32)
    bias = np.array([-2.0, -1.0, 0.5])
    labels = random.random((20_000, 3)) < sigmoid(1.5 * deep + 0.5 * wide + bias)
    mix = fit_mix(deep, wide, labels)
    assert (mix.deep, mix.wide) == pytest.approx((1.5, 0.5), abs=0.1)
    assert mix.bias == pytest.approx(bias, abs=0.1)
    assert mix.probabilities(deep, wide).mean(0) == pytest.approx(labels.mean(0), abs=1e-3)


def test_a_part_that_knows_nothing_counts_nothing() -> None:
    random = np.random.default_rng(2)
    deep, wide = random.normal(size=(2, 5000, 2)).astype(np.float32)
    mix = fit_mix(deep, wide, random.random((5000, 2)) < sigmoid(2 * deep - 1))
    assert abs(mix.wide) < 0.1


def test_labels_that_the_logits_tell_without_error_stay_finite() -> None:
    deep = np.linspace(-1, 1, 200, dtype=np.float32)[:, None]
    mix = fit_mix(deep, np.zeros_like(deep), deep > 0)
    assert 5 < mix.deep < 500
    assert ((mix.probabilities(deep, deep * 0) > 0.5) == (deep > 0)).all()


def test_a_label_that_never_occurs_stays_finite() -> None:
    random = np.random.default_rng(3)
    deep, wide = random.normal(size=(2, 500, 2)).astype(np.float32)
    labels = random.random((500, 2)) < sigmoid(deep)
    labels[:, 1] = False
    mix = fit_mix(deep, wide, labels)
    assert np.isfinite(mix.bias).all()
    assert mix.probabilities(deep, wide)[:, 1].max() < 0.01
