"""The wide part: rows of its table, weights of rows, and what it says of a sentence. Fitting is tried with torch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.encoder_wide import Wide, WideTraining, fit_wide, inverse_document_frequencies, table_rows

SENTENCES = [np.asarray(ids, np.int64) for ids in ([1, 5, 6, 2], [1, 5, 7, 2], [1, 8, 2])]


@given(st.lists(st.integers(0, 30521), min_size=2, max_size=128), st.integers(1, 60_000))
@settings(deadline=None, max_examples=50)
def test_rows_are_pieces_and_then_pairs(ids: list[int], buckets: int) -> None:
    rows = table_rows(np.asarray(ids, np.int64), 30522, buckets)
    assert rows[: len(ids)].tolist() == ids
    assert len(rows) == 2 * len(ids) - 1
    assert ((rows[len(ids) :] >= 30522) & (rows[len(ids) :] < 30522 + buckets)).all()


def test_a_pair_is_not_the_same_the_other_way_round() -> None:
    there, back = (table_rows(np.asarray(ids, np.int64), 10, 997)[2] for ids in ([3, 4], [4, 3]))
    assert there != back


def test_what_is_everywhere_weighs_least_and_what_was_never_seen_nothing() -> None:
    idf = inverse_document_frequencies(SENTENCES, 10)
    assert idf[1] == 16  # log(1) + 1, in sixteenths
    assert idf[1] < idf[5] < idf[8]
    assert idf[9] == 0


def test_logits_are_the_weighted_mean_of_rows() -> None:
    table = np.asarray([[1, 0], [0, 2], [9, 9]], np.float32)
    wide = Wide(table=table, bias=np.asarray([0.5, 0], np.float32), idf=np.asarray([48, 64, 0], np.uint8))
    (logits,) = wide.logits([np.asarray([0, 1, 2])])
    assert logits.tolist() == pytest.approx([48 / 80 + 0.5, 2 * 64 / 80])
    (unseen,) = wide.logits([np.asarray([2, 2])])
    assert unseen.tolist() == [0.5, 0]


def test_fitting_finds_which_piece_tells_a_label() -> None:
    pytest.importorskip("torch", reason="fitting needs the extra `train`")
    random = np.random.default_rng(1)
    rows = [random.integers(0, 20, 6) for _ in range(400)]
    labels = np.stack([[3 in row, 4 in row] for row in rows])
    wide = fit_wide(rows, 20, labels, WideTraining(iterations=50, penalty=1e-3), lambda _: None)
    assert wide.table.argmax(0).tolist() == [3, 4]
    found = wide.logits(rows) > 0
    assert (found == labels).mean() > 0.9
