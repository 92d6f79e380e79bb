"""Small adapters and control vectors for tests, and a model with layers to steer."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tests.models.tiny_gguf import CHATML, Matrix, Value, _llama_metadata, _llama_tensors, _Vocabulary, gguf_bytes

WIDTH, LAYERS = 64, 4
"""Of the layered model."""

LINEAR = ("attn_q", "attn_output", "ffn_down")

ADAPTER: Mapping[str, Value] = {
    "general.architecture": "llama",
    "general.type": "adapter",
    "adapter.type": "lora",
    "adapter.lora.alpha": 8.0,
}
VECTOR: Mapping[str, Value] = {
    "general.architecture": "controlvector",
    "controlvector.model_hint": "llama",
    "controlvector.layer_count": 3,
}


def write_layered_model(path: Path) -> None:
    """The wandering model with four different blocks."""
    rng = np.random.default_rng(11)
    vocabulary = _Vocabulary([chr(c) for c in range(ord("a"), ord("z") + 1)])
    shape = (vocabulary.padded_size, WIDTH)
    embedding, output = (rng.normal(size=shape).astype(np.float32) for _ in range(2))
    tensors: dict[str, Matrix] = {}
    for layer in range(LAYERS):
        block = _llama_tensors(WIDTH, embedding=embedding, output=output, rng=rng)
        tensors |= {name.replace("blk.0.", f"blk.{layer}."): tensor for name, tensor in block.items()}
    metadata = _llama_metadata(vocabulary, WIDTH, CHATML) | {"llama.block_count": LAYERS}
    path.write_bytes(gguf_bytes(metadata, tensors))


def lora_tensors(rank: int = 4, *, seed: int = 5, size: float = 0.5) -> dict[str, Matrix]:
    """Random factors for some layers of the layered model."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Matrix] = {}
    for layer in range(LAYERS):
        for linear in LINEAR:
            n_in = 32 if linear == "ffn_down" else WIDTH
            tensors[f"blk.{layer}.{linear}.weight.lora_a"] = rng.normal(size=(rank, n_in)).astype(np.float32)
            tensors[f"blk.{layer}.{linear}.weight.lora_b"] = (size * rng.normal(size=(WIDTH, rank))).astype(np.float32)
    return tensors


def write_lora(
    path: Path, tensors: Mapping[str, Matrix] | None = None, metadata: Mapping[str, Value] | None = None
) -> Path:
    path.write_bytes(
        gguf_bytes(ADAPTER if metadata is None else metadata, lora_tensors() if tensors is None else tensors)
    )
    return path


def write_vector(
    path: Path,
    layers: Sequence[int] = (1, 2, 3),
    *,
    width: int = WIDTH,
    seed: int = 3,
    metadata: Mapping[str, Value] | None = None,
) -> Path:
    rng = np.random.default_rng(seed)
    tensors = {f"direction.{layer}": rng.normal(size=width).astype(np.float32) for layer in layers}
    path.write_bytes(gguf_bytes(VECTOR if metadata is None else metadata, tensors))
    return path
