"""Control vectors: from pairs of contrasting prompts to a direction in each layer of a model, as a file.

Prompts come in pairs that differ in one thing only, a mood for instance. Each is put through the chat template and the
model (`tools.hidden_states`); in every layer the states at its last token are compared. A direction is the average of
the differences between the two sides, or their first principal component, whichever tells the sides of pairs that were
kept apart better (Zou et al. 2023, "Representation Engineering", arXiv:2310.01405). Applying the file to a running
model is left to `models.steering`.
"""

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFileError, SteeringError
from models.gguf import read_gguf_header
from models.steering_files import VECTOR_ARCHITECTURE
from tools.hidden_states import HiddenStates, Opening

FEWEST_PAIRS = 8
"""A quarter of the pairs is kept apart to judge by; with fewer than two of them there is nothing to judge."""

_HELD_OUT_EVERY = 4
_CHANCE = 0.5
_MOST_PROMPT_BYTES = 1 << 20

STEMS = (
    "I think that",
    "Today I want to",
    "The sky above us",
    "When I woke up, I",
    "My friend told me",
    "Let me tell you about",
    "Look at that! It is",
    "In the garden there",
    "What I like most is",
    "It has been raining, and",
    "After lunch we will",
    "Somebody is at the door, so",
    "The little dog over there",
    "My day was",
    "This song makes me",
    "I have just heard that",
    "Tomorrow we are going to",
    "Yes, I remember. It was",
    "The people in this town",
    "That is a difficult question, but",
    "On my way home I saw",
    "If you ask me, the world",
    "Here is a story. Once",
    "My room looks",
    "We have played all day and now",
    "There is a letter for me that",
    "The food on the table",
    "Everything around me",
    "Winter is coming, which",
    "You asked how I am. I am",
    "The colours of this picture",
    "I will try it again, because",
)
"""Beginnings of an answer that leave open in what spirit it goes on; each makes one pair."""

Method = Literal["mean", "pca"]
Pair = tuple[Opening, Opening]
"""The positive and the negative side."""

Progress = Callable[[int, int], None]
"""Called with how many pairs are done, and how many there are."""

States = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerDirection:
    """What was found in one layer. `separation` is, for each method, how far the two sides of held-out pairs lie apart
    along the direction, in standard deviations of that distance; `accuracy` is the share of those pairs in which the
    positive side lies further, by the method that was `chosen`. `vector` is what to add, see `find_directions`."""

    layer: int
    chosen: Method
    separation: dict[Method, float]
    accuracy: float
    vector: States


def persona_pairs(positive: str, negative: str) -> tuple[Pair, ...]:
    """A pair for each stem: the model is asked to be like this and like that, and begins to answer in the same words.
    The personas complete the sentence "Act as if you are ..."."""
    asked = [f"Act as if you are {persona.strip().rstrip('.')}." for persona in (positive, negative)]
    return tuple((Opening(said=asked[0], begun=stem), Opening(said=asked[1], begun=stem)) for stem in STEMS)


def pairs_from_files(positive: Path, negative: Path) -> tuple[Pair, ...]:
    """Pairs of what a person says, one on each line of the two files; line N of one belongs to line N of the other.
    Raises SteeringError."""
    sides = [_lines(path) for path in (positive, negative)]
    if len(sides[0]) != len(sides[1]):
        raise SteeringError(
            f"{positive} has {len(sides[0])} prompts and {negative} has {len(sides[1])}; they belong together in pairs"
        )
    return tuple((Opening(said=one), Opening(said=other)) for one, other in zip(*sides, strict=True))


def capture(states: HiddenStates, pairs: Sequence[Pair], progress: Progress) -> tuple[States, States]:
    """The hidden states of both sides, each of shape (pairs, layers - 1, width). Takes 0.3 s per prompt of 50 tokens
    for a model of 135M parameters on one thread. Raises SteeringError for too few pairs, and as HiddenStates does."""
    if len(pairs) < FEWEST_PAIRS:
        raise SteeringError(f"{len(pairs)} pairs of prompts are too few; give at least {FEWEST_PAIRS}")
    found: tuple[list[States], list[States]] = ([], [])
    for number, pair in enumerate(pairs, start=1):
        for side, opening in zip(found, pair, strict=True):
            side.append(states.of(opening))
        progress(number, len(pairs))
    return np.stack(found[0]), np.stack(found[1])


def find_directions(positive: States, negative: States) -> tuple[LayerDirection, ...]:
    """The direction from the negative to the positive side, for every layer from 1 on.

    What is added to a layer's output travels on into all later ones, so each layer gets its share only: with strength 1
    the shares add up to about the distance between the two sides. Layers that do not tell the held-out pairs apart are
    left out. Raises SteeringError when that leaves none.
    """
    held_out = np.arange(len(positive)) % _HELD_OUT_EVERY == _HELD_OUT_EVERY - 1
    differences = positive - negative
    in_layers = (_direction(layer, differences, held_out) for layer in range(1, differences.shape[1] + 1))
    found = tuple(direction for direction in in_layers if direction is not None)
    if not found:
        raise SteeringError("in no layer can the two sides be told apart; give prompts that differ more")
    return found


def check_target(path: Path) -> None:
    """Check that a control vector may be written there, before minutes are spent on it. Nothing is replaced but another
    control vector, and nothing is left behind here. Raises SteeringError."""
    is_there = _is_there(path)
    if path.name in ("", "..") or (is_there and path.is_dir()):
        raise SteeringError(f"{path} is a folder; give the file to write, {path / 'happy.gguf'} for instance")
    folder = next(parent for parent in path.absolute().parents if _is_there(parent))
    if not folder.is_dir():
        raise SteeringError(f"{path} cannot be written: {folder} is no folder")
    try:
        tempfile.TemporaryFile(dir=folder).close()  # asked by its permissions alone, a file system may promise too much
    except OSError as error:
        raise SteeringError(f"{path} cannot be written: {folder} takes no file: {error.strerror or error}") from error
    if _is_there(_partial(path)) and not _partial(path).is_file():
        raise SteeringError(f"{path} cannot be written: {_partial(path)} is in the way")
    if not is_there:
        return
    try:
        kind = read_gguf_header(path).architecture
    except ModelFileError:
        kind = ""
    if kind != VECTOR_ARCHITECTURE:
        raise SteeringError(f"{path} is there already and is no control vector; give another name, or remove it")


def write_control_vector(path: Path, directions: Sequence[LayerDirection], architecture: str) -> None:
    """Write the directions as a llama.cpp control vector for models of this architecture, whole or not at all. Raises
    SteeringError when it cannot be written, as `check_target` does."""
    from gguf import GGUFWriter

    check_target(path)
    partial = _partial(path)
    writer = GGUFWriter(partial, VECTOR_ARCHITECTURE)
    writer.add_string(f"{VECTOR_ARCHITECTURE}.model_hint", architecture)
    writer.add_int32(f"{VECTOR_ARCHITECTURE}.layer_count", len(directions))
    for direction in directions:
        writer.add_tensor(f"direction.{direction.layer}", direction.vector)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            writer.write_header_to_file()
            writer.write_kv_data_to_file()
            writer.write_tensors_to_file()
            writer.close()
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(path)
        finally:
            writer.close()
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise SteeringError(f"{path} cannot be written: {error.strerror or error}") from error


def _partial(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _is_there(path: Path) -> bool:
    """Whether there is anything of that name, a link to nothing included. Raises SteeringError for a name that none can
    have, or that may not be looked for."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise SteeringError(f"{path} cannot be written: {error.strerror or error}") from error
    return True


def _direction(layer: int, differences: States, held_out: NDArray[np.bool_]) -> LayerDirection | None:
    """The better of the directions that the pairs not held out give for this layer; None where it is none."""
    known, unknown = differences[~held_out, layer - 1], differences[held_out, layer - 1]
    candidates = dict(_candidates(known))
    if not candidates:
        return None
    separation = {method: _separation(unknown @ unit) for method, unit in candidates.items()}
    chosen = max(separation, key=lambda method: separation[method])
    unit = candidates[chosen]
    accuracy = float((unknown @ unit > 0).mean())
    if accuracy <= _CHANCE:
        return None
    share = (known @ unit).mean() / differences.shape[1]
    return LayerDirection(layer=layer, chosen=chosen, separation=separation, accuracy=accuracy, vector=unit * share)


def _candidates(differences: States) -> Iterator[tuple[Method, States]]:
    """The unit vectors to choose from; none where the two sides are the same."""
    mean = differences.mean(axis=0)
    length = np.linalg.norm(mean)
    if not np.isfinite(length) or length == 0:
        return
    yield "mean", mean / length
    # By way of the small matrix of pairs, not the large one of the width: the largest eigenvalue comes last.
    component = differences.T @ np.linalg.eigh(differences @ differences.T)[1][:, -1]
    component *= np.copysign(1 / np.linalg.norm(component), component @ mean)  # which way it points is not defined
    yield "pca", component


def _separation(along: States) -> float:
    """How many of their standard deviations differences lie above zero on average."""
    deviation = float(along.std(ddof=1))
    return float(along.mean()) / deviation if deviation else 0.0


def _lines(path: Path) -> list[str]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_PROMPT_BYTES + 1)
    except OSError as error:
        raise SteeringError(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > _MOST_PROMPT_BYTES:
        raise SteeringError(f"{path} is larger than {_MOST_PROMPT_BYTES} bytes; give fewer prompts")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SteeringError(f"{path} is no UTF-8 text; save it as UTF-8") from error
    return [line.strip() for line in text.splitlines() if line.strip()]
