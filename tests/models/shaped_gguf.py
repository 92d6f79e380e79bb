"""Models with random weights in shapes whose KV cache llama.cpp treats differently, some hundred kilobytes each."""

from pathlib import Path

import numpy as np

from tests.models.tiny_gguf import CHATML, Matrix, Value, _llama_metadata, _llama_tensors, _Vocabulary, gguf_bytes

WIDTH, FEED_FORWARD = 64, 32
LETTERS = [chr(c) for c in range(ord("a"), ord("z") + 1)]


def write_wide_headed_model(path: Path) -> Path:
    """The wandering model with one head of 64: quantized keys of that width can be rotated."""
    vocabulary, chance = _Vocabulary(LETTERS), np.random.default_rng(7)
    shape = (vocabulary.padded_size, WIDTH)
    embedding, output = (chance.normal(size=shape).astype(np.float32) for _ in range(2))
    metadata = _llama_metadata(vocabulary, WIDTH, CHATML)
    metadata |= {"llama.attention.head_count": 1, "llama.rope.dimension_count": WIDTH}
    path.write_bytes(gguf_bytes(metadata, _llama_tensors(WIDTH, embedding=embedding, output=output, rng=chance)))
    return path


def write_partly_rotated_model(path: Path) -> Path:
    """Of the shape of Phi-4-mini: heads that are wide enough, but of which only a part is rotated."""
    n_heads, head = 2, 64
    width = n_heads * head
    layer = {
        "attn_norm": (width,),
        "attn_qkv": ((n_heads + 2) * head, width),
        "attn_output": (width, width),
        "ffn_norm": (width,),
        "ffn_up": (2 * FEED_FORWARD, width),
        "ffn_down": (width, FEED_FORWARD),
    }
    own: dict[str, Value] = {"attention.head_count": n_heads, "attention.head_count_kv": 1, "rope.dimension_count": 32}
    return _write(path, "phi3", width, [layer], own, final_norm="output_norm")


def write_hybrid_model(path: Path) -> Path:
    """Of the shape of LFM2: a recurrent layer, which loses no part of its past, and one with attention."""
    head = 32
    feed_forward = {
        "attn_norm": (WIDTH,),
        "ffn_norm": (WIDTH,),
        "ffn_gate": (FEED_FORWARD, WIDTH),
        "ffn_up": (FEED_FORWARD, WIDTH),
        "ffn_down": (WIDTH, FEED_FORWARD),
    }
    recurrent = {
        "shortconv.conv": (WIDTH, 3),
        "shortconv.in_proj": (3 * WIDTH, WIDTH),
        "shortconv.out_proj": (WIDTH, WIDTH),
    }
    attention = {
        "attn_q": (WIDTH, WIDTH),
        "attn_k": (head, WIDTH),
        "attn_v": (head, WIDTH),
        "attn_output": (WIDTH, WIDTH),
        "attn_q_norm": (head,),
        "attn_k_norm": (head,),
    }
    own: dict[str, Value] = {
        "attention.head_count": WIDTH // head,
        "attention.head_count_kv": [0, 1],
        "rope.dimension_count": head,
        "shortconv.l_cache": 3,
    }
    layers = [feed_forward | recurrent, feed_forward | attention]
    return _write(path, "lfm2", WIDTH, layers, own, final_norm="token_embd_norm")


def _write(
    path: Path,
    architecture: str,
    width: int,
    layers: list[dict[str, tuple[int, ...]]],
    own: dict[str, Value],
    *,
    final_norm: str,
) -> Path:
    vocabulary, chance = _Vocabulary(LETTERS), np.random.default_rng(3)
    general = {
        name.replace("llama.", f"{architecture}.", 1) if name.startswith("llama.") else name: value
        for name, value in _llama_metadata(vocabulary, width, CHATML).items()
    }
    metadata: dict[str, Value] = general | {f"{architecture}.{name}": value for name, value in own.items()}
    metadata |= {"general.architecture": architecture, f"{architecture}.block_count": len(layers)}

    def weights(name: str, shape: tuple[int, ...], size: float) -> Matrix:
        return (np.ones(shape) if name.endswith("norm") else size * chance.normal(size=shape)).astype(np.float32)

    ends = {"token_embd": (vocabulary.padded_size, width), "output": (vocabulary.padded_size, width)}
    tensors = {f"{name}.weight": weights(name, shape, 1.0) for name, shape in ends.items()}
    tensors[f"{final_norm}.weight"] = weights(final_norm, (width,), 1.0)
    for number, layer in enumerate(layers):
        for name, shape in layer.items():
            tensors[f"blk.{number}.{name}.weight"] = weights(name, shape, 0.25)
    path.write_bytes(gguf_bytes(metadata, tensors))
    return path
