"""From probabilities to labels: one threshold per label, chosen for its F1, and the scores of GoEmotions.

Pure numpy. A threshold that is best on some thousand sentences is mostly luck where a label is rare (13 of 5,426 for
grief), so it is averaged over resamples of them; `carried_over` says what of the score survives on sentences that were
not tuned on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.emotions import EKMAN, EMOTIONS

Scores = NDArray[np.float32]
Labels = NDArray[np.bool_]

RESAMPLES = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """How well one label is found."""

    label: str
    precision: float
    recall: float
    f1: float
    n: int
    """Sentences that have the label."""


def tune_thresholds(probabilities: Scores, labels: Labels, seed: int = 1) -> NDArray[np.float32]:
    """(28,) thresholds for (n, 28) probabilities: the mean, in logits, of the best ones over resamples of the rows.

    A label is present where its probability is at least its threshold.
    """
    random = np.random.default_rng(seed)
    n = len(labels)
    weights = random.multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float32)
    return np.array(
        [_bagged(probabilities[:, column], labels[:, column], weights) for column in range(labels.shape[1])], np.float32
    )


def macro_f1(present: Labels, labels: Labels) -> float:
    """The mean of the F1 of each column; a column with nothing found and nothing to find counts 0."""
    return float(np.mean([each.f1 for each in score_labels(present, labels, tuple(map(str, range(labels.shape[1]))))]))


def micro_f1(present: Labels, labels: Labels) -> float:
    """F1 over all decisions together."""
    return _f1(int((present & labels).sum()), int(present.sum()), int(labels.sum()))


def score_labels(present: Labels, labels: Labels, names: tuple[str, ...] = EMOTIONS) -> tuple[LabelScore, ...]:
    """Precision, recall and F1 of each label."""
    scores = []
    for name, found, true in zip(names, present.T, labels.T, strict=True):
        hits, n_found, n_true = int((found & true).sum()), int(found.sum()), int(true.sum())
        scores.append(
            LabelScore(
                label=name,
                precision=hits / max(1, n_found),
                recall=hits / max(1, n_true),
                f1=_f1(hits, n_found, n_true),
                n=n_true,
            )
        )
    return tuple(scores)


def grouped(present: Labels) -> Labels:
    """(n, 28) labels -> (n, 7) of Ekman's groups and neutral: a group is present where one of its labels is."""
    columns = [[EMOTIONS.index(name) for name in names] for names in EKMAN.values()]
    return np.stack([present[:, group].any(1) for group in columns], axis=1)


def carried_over(probabilities: Scores, labels: Labels, folds: int = 5, seed: int = 1) -> float:
    """Macro-F1 where each fold of the sentences is judged by thresholds that were tuned on the others."""
    fold = np.random.default_rng(seed).permutation(len(labels)) % folds
    present = np.zeros_like(labels)
    for held_out in range(folds):
        thresholds = tune_thresholds(probabilities[fold != held_out], labels[fold != held_out], seed)
        present[fold == held_out] = probabilities[fold == held_out] >= thresholds
    return macro_f1(present, labels)


def _bagged(scores: NDArray[np.float32], true: NDArray[np.bool_], weights: NDArray[np.float32]) -> float:
    order = np.argsort(-scores, kind="stable")
    ranked, hit, weight = scores[order].astype(np.float64), true[order], weights[:, order]
    found = np.cumsum(weight, axis=1)
    hits = np.cumsum(weight * hit, axis=1)
    f1 = 2 * hits / (found + hits[:, -1:] + 1e-9)
    # Equal scores stand or fall together: a cut is possible only before a smaller one.
    f1[:, :-1][:, ranked[:-1] == ranked[1:]] = -1.0
    best = f1.argmax(1)
    logits = np.log(ranked + 1e-9) - np.log1p(1e-9 - ranked)
    following = np.append(logits[1:], logits[-1])
    cut = ((logits[best] + following[best]) / 2).mean()
    return float(1 / (1 + np.exp(-cut)))


def _f1(hits: int, n_found: int, n_true: int) -> float:
    return 2 * hits / (n_found + n_true) if hits else 0.0
