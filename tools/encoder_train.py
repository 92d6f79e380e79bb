"""Fits the emotion branch to GoEmotions. The trunk never changes, so what it says of each sentence is computed once.

Sentences of one length make a batch, so nothing is padded and nothing masked. Weights are averaged over the last steps
(an exponential moving average). An epoch takes five minutes on one core that has bfloat16 instructions. What becomes
of the logits, thresholds and files, is for `tools.encoder_recipe`.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from tools.encoder_model import Weights, count_layers, emotion_logits, sentence_embedding, trunk_states

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How the branch is trained: what is usual for small BERTs; nothing but the epochs was searched for."""

    epochs: int = 3
    """In a run of six, the likelihood of dev fell after the third."""
    batch: int = 48
    rate: float = 2e-4
    """Peak learning rate of the last layer of the branch; each layer below learns at `layer_decay` of the one above."""
    head_rate: float = 1e-3
    layer_decay: float = 0.85
    warm_up: float = 0.06
    weight_decay: float = 0.01
    dropout: float = 0.15
    positive_power: float = 0.4
    """A positive example of a label counts (negatives / positives) to this power, `most_positive` at most."""
    most_positive: float = 8.0
    smoothing: float = 0.02
    average_decay: float = 0.998
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """What the trunk says of sentences that have the same number of word pieces."""

    rows: NDArray[np.int64]
    """Which of the sentences these are, (m,)."""
    states: Tensor
    """Where the branch goes off: (m, n, 384), bfloat16."""
    sentence: Tensor
    """(m, 384) sentence embeddings, float32."""


def compute_features(trunk: Weights, texts: Sequence[NDArray[np.int64]], after: int, say: Say) -> list[Features]:
    """Run the trunk over all sentences, once; the branch goes off after layer `after`."""
    by_length: defaultdict[int, list[int]] = defaultdict(list)
    for row, ids in enumerate(texts):
        by_length[len(ids)].append(row)
    features, begun = [], time.monotonic()
    for length in sorted(by_length):
        rows = np.asarray(by_length[length], np.int64)
        parts = [_of_batch(trunk, np.stack([texts[row] for row in part]), after) for part in _cut(rows, 64)]
        states, sentence = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
        features.append(Features(rows=rows, states=states, sentence=sentence))
    say(f"trunk: {len(texts)} sentences in {time.monotonic() - begun:.0f} s")
    return features


def train_branch(
    branch: Weights,
    features: Sequence[Features],
    labels: NDArray[np.bool_],
    how: Training,
    say: Say,
    after_epoch: Callable[[int, Weights], None],
) -> Weights:
    """Fit the branch to `labels`; return the averaged weights. `after_epoch` sees them after each epoch."""
    torch.manual_seed(how.seed)
    random = np.random.default_rng(how.seed)
    weights = {name: tensor.clone().requires_grad_() for name, tensor in branch.items()}
    average = {name: tensor.clone() for name, tensor in branch.items()}
    optimizer = torch.optim.AdamW(_groups(weights, how), betas=(0.9, 0.98), fused=True)
    targets = torch.from_numpy(labels.astype(np.float32))
    positive_weight = _positive_weight(targets, how)
    steps = how.epochs * len(_batches(features, how.batch, random))
    step, begun = 0, time.monotonic()
    for epoch in range(how.epochs):
        losses = []
        for which, picked in _batches(features, how.batch, random):
            _set_rate(optimizer, step, steps, how)
            with torch.autocast("cpu", torch.bfloat16):
                logits = emotion_logits(weights, which.states[picked], which.sentence[picked], dropout=how.dropout)
            target = targets[which.rows[picked]] * (1 - 2 * how.smoothing) + how.smoothing
            loss = functional.binary_cross_entropy_with_logits(logits.float(), target, pos_weight=positive_weight)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(weights.values(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            _follow(average, weights, min(how.average_decay, (1 + step) / (10 + step)))
            losses.append(loss.item())
            if step % 200 == 0:
                left_s = (time.monotonic() - begun) * (steps / step - 1)
                say(f"step {step}/{steps}, loss {np.mean(losses[-200:]):.4f}, {left_s / 60:.0f} min left")
        after_epoch(epoch, average)
    return average


def predict(branch: Weights, features: Sequence[Features]) -> NDArray[np.float32]:
    """(n, 28) logits of the branch, in the order of the sentences."""
    logits = np.empty((sum(len(each.rows) for each in features), branch["head.bias"].shape[0]), np.float32)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for each in features:
            for part in _cut(np.arange(len(each.rows)), 128):
                logits[each.rows[part]] = emotion_logits(branch, each.states[part], each.sentence[part]).float().numpy()
    return logits


def _of_batch(trunk: Weights, ids: NDArray[np.int64], after: int) -> tuple[Tensor, Tensor]:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        states = list(trunk_states(trunk, torch.from_numpy(ids)))
    return states[after].bfloat16(), sentence_embedding(states[-1])


def _cut(rows: NDArray[np.int64], most: int) -> list[NDArray[np.int64]]:
    return np.array_split(rows, math.ceil(len(rows) / most))


def _batches(
    features: Sequence[Features], size: int, random: np.random.Generator
) -> list[tuple[Features, NDArray[np.int64]]]:
    batches = [(each, part) for each in features for part in _cut(random.permutation(len(each.rows)), size)]
    return [batches[index] for index in random.permutation(len(batches))]


def _positive_weight(targets: Tensor, how: Training) -> Tensor:
    positives = targets.sum(0).clamp(min=1)
    return ((len(targets) - positives) / positives).pow(how.positive_power).clamp(max=how.most_positive)


def _groups(weights: Weights, how: Training) -> list[dict[str, object]]:
    top = count_layers(weights) - 1
    groups: list[dict[str, object]] = []
    for name, tensor in weights.items():
        rate = how.rate * how.layer_decay ** (top - int(name.split(".")[1])) if name[:6] == "branch" else how.head_rate
        decay = how.weight_decay if tensor.dim() == 2 else 0.0
        groups.append({"params": [tensor], "lr": rate, "peak": rate, "weight_decay": decay})
    return groups


def _set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, how: Training) -> None:
    """Linear warm-up, then a cosine down to nothing."""
    risen = (step + 1) / (how.warm_up * steps)
    fallen = 0.5 * (1 + math.cos(math.pi * max(0.0, step / steps - how.warm_up) / (1 - how.warm_up)))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * min(risen, fallen)


def _follow(average: Weights, weights: Weights, decay: float) -> None:
    with torch.no_grad():
        for name, tensor in average.items():
            tensor.lerp_(weights[name], 1 - decay)
