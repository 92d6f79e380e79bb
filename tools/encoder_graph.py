"""Writes trunk, branch and wide part as one ONNX graph: word pieces of a sentence in, embedding and emotions out.

    input_ids int64 (n,) -> embedding float32 (384,), emotions float32 (28,)

One sentence at a time: no padding, no mask, and no sentence that changes how another is rounded. As float32 it is what
was trained; as int8 it is what ships: weights of a matrix product symmetric, a scale per column, inputs quantized as
they come (ONNX's DynamicQuantizeLinear and MatMulInteger, which onnxruntime fuses); words and tables a scale per row or
column. Takes the tensors as numpy arrays under the names of `tools.encoder_model` and `tools.encoder_wide`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.emotions import EMOTIONS
from models.encoder import MOST_PIECES, WEIGHTS
from tools.encoder_shape import HASH_FIRST, HASH_SECOND, HEADS, LAYER_NORM_EPSILON, LAYERS, WIDTH

OPSET = 20
IR_VERSION = 9
"""Opset 20 has Gelu; onnxruntime reads both since 1.17."""

_LARGE_BYTES = 1024
"""Smaller tensors stay in the graph, where onnxruntime looks at their values when it simplifies it."""

_HEAD_WIDTH = WIDTH // HEADS

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphOptions:
    """How the graph is written."""

    quantized: bool
    branch_after: int
    """The layer of the trunk after which the branch goes off."""
    branch_layers: int
    weights_beside: bool = False
    """The weights in a file of their own, `models.encoder.WEIGHTS` beside the graph, which is mapped and not copied."""
    weight_bits: int = 8
    """8, or 7: then two products of a byte and a weight fit into 16 bits, as x86 without VNNI adds them."""


def write_graph(weights: Arrays, options: GraphOptions, path: Path) -> None:
    """Write the ONNX file. `weights` holds trunk, branch (`branch.*`, `head.*`), `wide.*` and `mix.*`."""
    import onnx
    from onnx import TensorProto, helper

    writer = _Writer(options)
    _whole(writer, weights, options)
    graph = helper.make_graph(
        writer.nodes,
        "familiar-encoder",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n"])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [WIDTH]),
            helper.make_tensor_value_info("emotions", TensorProto.FLOAT, [len(EMOTIONS)]),
        ],
        writer.constants,
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="familiar tools.encoder_recipe",
    )
    onnx.checker.check_model(model)
    if options.weights_beside:
        move_weights(model, path.parent)
    path.write_bytes(model.SerializeToString(deterministic=True))


def move_weights(model: Any, folder: Path) -> None:
    """Move the weights of an onnx.ModelProto into the file `models.encoder.WEIGHTS` of this folder."""
    from onnx import external_data_helper as external

    (folder / WEIGHTS).unlink(missing_ok=True)  # else onnx would append
    external.convert_model_to_external_data(model, location=WEIGHTS, size_threshold=_LARGE_BYTES)
    external.write_external_data_tensors(model, str(folder))


def quantize(values: NDArray[np.float32], axis: int, bits: int = 8) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Symmetric integers of `bits` bits and their scales, one for each slice across `axis` (kept as 1)."""
    most = 2 ** (bits - 1) - 1
    scale = np.maximum(np.abs(values).max(axis, keepdims=True), 1e-12) / most
    return np.rint(values / scale).astype(np.int8), scale.astype(np.float32)


@dataclass(slots=True)
class _Writer:
    options: GraphOptions
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    _known: dict[tuple[object, ...], str] = field(default_factory=dict)

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        """A node with one output; its name."""
        return self.add_many(op, inputs, 1, **attributes)[0]

    def add_many(self, op: str, inputs: tuple[str, ...], n_outputs: int, **attributes: object) -> list[str]:
        from onnx import helper

        outputs = [f"{op}_{len(self.nodes)}_{index}" for index in range(n_outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), outputs, **attributes))
        return outputs

    def name(self, output: str, name: str) -> None:
        """Give what a node puts out the name of an output of the graph."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [output], [name]))

    def constant(self, values: NDArray[Any]) -> str:
        from onnx import numpy_helper

        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def integers(self, *values: int) -> str:
        return self._once(("list", *values), np.asarray(values, np.int64))

    def number(self, value: float) -> str:
        return self._once(("number", value), np.asarray(value, np.float32))

    def _once(self, key: tuple[object, ...], values: NDArray[Any]) -> str:
        if key not in self._known:
            self._known[key] = self.constant(values)
        return self._known[key]

    def as_float(self, value: str) -> str:
        return self.add("Cast", value, to=1)

    def dense(self, inputs: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """inputs @ weight + bias, `weight` (in, out)."""
        if not self.options.quantized:
            return self.add("Add", self.add("MatMul", inputs, self.constant(weight)), self.constant(bias))
        integers, scale = quantize(weight, 0, self.options.weight_bits)
        rounded, input_scale, input_zero = self.add_many("DynamicQuantizeLinear", (inputs,), 3)
        product = self.add("MatMulInteger", rounded, self.constant(integers), input_zero)
        scales = self.add("Mul", input_scale, self.constant(scale[0]))
        return self.add("Add", self.add("Mul", self.as_float(product), scales), self.constant(bias))

    def rows(self, table: NDArray[np.float32], which: str) -> str:
        """Rows of a table of words: (m, columns) for (m,) indices."""
        if not self.options.quantized:
            return self.add("Gather", self.constant(table), which)
        integers, scale = quantize(table, 1)
        rows = self.as_float(self.add("Gather", self.constant(integers), which))
        return self.add("Mul", rows, self.as_float(self.add("Gather", self.constant(scale.astype(np.float16)), which)))

    def layer_norm(self, inputs: str, weights: Arrays, name: str) -> str:
        scale, shift = self.constant(weights[f"{name}.weight"]), self.constant(weights[f"{name}.bias"])
        return self.add("LayerNormalization", inputs, scale, shift, axis=-1, epsilon=LAYER_NORM_EPSILON)

    def sum_over(self, inputs: str, axis: int) -> str:
        return self.add("ReduceSum", inputs, self.integers(axis), keepdims=0)

    def mean_over_tokens(self, states: str) -> str:
        return self.add("ReduceMean", states, self.integers(0), keepdims=0)


def _whole(writer: _Writer, weights: Arrays, options: GraphOptions) -> None:
    states = _embedded(writer, weights)
    branch_states = states
    for index in range(LAYERS):
        states = _layer(writer, weights, f"encoder.layer.{index}", states)
        if index + 1 == options.branch_after:
            branch_states = states
    mean = writer.mean_over_tokens(states)
    embedding = writer.add("Div", mean, writer.add("ReduceL2", mean, writer.integers(0)))
    for index in range(options.branch_layers):
        branch_states = _layer(writer, weights, f"branch.{index}", branch_states)
    deep = _head(writer, weights, branch_states, embedding)
    wide = _wide(writer, weights)
    mixed = writer.add(
        "Add",
        writer.add("Mul", deep, writer.constant(weights["mix.deep"])),
        writer.add("Mul", wide, writer.constant(weights["mix.wide"])),
    )
    logits = writer.add("Add", mixed, writer.constant(weights["mix.bias"]))
    writer.name(embedding, "embedding")
    writer.name(writer.add("Sigmoid", logits), "emotions")


def _embedded(writer: _Writer, weights: Arrays) -> str:
    words = writer.rows(weights["embeddings.word_embeddings.weight"], "input_ids")
    places = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
    count = writer.add("Shape", "input_ids")
    here = writer.add("Slice", writer.constant(places[:MOST_PIECES]), writer.integers(0), count)
    return writer.layer_norm(writer.add("Add", words, here), weights, "embeddings.LayerNorm")


def _layer(writer: _Writer, weights: Arrays, prefix: str, states: str) -> str:
    def of(part: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return weights[f"{prefix}.{part}.weight"].T, weights[f"{prefix}.{part}.bias"]

    attended = writer.dense(_attended(writer, states, *_joined(of)), *of("attention.output.dense"))
    states = writer.layer_norm(writer.add("Add", states, attended), weights, f"{prefix}.attention.output.LayerNorm")
    inner = writer.add("Gelu", writer.dense(states, *of("intermediate.dense")))
    fed = writer.dense(inner, *of("output.dense"))
    return writer.layer_norm(writer.add("Add", states, fed), weights, f"{prefix}.output.LayerNorm")


def _joined(of: Any) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Query, key and value in one product; the query carries the 1 / sqrt(head width) of the attention."""
    scales = (np.float32(_HEAD_WIDTH**-0.5), np.float32(1), np.float32(1))
    parts = [of(f"attention.self.{part}") for part in ("query", "key", "value")]
    weight = np.concatenate([weight * scale for (weight, _), scale in zip(parts, scales, strict=True)], axis=1)
    return weight, np.concatenate([bias * scale for (_, bias), scale in zip(parts, scales, strict=True)])


def _attended(writer: _Writer, states: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
    joined = writer.add_many("Split", (writer.dense(states, weight, bias),), 3, axis=1, num_outputs=3)
    query, key, value = (writer.add("Reshape", each, writer.integers(-1, HEADS, _HEAD_WIDTH)) for each in joined)
    by_head = writer.add("Transpose", query, perm=[1, 0, 2])
    scores = writer.add("MatMul", by_head, writer.add("Transpose", key, perm=[1, 2, 0]))
    mixed = writer.add("MatMul", writer.add("Softmax", scores, axis=-1), writer.add("Transpose", value, perm=[1, 0, 2]))
    return writer.add("Reshape", writer.add("Transpose", mixed, perm=[1, 0, 2]), writer.integers(-1, WIDTH))


def _head(writer: _Writer, weights: Arrays, states: str, embedding: str) -> str:
    """As `tools.encoder_model.emotion_logits` ends."""
    by_token = writer.add("MatMul", states, writer.constant(weights["head.query"]))
    values = writer.add("MatMul", states, writer.constant(weights["head.value"]))
    attended = writer.sum_over(writer.add("Mul", writer.add("Softmax", by_token, axis=0), values), 0)
    mean = writer.add("MatMul", writer.mean_over_tokens(states), writer.constant(weights["head.mean"]))
    sentence = writer.add("MatMul", embedding, writer.constant(weights["head.sentence"] * np.float32(WIDTH**0.5)))
    summed = writer.add("Add", writer.add("Add", attended, mean), sentence)
    return writer.add("Add", summed, writer.constant(weights["head.bias"]))


def _wide(writer: _Writer, weights: Arrays) -> str:
    """As `tools.encoder_wide.Wide.logits`."""
    table, idf = weights["wide.table"], weights["wide.idf"]
    first = writer.add("Slice", "input_ids", writer.integers(0), writer.integers(-1))
    second = writer.add("Slice", "input_ids", writer.integers(1), writer.integers(MOST_PIECES))
    hashed = writer.add(
        "Add",
        writer.add("Mul", first, writer.integers(HASH_FIRST)),
        writer.add("Mul", second, writer.integers(HASH_SECOND)),
    )
    vocabulary = len(weights["embeddings.word_embeddings.weight"])
    bucket = writer.add("Mod", hashed, writer.integers(len(idf) - vocabulary))
    which = writer.add("Concat", "input_ids", writer.add("Add", bucket, writer.integers(vocabulary)), axis=0)
    weight = writer.as_float(writer.add("Gather", writer.constant(idf), which))
    length = writer.add("Max", writer.add("ReduceL2", weight, writer.integers(0)), writer.number(1.0))
    if writer.options.quantized:
        integers, scale = quantize(table, 0)
        rows = writer.as_float(writer.add("Gather", writer.constant(integers), which))
        summed = writer.add("Mul", writer.add("MatMul", weight, rows), writer.constant(scale[0]))
    else:
        summed = writer.add("MatMul", weight, writer.add("Gather", writer.constant(table), which))
    return writer.add("Add", writer.add("Div", summed, length), writer.constant(weights["wide.bias"]))
