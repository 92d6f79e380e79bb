"""Makes a Piper voice say how long each phoneme lasts, by naming one more output of its network, in memory.

A VITS network rounds up the duration of every phoneme with its only Ceil node, but voices are published without that
tensor among their outputs. piper-tts adds it with the `onnx` package, which parses and writes the whole model; here
about 20 bytes are appended to the file's, because in the protobuf encoding a second occurrence of a message is merged
into the first: no further package on the device. See the protobuf encoding guide ("Last One Wins") and onnx.proto.
"""

from collections.abc import Iterator

# Field numbers of onnx.proto: ModelProto.graph, GraphProto.node and .output, NodeProto.output and .op_type,
# ValueInfoProto.name.
_MODEL_GRAPH = 7
_GRAPH_NODE, _GRAPH_OUTPUT = 1, 12
_NODE_OUTPUT, _NODE_OP_TYPE = 2, 4
_VALUE_NAME = 1


def with_durations(model: bytes) -> bytes:
    """`model`, an ONNX file, with the durations as its last output; unchanged if they are there or cannot be told.

    Raises ValueError if the bytes are no protobuf message.
    """
    names = {name for graph in _fields(model, _MODEL_GRAPH) for name in _ceil_outputs(graph)}
    outputs = {
        bytes(name)
        for graph in _fields(model, _MODEL_GRAPH)
        for value in _fields(graph, _GRAPH_OUTPUT)
        for name in _fields(value, _VALUE_NAME)
    }
    if len(names) != 1 or names <= outputs:
        return model
    value = _field(_VALUE_NAME, names.pop())
    return model + _field(_MODEL_GRAPH, _field(_GRAPH_OUTPUT, value))


def _ceil_outputs(graph: memoryview) -> Iterator[bytes]:
    for node in _fields(graph, _GRAPH_NODE):
        if [bytes(kind) for kind in _fields(node, _NODE_OP_TYPE)] == [b"Ceil"]:
            yield from (bytes(name) for name in _fields(node, _NODE_OUTPUT))


def _fields(message: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    """The values of the length-delimited fields of one number, without copying them."""
    view = memoryview(message)
    at = 0
    while at < len(view):
        key, at = _varint(view, at)
        match key & 7:
            case 0:  # a varint
                _, at = _varint(view, at)
            case 1:  # 64 bits
                at += 8
            case 5:  # 32 bits
                at += 4
            case 2:  # a length and so many bytes
                length, at = _varint(view, at)
                if at + length > len(view):
                    raise ValueError("a protobuf field is longer than its message")
                if key >> 3 == wanted:
                    yield view[at : at + length]
                at += length
            case kind:
                raise ValueError(f"protobuf has no wire type {kind}")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """The number that begins at `at`, and where it ends."""
    number = shift = 0
    while at < len(view) and shift < 70:
        byte = view[at]
        number |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return number, at
    raise ValueError("a protobuf number does not end")


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited field."""
    return _encoded(number << 3 | 2) + _encoded(len(value)) + value


def _encoded(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
