"""How much memory a model takes, from its header alone: weights, KV cache, room to compute. Pure.

`models.loading` asks before it loads, so that a context larger than memory is a sentence and not a killed process;
`device.tuning` asks which models of the catalogue a board can hold. The figures follow the pinned llama.cpp (a test
compares them with what it really allocates); where an architecture keeps more than is known here they are too small,
and never too large: nothing that fits is refused.
"""

import re
from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from models.gguf import GgufHeader, GgufTensor

KvType = Literal["f16", "q8_0"]

CONTEXT_STEP = 256
"""llama.cpp makes KV caches in steps of so many cells."""

_KV_BYTES_PER_32 = {"f16": 64, "q8_0": 34}
_LAYER_TENSOR = re.compile(r"blk\.(\d+)\.(.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes of memory. Weights that are mapped from their file can leave memory again; the rest cannot."""

    weights_bytes: int
    kv_bytes: int
    compute_bytes: int

    @property
    def context_bytes(self) -> int:
        """What the context takes, whatever becomes of the weights."""
        return self.kv_bytes + self.compute_bytes

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.context_bytes


def footprint(
    header: GgufHeader, *, n_ctx: int, n_batch: int, kv_type: KvType, flash_attention: bool, n_outputs: int = 2
) -> Footprint:
    """The memory of a model whose `n_ctx` tokens of context all its sequences share, with a full-size cache for
    sliding windows (llama.cpp's `kv_unified` and `swa_full`), that computes `n_batch` tokens at once and gives the
    logits of `n_outputs` of them."""
    n_cells = -(-n_ctx // CONTEXT_STEP) * CONTEXT_STEP
    rows = kv_widths(header)
    if not flash_attention:  # values then lie transposed, as wide in every layer as in the widest
        widest = max((v for _, v in rows), default=0)
        rows = [(k, widest if v else 0) for k, v in rows]
    kv = sum((k + v) // 32 * _KV_BYTES_PER_32[kv_type] for k, v in rows) * n_cells
    n_heads = _largest(header, "attention.head_count") if any(rows) else 0
    # Attention's scores for all heads and its mask; flash attention never has the scores whole, and its mask is f16.
    scores = n_batch * n_cells * (2 if flash_attention else 4 * (n_heads + 1)) if n_heads else 0
    activations = n_batch * 4 * (_largest(header, "embedding_length") + _largest(header, "feed_forward_length"))
    logits = n_outputs * 4 * _vocabulary_size(header)
    return Footprint(
        weights_bytes=sum(tensor.n_bytes for tensor in header.tensors),
        kv_bytes=kv,
        compute_bytes=scores + activations + logits,
    )


def largest_context(
    header: GgufHeader, room_bytes: int, *, n_batch: int, kv_type: KvType, flash_attention: bool
) -> int:
    """The largest `n_ctx`, in whole steps, whose cache and compute buffers take at most `room_bytes`; 0 for none, and
    what the model was trained with where memory sets no limit."""
    fits, fails = 0, (header.context_length or 1 << 20) // CONTEXT_STEP + 1  # in steps
    while fails - fits > 1:
        middle = (fits + fails) // 2
        needed = footprint(
            header,
            n_ctx=middle * CONTEXT_STEP,
            n_batch=n_batch,
            kv_type=kv_type,
            flash_attention=flash_attention,
        )
        if needed.context_bytes <= room_bytes:
            fits = middle
        else:
            fails = middle
    return fits * CONTEXT_STEP


def kv_widths(header: GgufHeader) -> list[tuple[int, int]]:
    """Elements of a key and of a value that each layer keeps for one token; (0, 0) where it keeps none.

    Taken from the tensors, which cannot be at odds with themselves: metadata has a number for all layers even where
    some are recurrent, and leaves out what the architecture's code knows.
    """
    layers: dict[int, dict[str, GgufTensor]] = defaultdict(dict)
    for tensor in header.tensors:
        if found := _LAYER_TENSOR.fullmatch(tensor.name):
            layers[int(found[1])][found[2]] = tensor
    # Layers for predicting several tokens at once are not run; the last layers of some models reuse an earlier cache.
    running = {n: parts for n, parts in layers.items() if not any(name.startswith("nextn.") for name in parts)}
    n_with_own = max(running, default=-1) + 1 - _largest(header, "attention.shared_kv_layers")
    return [_widths(header, parts) if n < n_with_own else (0, 0) for n, parts in sorted(running.items())]


def _widths(header: GgufHeader, parts: dict[str, GgufTensor]) -> tuple[int, int]:
    if "attn_k.weight" in parts:
        value = parts.get("attn_v.weight")
        return _rows(parts["attn_k.weight"]), _rows(value) if value else 0
    if "attn_kv_a_mqa.weight" in parts:  # multi-head latent attention: values are a part of the keys
        return _rows(parts["attn_kv_a_mqa.weight"]), 0
    if "attn_qkv.weight" in parts and not any(name.startswith("ssm_") for name in parts):
        heads = _largest(header, "attention.head_count")
        head_width = _largest(header, "attention.key_length") or _largest(header, "embedding_length") // max(heads, 1)
        both = max(0, _rows(parts["attn_qkv.weight"]) - heads * head_width)
        return both // 2, both // 2
    return 0, 0


def n_parameters(header: GgufHeader) -> int:
    """How many weights the model has."""
    return sum(tensor.n_elements for tensor in header.tensors)


def read_bytes_per_token(header: GgufHeader) -> int:
    """Bytes of weights that generating one token reads: all, but of the embeddings a single row unless they are the
    output matrix too, and of a mixture's experts those in use. Decoding is bound by reading them."""
    has_output = any(tensor.name == "output.weight" for tensor in header.tensors)
    n_experts = _largest(header, "expert_count")
    share = _largest(header, "expert_used_count") / n_experts if n_experts else 1.0
    total = 0.0
    for tensor in header.tensors:
        if tensor.name == "per_layer_token_embd.weight" or (tensor.name == "token_embd.weight" and has_output):
            continue
        total += tensor.n_bytes * (share if "_exps." in tensor.name else 1.0)
    return int(total)


def _rows(tensor: GgufTensor) -> int:
    return tensor.shape[-1]


def _vocabulary_size(header: GgufHeader) -> int:
    return next((_rows(tensor) for tensor in header.tensors if tensor.name == "token_embd.weight"), 0)


def _largest(header: GgufHeader, name: str) -> int:
    """A hyperparameter, that of the layer with the largest; 0 where it is missing or makes no sense."""
    value = header.hyperparameters.get(name, 0)
    numbers = value if isinstance(value, tuple) else (value,)
    return max((number for number in numbers if isinstance(number, int) and number > 0), default=0)
