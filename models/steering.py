"""What is laid over a model to make it a character: LoRA adapters with scales, and control vectors with strengths.

Several characters share one base model. A `Steering` says what is wanted, for a character file to name and for a cache
to be keyed by. Making it so is left to `models.steerer`, what the files hold to `models.steering_files`.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelFileError, SteeringError
from models.fingerprint import file_sha256

MOST_WEIGHT = 100.0
"""The largest scale or strength, either way: far beyond what leaves a model able to speak."""

UNSTEERED = "none"
"""The digest of no steering at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A LoRA adapter in a GGUF file. `scale` multiplies its effect: 1 as it was trained, 0 not at all."""

    path: Path
    scale: float = 1.0

    def __post_init__(self) -> None:
        _check_weight(self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlVector:
    """A control vector in a GGUF file. `strength` multiplies it; below 0 it steers the opposite way."""

    path: Path
    strength: float = 1.0

    def __post_init__(self) -> None:
        _check_weight(self.strength)


@dataclass(frozen=True, slots=True, kw_only=True)
class Steering:
    """What is laid over the base model; `Steering()` is nothing. A file named twice counts with the sum of its weights,
    and one that has no weight does not count."""

    adapters: tuple[Adapter, ...] = ()
    vectors: tuple[ControlVector, ...] = ()

    def scales(self) -> dict[Path, float]:
        """The scale of each adapter that counts."""
        return _weights((adapter.path, adapter.scale) for adapter in self.adapters)

    def strengths(self) -> dict[Path, float]:
        """The strength of each control vector that counts."""
        return _weights((vector.path, vector.strength) for vector in self.vectors)


def steering_digest(steering: Steering, sha256: Callable[[Path], str] = file_sha256) -> str:
    """What this steering is, for keys: equal for equal contents of the files and equal weights, wherever the files lie.
    `sha256` hashes a file. Raises SteeringError when it raises ModelFileError."""
    parts = []
    try:
        for kind, weights in (("lora", steering.scales()), ("vector", steering.strengths())):
            parts += sorted([kind, sha256(path), weight] for path, weight in weights.items())
    except ModelFileError as error:
        raise SteeringError(str(error)) from error
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest() if parts else UNSTEERED


def _weights(pairs: Iterable[tuple[Path, float]]) -> dict[Path, float]:
    """The weight of each file; llama.cpp itself takes the first one of an adapter that is named twice."""
    total: dict[Path, float] = {}
    for path, weight in pairs:
        total[path] = total.get(path, 0.0) + weight
    return {path: weight for path, weight in total.items() if weight}


def _check_weight(weight: float) -> None:
    if not math.isfinite(weight) or abs(weight) > MOST_WEIGHT:
        raise ValueError(f"a scale or strength is a number between -{MOST_WEIGHT:g} and {MOST_WEIGHT:g}, not {weight}")
