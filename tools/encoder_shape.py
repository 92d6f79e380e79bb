"""The shape of the encoder, as its training in torch and its ONNX graph both need it. Constants only."""

WIDTH = 384
HEADS = 12
LAYERS = 6
LAYER_NORM_EPSILON = 1e-12
"""Of all-MiniLM-L6-v2 (its config.json)."""

LAYER_PARTS = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "attention.output.LayerNorm",
    "intermediate.dense",
    "output.dense",
    "output.LayerNorm",
)
"""What a layer consists of, each with `.weight` and `.bias`, as BERT names it."""

HASH_FIRST, HASH_SECOND = 40503, 30011
"""Multipliers for the two word pieces of a pair; the sum, modulo the number of buckets, is its bucket."""
