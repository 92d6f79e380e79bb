"""How branch and wide part are added, so that the sum is a probability. Pure numpy, fitted on the dev split.

Both are trained with rare emotions counted more than they occur, so their logits say too much. One weight for each of
the two and one bias for each label bring them back to how often an emotion really is there (Platt scaling of a sum);
30 numbers from 5,426 sentences do not overfit.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STEPS = 50
_LONGEST_STEP = 1.0
"""Of each number: far from the maximum, Newton's method would jump over it."""
_RIDGE = 1e-3
"""Weight of the squared numbers, against the summed loss: nothing beside 5,426 sentences, but a label that none of them
has would ask for a bias without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """logits = deep * branch + wide * wide part + bias"""

    deep: float
    wide: float
    bias: NDArray[np.float32]
    """(labels,)"""

    def probabilities(self, deep: NDArray[np.float32], wide: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, labels) from the logits of both."""
        logits = np.float32(self.deep) * deep + np.float32(self.wide) * wide + self.bias
        return np.asarray(1 / (1 + np.exp(-logits)), np.float32)


def fit_mix(deep: NDArray[np.float32], wide: NDArray[np.float32], labels: NDArray[np.bool_]) -> Mix:
    """The maximum of likelihood for (n, labels) logits and labels, by Newton's method."""
    n_labels = labels.shape[1]
    inputs = np.stack([deep, wide]).astype(np.float64)  # (2, n, labels)
    weights, bias = np.array([0.5, 0.5]), np.zeros(n_labels)
    for _ in range(_STEPS):
        probabilities = 1 / (1 + np.exp(-(np.tensordot(weights, inputs, 1) + bias)))
        error, curvature = probabilities - labels, probabilities * (1 - probabilities)
        gradient = np.concatenate([(inputs * error).sum((1, 2)), error.sum(0)])
        gradient += _RIDGE * np.concatenate([weights, bias])
        hessian = np.diag(np.concatenate([np.zeros(2), curvature.sum(0)])) + _RIDGE * np.eye(2 + n_labels)
        hessian[:2, :2] += np.einsum("inl,nl,jnl->ij", inputs, curvature, inputs)
        hessian[:2, 2:] = (inputs * curvature).sum(1)
        hessian[2:, :2] = hessian[:2, 2:].T
        step = np.linalg.solve(hessian, gradient).clip(-_LONGEST_STEP, _LONGEST_STEP)
        weights, bias = weights - step[:2], bias - step[2:]
    return Mix(deep=float(weights[0]), wide=float(weights[1]), bias=bias.astype(np.float32))
