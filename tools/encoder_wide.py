"""The wide part: logistic regression over word pieces and pairs of them, weighted as TF-IDF weights them.

It remembers what the branch smooths over (rare words, fixed phrases, insults), errs on other sentences than the branch,
and costs some look-ups in a table. Pairs are hashed into buckets, so that the table is small; hash and weighting are
plain integer and float arithmetic, for `tools.encoder_graph` to repeat them. Fitting it needs torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tools.encoder_shape import HASH_FIRST, HASH_SECOND

Pieces = NDArray[np.int64]

_IDF_STEP = 1 / 16
"""Inverse document frequencies are kept as bytes, in sixteenths: at most 11.7 for 43,410 sentences."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WideTraining:
    """How the wide part is fitted. Penalty and power are the best of three each on the dev split."""

    pair_buckets: int = 56_000
    """As many as the size of the shipped file allows."""
    penalty: float = 2e-5
    """Weight of the squared weights, against the mean loss over the sentences."""
    positive_power: float = 0.5
    """A positive example of a label counts (negatives / positives) to this power."""
    iterations: int = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Wide:
    """A fitted wide part. Rows of the table: the vocabulary, then the buckets of pairs."""

    table: NDArray[np.float32]
    """(rows, labels)"""
    bias: NDArray[np.float32]
    """(labels,)"""
    idf: NDArray[np.uint8]
    """(rows,), in sixteenths; 0 for what was never seen."""

    def logits(self, rows: Sequence[Pieces]) -> NDArray[np.float32]:
        """(sentences, labels) for the `table_rows` of each sentence."""
        return np.stack([_weights(self.idf, each) @ self.table[each] + self.bias for each in rows])


def table_rows(ids: Pieces, vocabulary: int, pair_buckets: int) -> Pieces:
    """Rows of the table for a sentence: its word pieces, then the pairs of neighbours."""
    pairs = (ids[:-1] * HASH_FIRST + ids[1:] * HASH_SECOND) % pair_buckets
    return np.concatenate([ids, vocabulary + pairs])


def inverse_document_frequencies(rows: Sequence[Pieces], n_rows: int) -> NDArray[np.uint8]:
    """(n_rows,) bytes: log(sentences / sentences with it) + 1, in sixteenths; 0 for what was never seen."""
    seen = np.bincount(np.concatenate([np.unique(each) for each in rows]), minlength=n_rows)
    idf = np.log(len(rows) / np.maximum(seen, 1)) + 1
    return np.where(seen > 0, np.minimum(np.rint(idf / _IDF_STEP), 255), 0).astype(np.uint8)


def fit_wide(
    rows: Sequence[Pieces], n_rows: int, labels: NDArray[np.bool_], how: WideTraining, say: Callable[[str], None]
) -> Wide:
    """Fit the table to sentences (their `table_rows`) and their labels, by L-BFGS over all of them at once."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits

    idf = inverse_document_frequencies(rows, n_rows)
    inputs = _design_matrix(rows, idf)
    targets = torch.from_numpy(labels.astype(np.float32))
    positives = targets.sum(0).clamp(min=1)
    positive_weight = ((len(targets) - positives) / positives) ** how.positive_power
    table = torch.zeros(n_rows, labels.shape[1], requires_grad=True)
    bias = torch.full((labels.shape[1],), -3.0, requires_grad=True)
    optimizer = torch.optim.LBFGS([table, bias], max_iter=how.iterations, line_search_fn="strong_wolfe")

    def closure() -> Any:
        optimizer.zero_grad()
        logits = torch.sparse.mm(inputs, table) + bias
        summed = binary_cross_entropy_with_logits(logits, targets, pos_weight=positive_weight, reduction="sum")
        loss = summed / len(targets) + 0.5 * how.penalty * table.square().sum()
        loss.backward()
        return loss

    first, last = optimizer.step(closure).item(), closure().item()
    say(f"wide part: loss {first:.2f} at first, {last:.2f} at last")
    return Wide(table=table.detach().numpy(), bias=bias.detach().numpy(), idf=idf)


def _weights(idf: NDArray[np.uint8], rows: Pieces) -> NDArray[np.float32]:
    """What each row of a sentence counts: its idf, all of them together of unit length."""
    weights = idf[rows].astype(np.float32)
    length = max(1.0, float(np.linalg.norm(weights)))
    return weights / np.float32(length)


def _design_matrix(rows: Sequence[Pieces], idf: NDArray[np.uint8]) -> Any:
    """(sentences, rows of the table), sparse."""
    import torch

    sentences = np.repeat(np.arange(len(rows)), [len(each) for each in rows])
    places = torch.from_numpy(np.stack([sentences, np.concatenate(list(rows))]))
    values = torch.from_numpy(np.concatenate([_weights(idf, each) for each in rows]))
    return torch.sparse_coo_tensor(places, values, (len(rows), len(idf)), check_invariants=True).coalesce()
