"""`familiar eval emotion`: how well the shipped encoder tells feelings, how fast, and what rounding it to int8 cost.

Runs `models.encoder` over GoEmotions' test split with the thresholds that it ships with, which were tuned on dev.
Ekman's figure is that of the paper's seven groups (six emotions and neutral): a group is to be found where one of its
labels is, and is found where the probability that any of them is there reaches the group's threshold. Where the same
network is given unrounded, it is judged by the same thresholds. What the figures look like is left to
`tools.eval_emotion_report`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.emotions import EKMAN
from models.encoder import SHIPPED, Encoded, Encoder, EncoderInfo, group_probabilities, open_network
from models.errors import ModelFileError
from tools.encoder_data import Examples, read_split
from tools.encoder_thresholds import LabelScore, grouped, macro_f1, micro_f1, score_labels
from tools.stats import Spread

Say = Callable[[str], None]

_WARM_UP = 20
"""Sentences that are not timed: the first ones fetch the weights into the processor's caches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """F1 of one network."""

    macro_f1: float
    micro_f1: float
    ekman_macro_f1: float
    labels: tuple[LabelScore, ...]
    groups: tuple[LabelScore, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrounded:
    """The float network beside the shipped one."""

    scores: Scores
    macro_f1_drop: float
    """What the shipped network lacks; negative where it is the better one."""
    cosine_mean: float
    """Of the embeddings of both."""
    cosine_p1: float
    """The cosine that 99 of 100 sentences exceed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was measured."""

    fingerprint: str
    sentences: int
    pieces_mean: float
    """Word pieces of a sentence."""
    thresholds: tuple[float, ...]
    group_thresholds: tuple[float, ...]
    scores: Scores
    tokenization: Spread
    """Processor time of a sentence on one core. Not the time of day: other programs do not make it longer."""
    inference: Spread
    both: Spread
    unrounded: Unrounded | None


def evaluate(data: Path, say: Say, *, float_model: Path | None = None, folder: Path = SHIPPED) -> Evaluation:
    """Judge the encoder in `folder` by the test split in `data`. Raises ModelFileError."""
    examples = read_split(data, "test")
    encoder = Encoder(folder)
    encoded, pieces, cut_s, run_s = _run(encoder, examples, say)
    scores = _scores(_emotions(encoded), examples, encoder.info)
    unrounded = None
    if float_model is not None:
        unrounded = _compare(float_model, pieces, encoded, examples, encoder.info, scores, say)
    timed = slice(_WARM_UP if len(examples) > 2 * _WARM_UP else 0, None)
    return Evaluation(
        fingerprint=encoder.fingerprint,
        sentences=len(examples),
        pieces_mean=round(float(np.mean([len(each) for each in pieces])), 1),
        thresholds=encoder.info.thresholds,
        group_thresholds=encoder.info.group_thresholds,
        scores=scores,
        tokenization=Spread.of_seconds(cut_s[timed]),
        inference=Spread.of_seconds(run_s[timed]),
        both=Spread.of_seconds([cut + run for cut, run in zip(cut_s, run_s, strict=True)][timed]),
        unrounded=unrounded,
    )


def _run(
    encoder: Encoder, examples: Examples, say: Say
) -> tuple[list[Encoded], list[tuple[int, ...]], list[float], list[float]]:
    """Answers and word pieces of each sentence, and the processor time that cutting and running it took."""
    encoded, pieces, cut_s, run_s = [], [], [], []
    for number, text in enumerate(examples.texts, start=1):
        begun_s = time.thread_time()
        pieces.append(encoder.word_pieces(text))
        cut_at_s = time.thread_time()
        encoded.append(encoder.encode_pieces(pieces[-1]))
        run_s.append(time.thread_time() - cut_at_s)
        cut_s.append(cut_at_s - begun_s)
        if number % 1000 == 0:
            say(f"{number} of {len(examples)} sentences")
    return encoded, pieces, cut_s, run_s


def _scores(emotions: NDArray[np.float32], examples: Examples, info: EncoderInfo) -> Scores:
    present = emotions >= np.asarray(info.thresholds, np.float32)
    groups = group_probabilities(emotions) >= np.asarray(info.group_thresholds, np.float32)
    group_labels = grouped(examples.labels)
    return Scores(
        macro_f1=macro_f1(present, examples.labels),
        micro_f1=micro_f1(present, examples.labels),
        ekman_macro_f1=macro_f1(groups, group_labels),
        labels=score_labels(present, examples.labels),
        groups=score_labels(groups, group_labels, tuple(EKMAN)),
    )


def _compare(
    path: Path,
    pieces: list[tuple[int, ...]],
    encoded: list[Encoded],
    examples: Examples,
    info: EncoderInfo,
    scores: Scores,
    say: Say,
) -> Unrounded:
    say(f"and once more with {path.name}")
    outputs = _run_unrounded(path, pieces)
    cosines = [float(np.dot(mine.embedding, theirs)) for mine, (theirs, _) in zip(encoded, outputs, strict=True)]
    unrounded = _scores(np.stack([emotions for _, emotions in outputs]), examples, info)
    return Unrounded(
        scores=unrounded,
        macro_f1_drop=unrounded.macro_f1 - scores.macro_f1,
        cosine_mean=float(np.mean(cosines)),
        cosine_p1=float(np.percentile(cosines, 1)),
    )


def _run_unrounded(path: Path, pieces: list[tuple[int, ...]]) -> list[list[NDArray[np.float32]]]:
    """Embedding and emotions of each sentence."""
    network = open_network(path)
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    try:
        return [network.run(["embedding", "emotions"], {"input_ids": np.asarray(each, np.int64)}) for each in pieces]
    except (ort.Fail, ort.InvalidArgument, ValueError) as error:
        raise ModelFileError(
            f"{path} is no encoder with this vocabulary: give the -float.onnx that tools.encoder_recipe wrote"
        ) from error


def _emotions(encoded: list[Encoded]) -> NDArray[np.float32]:
    return np.stack([each.emotions for each in encoded])
