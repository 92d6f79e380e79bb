"""A small encoder with random weights: MiniLM's layers, few words. And what it must say, by numpy alone."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.emotions import EMOTIONS
from tools.encoder_shape import HEADS, LAYER_NORM_EPSILON, LAYER_PARTS, LAYERS, WIDTH
from tools.encoder_wide import Wide, table_rows

WORDS, PAIR_BUCKETS = 50, 31
BRANCH_AFTER, BRANCH_LAYERS = 5, 1

Arrays = dict[str, NDArray[Any]]


def random_arrays(seed: int = 1) -> Arrays:
    """All tensors that `tools.encoder_graph.write_graph` asks for."""
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.05) -> NDArray[np.float32]:
        return random.normal(scale=scale, size=shape).astype(np.float32)

    arrays: Arrays = {
        "embeddings.word_embeddings.weight": normal(WORDS, WIDTH),
        "embeddings.position_embeddings.weight": normal(512, WIDTH),
        "embeddings.token_type_embeddings.weight": normal(2, WIDTH),
    }
    prefixes = [f"encoder.layer.{index}" for index in range(LAYERS)] + [f"branch.{i}" for i in range(BRANCH_LAYERS)]
    for name in ["embeddings.LayerNorm"] + [f"{prefix}.{part}" for prefix in prefixes for part in LAYER_PARTS]:
        wide_out, wide_in = (4 * WIDTH if "intermediate" in name else WIDTH), WIDTH
        if name.endswith(".output.dense") and "attention" not in name:
            wide_in = 4 * WIDTH
        is_norm = name.endswith("LayerNorm")
        arrays[f"{name}.weight"] = 1 + normal(WIDTH) if is_norm else normal(wide_out, wide_in)
        arrays[f"{name}.bias"] = normal(wide_out)
    n_labels = len(EMOTIONS)
    arrays |= {f"head.{name}": normal(WIDTH, n_labels) for name in ("query", "value", "mean", "sentence")}
    arrays |= {"head.bias": normal(n_labels), "wide.bias": normal(n_labels), "mix.bias": normal(n_labels)}
    arrays["wide.table"] = normal(WORDS + PAIR_BUCKETS, n_labels, scale=1.0)
    arrays["wide.idf"] = random.integers(0, 200, WORDS + PAIR_BUCKETS).astype(np.uint8)
    arrays |= {"mix.deep": np.asarray(0.7, np.float32), "mix.wide": np.asarray(0.4, np.float32)}
    return arrays


def expected(arrays: Arrays, ids: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Embedding and emotions of word pieces, written down from BERT's definition."""
    states = arrays["embeddings.word_embeddings.weight"][ids].astype(np.float64)
    states += arrays["embeddings.position_embeddings.weight"][: len(ids)]
    states = _norm(states + arrays["embeddings.token_type_embeddings.weight"][0], arrays, "embeddings.LayerNorm")
    branch = states
    for index in range(LAYERS):
        states = _layer(states, arrays, f"encoder.layer.{index}")
        branch = states if index + 1 == BRANCH_AFTER else branch
    embedding = states.mean(0) / np.linalg.norm(states.mean(0))
    for index in range(BRANCH_LAYERS):
        branch = _layer(branch, arrays, f"branch.{index}")
    attention = _softmax((branch @ arrays["head.query"]).T).T
    deep = (attention * (branch @ arrays["head.value"])).sum(0) + branch.mean(0) @ arrays["head.mean"]
    deep = deep + math.sqrt(WIDTH) * embedding @ arrays["head.sentence"] + arrays["head.bias"]
    wide = Wide(table=arrays["wide.table"], bias=arrays["wide.bias"], idf=arrays["wide.idf"])
    (wide_logits,) = wide.logits([table_rows(ids, WORDS, PAIR_BUCKETS)])
    logits = arrays["mix.deep"] * deep + arrays["mix.wide"] * wide_logits + arrays["mix.bias"]
    return embedding, 1 / (1 + np.exp(-logits))


def _layer(states: NDArray[np.float64], arrays: Arrays, prefix: str) -> NDArray[np.float64]:
    def dense(part: str, inputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(inputs @ arrays[f"{prefix}.{part}.weight"].T + arrays[f"{prefix}.{part}.bias"])

    query, key, value = (dense(f"attention.self.{part}", states) for part in ("query", "key", "value"))
    heads = []
    for one in np.split(np.arange(WIDTH), HEADS):
        scores = query[:, one] @ key[:, one].T / math.sqrt(len(one))
        heads.append(_softmax(scores) @ value[:, one])
    attended = dense("attention.output.dense", np.concatenate(heads, axis=1))
    states = _norm(states + attended, arrays, f"{prefix}.attention.output.LayerNorm")
    inner = dense("intermediate.dense", states)
    gelu = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
    return _norm(states + dense("output.dense", gelu), arrays, f"{prefix}.output.LayerNorm")


def _norm(values: NDArray[np.float64], arrays: Arrays, name: str) -> NDArray[np.float64]:
    centred = values - values.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + LAYER_NORM_EPSILON)
    return np.asarray(scaled * arrays[f"{name}.weight"] + arrays[f"{name}.bias"])


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))
