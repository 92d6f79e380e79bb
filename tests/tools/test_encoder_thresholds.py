"""Thresholds: the best cut where there is one, no luck of single sentences, and scores as anybody else counts them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.emotions import EKMAN, EMOTIONS
from tools.encoder_thresholds import carried_over, grouped, macro_f1, micro_f1, score_labels, tune_thresholds


def column(values: list[float]) -> NDArray[np.float32]:
    return np.asarray(values, np.float32)[:, None]


def marks(values: list[int]) -> NDArray[np.bool_]:
    return np.asarray(values, np.bool_)[:, None]


def test_a_clean_cut_is_found() -> None:
    (threshold,) = tune_thresholds(column([0.9, 0.8, 0.7, 0.2, 0.1, 0.05] * 20), marks([1, 1, 1, 0, 0, 0] * 20))
    assert 0.2 < threshold < 0.7


def test_equal_probabilities_are_never_cut_apart() -> None:
    probabilities, labels = column([0.6] * 50 + [0.1] * 50), marks([1, 0] * 25 + [0] * 50)
    (threshold,) = tune_thresholds(probabilities, labels)
    assert 0.1 < threshold < 0.6


def test_a_rare_label_is_not_tuned_to_its_luckiest_sentence() -> None:
    """The one best cut would be at the single high positive; over resamples it lies lower."""
    random = np.random.default_rng(3)
    probabilities = np.concatenate([[0.9, 0.3, 0.28, 0.26], random.uniform(0, 0.25, 500)]).astype(np.float32)
    (threshold,) = tune_thresholds(probabilities[:, None], marks([1, 1, 1, 1] + [0] * 500))
    assert threshold < 0.3


@given(
    st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), min_size=2, max_size=60),
)
@settings(deadline=None, max_examples=50)
def test_thresholds_are_probabilities_whatever_the_data(rows: list[tuple[float, bool]]) -> None:
    (threshold,) = tune_thresholds(column([value for value, _ in rows]), marks([int(mark) for _, mark in rows]))
    assert 0 <= threshold <= 1


def test_scores_are_those_of_the_textbook() -> None:
    labels = np.asarray([[1, 0], [1, 0], [1, 1], [0, 0]], np.bool_)
    present = np.asarray([[1, 0], [1, 0], [0, 0], [1, 0]], np.bool_)
    first, second = score_labels(present, labels, ("first", "second"))
    assert (first.precision, first.recall, first.f1, first.n) == pytest.approx((2 / 3, 2 / 3, 2 / 3, 3))
    assert (second.precision, second.recall, second.f1, second.n) == (0, 0, 0, 1)
    assert macro_f1(present, labels) == pytest.approx(1 / 3)
    assert micro_f1(present, labels) == pytest.approx(2 * 2 / (3 + 4))


def test_a_group_holds_where_one_of_its_labels_does() -> None:
    labels = np.zeros((2, len(EMOTIONS)), np.bool_)
    labels[0, [EMOTIONS.index("grief"), EMOTIONS.index("remorse")]] = True
    labels[1, EMOTIONS.index("neutral")] = True
    assert [[list(EKMAN)[index] for index in row.nonzero()[0]] for row in grouped(labels)] == [["sadness"], ["neutral"]]


def test_what_is_carried_over_is_no_more_than_luck_for_noise() -> None:
    random = np.random.default_rng(1)
    labels = random.random((400, 2)) < 0.1
    noise = random.random((400, 2)).astype(np.float32)
    thresholds = tune_thresholds(noise, labels)
    assert carried_over(noise, labels) <= macro_f1(noise >= thresholds, labels) + 0.02
    assert carried_over(labels.astype(np.float32) * 0.8 + 0.1, labels) == 1
