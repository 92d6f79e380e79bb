"""Models with random weights: GGUF files of a published shape in a published mix of quantization types.

How fast a model runs depends on the shapes and types of its tensors, not on what is in them, so a benchmark needs no
download. Blocks of quantized weights are written as random bits with scales that keep activations finite; the mix of
types is that of llama.cpp's own quantizer. Measuring is left to `tools.speed_table` and `tools.models_bench`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from gguf import GGUFWriter

Mix = Literal["Q4_0", "Q4_K_M", "Q8_0", "F16"]
"""How a model is quantized. F16 is not quantized at all: it is what llama.cpp's quantizer starts from."""

MIXES: tuple[Mix, ...] = get_args(Mix)

_FILE_TYPE = {"F16": 1, "Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}  # enum llama_ftype
_K_BLOCK = 256
"""Weights in a block of a k-quant. Rows that are no multiple of it cannot have one."""

_FALLBACK = {"Q4_K": "Q5_0", "Q6_K": "Q8_0"}
"""What llama.cpp's quantizer takes where a k-quant does not fit."""

_WEIGHT_STD = 0.02
"""Standard deviation of the weights: about that of trained models."""

_POOL_BYTES = 4 << 20
"""Random bytes made anew for each tensor's type and then repeated: far more than a core's cache, so that repetition
cannot make reading them faster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """The shape of a decoder-only model with tied embeddings, as its `config.json` gives it.

    `arch` is llama.cpp's name; "qwen2" has biases on queries, keys and values. `head_dim` x `n_heads` is the width of
    the queries.
    """

    name: str
    arch: Literal["llama", "qwen2"]
    n_layers: int
    n_embd: int
    n_heads: int
    n_kv_heads: int
    head_dim: int
    n_ffn: int
    n_vocab: int


SHAPES = (
    ModelShape(
        name="qwen2.5-0.5b",
        arch="qwen2",
        n_layers=24,
        n_embd=896,
        n_heads=14,
        n_kv_heads=2,
        head_dim=64,
        n_ffn=4864,
        n_vocab=151_936,
    ),
    ModelShape(
        name="qwen2.5-1.5b",
        arch="qwen2",
        n_layers=28,
        n_embd=1536,
        n_heads=12,
        n_kv_heads=2,
        head_dim=128,
        n_ffn=8960,
        n_vocab=151_936,
    ),
    ModelShape(
        name="llama-3.2-3b",
        arch="llama",
        n_layers=28,
        n_embd=3072,
        n_heads=24,
        n_kv_heads=8,
        head_dim=128,
        n_ffn=8192,
        n_vocab=128_256,
    ),
)
"""From the configurations published with the models; all three have tied embeddings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorPlan:
    """One tensor: `rows` x `columns` weights of ggml's type `kind` (one row for a vector)."""

    name: str
    rows: int
    columns: int
    kind: str


def tensor_plan(shape: ModelShape, mix: Mix) -> Iterator[TensorPlan]:
    """All tensors of the file in order, with the types llama.cpp's quantizer gives them. Pure."""
    n_q, n_kv = shape.n_heads * shape.head_dim, shape.n_kv_heads * shape.head_dim
    yield _matrix("token_embd.weight", shape.n_vocab, shape.n_embd, _output_kind(shape, mix))
    yield _vector("output_norm.weight", shape.n_embd)
    usual = {"Q4_K_M": "Q4_K"}.get(mix, mix)
    for layer in range(shape.n_layers):
        # Attention values and the way down are what suffers most: in some of the layers they get more bits.
        finer = "Q6_K" if mix == "Q4_K_M" and _has_more_bits(layer, shape.n_layers) else usual
        prefix = f"blk.{layer}."
        yield _vector(f"{prefix}attn_norm.weight", shape.n_embd)
        yield _vector(f"{prefix}ffn_norm.weight", shape.n_embd)
        yield _matrix(f"{prefix}attn_q.weight", n_q, shape.n_embd, usual)
        yield _matrix(f"{prefix}attn_k.weight", n_kv, shape.n_embd, usual)
        yield _matrix(f"{prefix}attn_v.weight", n_kv, shape.n_embd, finer)
        if shape.arch == "qwen2":
            yield _vector(f"{prefix}attn_q.bias", n_q)
            yield _vector(f"{prefix}attn_k.bias", n_kv)
            yield _vector(f"{prefix}attn_v.bias", n_kv)
        yield _matrix(f"{prefix}attn_output.weight", shape.n_embd, n_q, usual)
        yield _matrix(f"{prefix}ffn_gate.weight", shape.n_ffn, shape.n_embd, usual)
        yield _matrix(f"{prefix}ffn_up.weight", shape.n_ffn, shape.n_embd, usual)
        yield _matrix(f"{prefix}ffn_down.weight", shape.n_embd, shape.n_ffn, finer)


def weight_bytes(shape: ModelShape, mix: Mix) -> int:
    """Bytes of all tensors: what is read from memory for each token, embeddings being tied, and the size of the file
    but for some megabytes of vocabulary."""
    return sum(_tensor_bytes(tensor) for tensor in tensor_plan(shape, mix))


def write_random_gguf(path: Path, shape: ModelShape, mix: Mix, *, seed: int = 0) -> None:
    """Write the file, tensor by tensor: memory is needed for the largest one. The same seed gives the same file.

    Raises OSError when the disk is full, and leaves what was written until then.
    """
    from gguf import GGMLQuantizationType, GGUFWriter

    writer = GGUFWriter(path, shape.arch)
    try:
        _describe(writer, shape, mix)
        tensors = tuple(tensor_plan(shape, mix))
        for tensor in tensors:
            dimensions = (tensor.columns,) if tensor.rows == 1 else (tensor.rows, tensor.columns)
            kind = GGMLQuantizationType[tensor.kind]
            writer.add_tensor_info(tensor.name, dimensions, np.dtype(np.float32), _tensor_bytes(tensor), kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        random = np.random.default_rng(seed)
        for tensor in tensors:
            writer.write_tensor_data(_tensor_data(tensor, random))
    finally:
        writer.close()


def _matrix(name: str, rows: int, columns: int, kind: str) -> TensorPlan:
    """A matrix of `kind`, or of what the quantizer takes in its place where blocks do not fit into a row."""
    fits = columns % _K_BLOCK == 0
    return TensorPlan(name=name, rows=rows, columns=columns, kind=kind if fits else _FALLBACK.get(kind, kind))


def _vector(name: str, size: int) -> TensorPlan:
    return TensorPlan(name=name, rows=1, columns=size, kind="F32")


def _output_kind(shape: ModelShape, mix: Mix) -> str:
    """The type of the tied embeddings: finer, because they are the output matrix, too."""
    if mix in ("Q8_0", "F16"):
        return mix
    return "Q6_K" if shape.n_embd % _K_BLOCK == 0 else "Q8_0"


def _has_more_bits(layer: int, n_layers: int) -> bool:
    """`use_more_bits` of llama.cpp: the first and the last eighth of the layers, and every third between."""
    return layer < n_layers // 8 or layer >= 7 * n_layers // 8 or (layer - n_layers // 8) % 3 == 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """The memory layout of a block: `n_weights` in `n_bytes`.

    `scales` holds, for each 16-bit scale, its byte offset and its value relative to the first, which is `_WEIGHT_STD`
    over `spread`, the standard deviation of the integers that random bits make. The bytes from the first to before the
    second of `small` (integer scales) are cut to 4 bits.
    """

    n_weights: int
    n_bytes: int
    scales: tuple[tuple[int, float], ...] = ()
    spread: float = 1.0
    small: tuple[int, int] = (0, 0)


_BLOCKS = {
    "F32": _Block(n_weights=1, n_bytes=4),
    "F16": _Block(n_weights=1, n_bytes=2),
    "Q4_0": _Block(n_weights=32, n_bytes=18, scales=((0, 1.0),), spread=4.6),
    "Q5_0": _Block(n_weights=32, n_bytes=22, scales=((0, 1.0),), spread=9.2),
    "Q8_0": _Block(n_weights=32, n_bytes=34, scales=((0, 1.0),), spread=74.0),
    # Scale and minimum of sub-blocks are integers of 6 bits, 32 on the average; 7.5 is the mean of four random bits.
    "Q4_K": _Block(n_weights=256, n_bytes=144, scales=((0, 1.0), (2, 7.5)), spread=4.6 * 32),
    "Q6_K": _Block(n_weights=256, n_bytes=210, scales=((208, 1.0),), spread=18.5 * 8, small=(192, 208)),
}
"""The types of the mixes, as ggml lays them out."""


def _tensor_bytes(tensor: TensorPlan) -> int:
    block = _BLOCKS[tensor.kind]
    return tensor.rows * tensor.columns // block.n_weights * block.n_bytes


def _tensor_data(tensor: TensorPlan, random: np.random.Generator) -> NDArray[Any]:
    """Norms are ones, biases zeros, weights random."""
    if tensor.kind == "F32":
        return np.full(tensor.columns, tensor.name.endswith(".weight"), np.float32)
    block = _BLOCKS[tensor.kind]
    n_bytes = _tensor_bytes(tensor)
    n_pool = min(n_bytes, _POOL_BYTES) // block.n_bytes
    if tensor.kind == "F16":
        weights = random.normal(scale=_WEIGHT_STD, size=n_pool).astype("<f2")
        return np.resize(weights.view(np.uint8), n_bytes)
    pool = random.integers(0, 256, size=(n_pool, block.n_bytes), dtype=np.uint8)
    for offset, relative in block.scales:
        scale = np.array(_WEIGHT_STD / block.spread * relative, "<f2")
        pool[:, offset : offset + 2] = np.frombuffer(scale.tobytes(), np.uint8)
    start, end = block.small
    pool[:, start:end] &= 0x0F
    return np.resize(pool, n_bytes)


def _describe(writer: "GGUFWriter", shape: ModelShape, mix: Mix) -> None:
    """Hyperparameters and a vocabulary of the true size: bytes, four special tokens, and words nobody says."""
    writer.add_name(f"random {shape.name} {mix}")
    writer.add_file_type(_FILE_TYPE[mix])
    writer.add_context_length(4096)
    writer.add_embedding_length(shape.n_embd)
    writer.add_block_count(shape.n_layers)
    writer.add_feed_forward_length(shape.n_ffn)
    writer.add_head_count(shape.n_heads)
    writer.add_head_count_kv(shape.n_kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(shape.n_vocab)
    special = (("<unk>", 2), ("<s>", 3), ("</s>", 3), ("\u2581", 1))  # texts and enum llama_token_type
    rows = [*special, *((f"<0x{byte:02X}>", 6) for byte in range(256))]
    rows += [(f"\u2581word{number}", 1) for number in range(shape.n_vocab - len(rows))]
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text for text, _ in rows])
    writer.add_token_scores([0.0] * len(rows))
    writer.add_token_types([kind for _, kind in rows])
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
