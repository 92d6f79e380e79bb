"""Small GGUF files for tests: a writer, and two models of some hundred kilobytes that llama.cpp really runs.

The `scripted` model says one fixed reply, token by token; the `wandering` model has random weights, so that every token
depends on everything before it. Both have a SentencePiece vocabulary with byte tokens and ChatML control tokens.
"""

import itertools
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

Value = int | float | bool | str | Sequence[str] | Sequence[float] | Sequence[int]
Matrix = NDArray[np.float32]


def string(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def gguf_bytes(
    metadata: Mapping[str, Value], tensors: Mapping[str, Matrix] | None = None, *, version: int = 3
) -> bytes:
    """A whole GGUF file with F32 tensors."""
    tensors = tensors or {}
    out = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(metadata))
    out += b"".join(string(key) + _value(value) for key, value in metadata.items())
    data = b""
    for name, tensor in tensors.items():
        out += string(name) + struct.pack("<I", tensor.ndim)
        out += b"".join(struct.pack("<Q", size) for size in reversed(tensor.shape))
        out += struct.pack("<IQ", 0, len(data))
        data += tensor.astype("<f4").tobytes()
        data += bytes(-len(data) % 32)
    return out + bytes(-len(out) % 32) + data


def _value(value: Value) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", BOOL, value)
        case int():
            return struct.pack("<II", U32, value)
        case float():
            return struct.pack("<If", F32, value)
        case str():
            return struct.pack("<I", STRING) + string(value)
    items = list(value)
    if isinstance(items[0], str):
        return struct.pack("<IIQ", ARRAY, STRING, len(items)) + b"".join(string(str(item)) for item in items)
    item_kind, form = (F32, "<f") if isinstance(items[0], float) else (I32, "<i")
    return struct.pack("<IIQ", ARRAY, item_kind, len(items)) + b"".join(struct.pack(form, item) for item in items)


def write_scripted_model(
    path: Path,
    reply: Sequence[str],
    *,
    template: str = CHATML,
    asides: Sequence[Sequence[str]] = (),
    added: Mapping[str, int] | None = None,
) -> None:
    """A model that answers every ChatML prompt with the tokens of `reply`, then ends its turn.

    Every item becomes one token and may occur only once; "<0xF0>" and "<s>" are the tokens of that name. `added` are
    more such names with their kinds, `asides` more runs of tokens of which each follows the one before. It has no
    attention: the embeddings are unit vectors, and the output matrix says which token follows which.
    """
    added = added or {}
    words = [word for word in itertools.chain(reply, *asides) if not word.startswith("<")]
    vocabulary = _Vocabulary(list(dict.fromkeys(words)), added)
    size = vocabulary.padded_size
    output = np.zeros((size, size), dtype=np.float32)
    for run in (["<0x0A>", *reply, "<|im_end|>"], *asides):
        for current, following in itertools.pairwise(run):
            output[vocabulary.ids[following], vocabulary.ids[current]] = 10.0
    tensors = _llama_tensors(size, embedding=np.eye(size, dtype=np.float32), output=output, rng=None)
    path.write_bytes(gguf_bytes(_llama_metadata(vocabulary, size, template), tensors))


def write_wandering_model(path: Path, *, template: str = CHATML) -> None:
    """A model with random weights. It never ends its turn by itself."""
    rng = np.random.default_rng(7)
    vocabulary = _Vocabulary([chr(c) for c in range(ord("a"), ord("z") + 1)])
    n_vocab = vocabulary.padded_size
    embedding = rng.normal(size=(n_vocab, 64)).astype(np.float32)
    output = rng.normal(size=(n_vocab, 64)).astype(np.float32)
    output[[kind == CONTROL for kind in vocabulary.kinds]] = 0.0
    tensors = _llama_tensors(64, embedding=embedding, output=output, rng=rng)
    path.write_bytes(gguf_bytes(_llama_metadata(vocabulary, 64, template), tensors))


class _Vocabulary:
    """Special tokens, all bytes, the given words, and unused tokens up to a multiple of 64."""

    def __init__(self, words: Sequence[str], added: Mapping[str, int] | None = None) -> None:
        special = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL), ("<|im_start|>", CONTROL)]
        special += [("<|im_end|>", CONTROL), ("<start_of_turn>", USER_DEFINED)]
        special += (added or {}).items()
        rows = special + [(f"<0x{byte:02X}>", BYTE) for byte in range(256)]
        rows += [(word.replace(" ", "\u2581"), NORMAL) for word in words]
        if "\u2581" not in [text for text, _ in rows]:
            rows.append(("\u2581", NORMAL))
        rows += [(f"<unused{n}>", CONTROL) for n in range(-len(rows) % 64)]
        self.texts = [text for text, _ in rows]
        self.kinds = [kind for _, kind in rows]
        self.ids = {text.replace("\u2581", " "): at for at, text in enumerate(self.texts)}
        self.padded_size = len(rows)


def _llama_metadata(vocabulary: _Vocabulary, n_embd: int, template: str) -> dict[str, Value]:
    return {
        "general.architecture": "llama",
        "general.name": "Tiny",
        "general.file_type": 0,
        "llama.context_length": 512,
        "llama.embedding_length": n_embd,
        "llama.block_count": 1,
        "llama.feed_forward_length": 32,
        "llama.attention.head_count": n_embd // 32,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.vocab_size": vocabulary.padded_size,
        "llama.rope.dimension_count": 32,
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": vocabulary.texts,
        "tokenizer.ggml.scores": [0.0] * vocabulary.padded_size,
        "tokenizer.ggml.token_type": vocabulary.kinds,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 4,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": template,
    }


def _llama_tensors(
    n_embd: int, *, embedding: Matrix, output: Matrix, rng: np.random.Generator | None
) -> dict[str, Matrix]:
    """One transformer block; without `rng` its attention and feed-forward layers add nothing."""

    def weights(rows: int, columns: int) -> Matrix:
        shape = (rows, columns)
        return (np.zeros(shape) if rng is None else rng.normal(size=shape) / 4).astype(np.float32)

    ones = np.ones(n_embd, dtype=np.float32)
    return {
        "token_embd.weight": embedding,
        "output_norm.weight": ones,
        "output.weight": output,
        "blk.0.attn_norm.weight": ones,
        "blk.0.attn_q.weight": weights(n_embd, n_embd),
        "blk.0.attn_k.weight": weights(n_embd, n_embd),
        "blk.0.attn_v.weight": weights(n_embd, n_embd),
        "blk.0.attn_output.weight": weights(n_embd, n_embd),
        "blk.0.ffn_norm.weight": ones,
        "blk.0.ffn_gate.weight": weights(32, n_embd),
        "blk.0.ffn_up.weight": weights(32, n_embd),
        "blk.0.ffn_down.weight": weights(n_embd, 32),
    }
