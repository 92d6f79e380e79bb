"""MiniLM and the emotion branch in plain torch: functions over a dictionary of tensors, named as in the published file.

The trunk is all-MiniLM-L6-v2, never changed. The branch goes off after one of its layers, with layers of its own of the
same shape, and ends in a head that reads single tokens (one attention per label), their mean, and the sentence
embedding of the trunk. `tools.encoder_train` fits the branch; `tools.encoder_graph` writes both as one ONNX graph.
Imports torch: only training does that, never the companion.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from models.emotions import EMOTIONS
from models.errors import ModelFileError
from tools.encoder_shape import HEADS, LAYER_NORM_EPSILON, LAYER_PARTS, LAYERS, WIDTH

Weights = dict[str, Tensor]


def load_trunk(path: Path) -> Weights:
    """The tensors of all-MiniLM-L6-v2 from `model.safetensors`, as float32. Raises ModelFileError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        tensors: Weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelFileError(f"{path} is no safetensors file of all-MiniLM-L6-v2: {error}") from error
    weights = {name: tensor.float() for name, tensor in tensors.items() if tensor.is_floating_point()}
    if weights.get("embeddings.word_embeddings.weight", torch.empty(0)).shape != (30522, WIDTH):
        raise ModelFileError(f"{path} does not hold all-MiniLM-L6-v2: give its model.safetensors")
    return weights


def new_branch(trunk: Weights, first_layer: int, n_layers: int, generator: torch.Generator) -> Weights:
    """A branch that begins as layers `first_layer`... of the trunk (its last ones, if those do not suffice)."""
    first_copied = min(first_layer, LAYERS - n_layers)
    branch: Weights = {
        f"branch.{index}.{part}.{kind}": trunk[f"encoder.layer.{first_copied + index}.{part}.{kind}"].clone()
        for index in range(n_layers)
        for part in LAYER_PARTS
        for kind in ("weight", "bias")
    }
    for name in ("query", "value", "mean", "sentence"):
        branch[f"head.{name}"] = torch.randn(WIDTH, len(EMOTIONS), generator=generator) * 0.02
    branch["head.bias"] = torch.zeros(len(EMOTIONS))
    return branch


def embed(trunk: Mapping[str, Tensor], ids: Tensor) -> Tensor:
    """(batch, n) word pieces -> (batch, n, 384): words, places and the one segment, normalized."""
    summed = (
        trunk["embeddings.word_embeddings.weight"][ids]
        + trunk["embeddings.position_embeddings.weight"][: ids.shape[1]]
        + trunk["embeddings.token_type_embeddings.weight"][0]
    )
    return _layer_norm(summed, trunk, "embeddings.LayerNorm")


def layer(weights: Mapping[str, Tensor], prefix: str, states: Tensor, *, dropout: float = 0.0) -> Tensor:
    """One layer of BERT on (batch, n, 384) states of texts that are equally long; `dropout` > 0 in training only."""

    def dense(part: str, inputs: Tensor) -> Tensor:
        return functional.linear(inputs, weights[f"{prefix}.{part}.weight"], weights[f"{prefix}.{part}.bias"])

    def drop(inputs: Tensor) -> Tensor:
        return functional.dropout(inputs, dropout) if dropout else inputs

    batch, n, _ = states.shape
    query, key, value = (
        dense(f"attention.self.{part}", states).view(batch, n, HEADS, WIDTH // HEADS).transpose(1, 2)
        for part in ("query", "key", "value")
    )
    attended = functional.scaled_dot_product_attention(query, key, value)
    attended = dense("attention.output.dense", attended.transpose(1, 2).reshape(batch, n, WIDTH))
    states = _layer_norm(states + drop(attended), weights, f"{prefix}.attention.output.LayerNorm")
    fed = dense("output.dense", functional.gelu(dense("intermediate.dense", states)))
    return _layer_norm(states + drop(fed), weights, f"{prefix}.output.LayerNorm")


def sentence_embedding(states: Tensor) -> Tensor:
    """(batch, n, 384) states of the last layer -> (batch, 384), mean over tokens, of unit length."""
    return functional.normalize(states.float().mean(1), dim=-1)


def emotion_logits(branch: Mapping[str, Tensor], states: Tensor, sentence: Tensor, *, dropout: float = 0.0) -> Tensor:
    """(batch, n, 384) trunk states where the branch goes off, and (batch, 384) embeddings -> (batch, 28) logits."""
    for index in range(count_layers(branch)):
        states = layer(branch, f"branch.{index}", states, dropout=dropout)
    if dropout:
        states = functional.dropout(states, dropout)
        sentence = functional.dropout(sentence, dropout)
    attention = torch.softmax((states @ branch["head.query"]).float(), dim=1)
    by_token = (attention * (states @ branch["head.value"])).sum(1)
    # The embedding has unit length; the other states have a length of about sqrt(384).
    by_sentence = (sentence * WIDTH**0.5) @ branch["head.sentence"]
    return by_token + states.mean(1) @ branch["head.mean"] + by_sentence + branch["head.bias"]


def count_layers(branch: Mapping[str, Tensor]) -> int:
    """How many layers a branch has of its own."""
    return sum(name.endswith(".intermediate.dense.bias") for name in branch)


def trunk_states(trunk: Mapping[str, Tensor], ids: Tensor) -> Iterator[Tensor]:
    """The states after the embedding and after each of the six layers: seven of (batch, n, 384)."""
    states = embed(trunk, ids)
    yield states
    for index in range(LAYERS):
        states = layer(trunk, f"encoder.layer.{index}", states)
        yield states


def _layer_norm(inputs: Tensor, weights: Mapping[str, Tensor], name: str) -> Tensor:
    return functional.layer_norm(
        inputs, (WIDTH,), weights[f"{name}.weight"], weights[f"{name}.bias"], LAYER_NORM_EPSILON
    )
