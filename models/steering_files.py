"""LoRA adapters and control vectors as files, checked before they touch a running model.

llama.cpp refuses most misfits with a reason, but aborts the process on some: metadata of an unexpected type, weights of
a type or with dimensions that its operators do not take. Those are refused here, and so is what would spoil every
reply: a weight that is not a number. Setting them on a context is left to `models.steerer`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFileError, SteeringError
from models.gguf_contents import GgufContents, Tensor, read_gguf_contents
from models.native import LlamaCpp

VECTOR_ARCHITECTURE = "controlvector"
"""`general.architecture` of a control vector."""

_F32, _F16, _Q8_0, _BF16 = 0, 1, 8, 30  # ggml_type

_FACTOR = re.compile(r"(.+)\.lora_([ab])")
_DIRECTION = re.compile(r"direction\.([0-9]{1,5})")

_FINITE: Mapping[int, tuple[Any, Callable[[NDArray[Any]], Any]]] = {
    _F32: ("<f4", lambda values: np.isfinite(values).all()),
    _F16: ("<f2", lambda values: np.isfinite(values).all()),
    _BF16: ("<u2", lambda bits: not ((bits & 0x7F80) == 0x7F80).any()),  # an exponent of ones
    _Q8_0: ([("scale", "<f2"), ("quants", "i1", 32)], lambda blocks: np.isfinite(blocks["scale"]).all()),
}
"""The types that llama.cpp's converter writes adapters in; for each how it is read, and whether all of it is finite."""


def check_adapter(llama: LlamaCpp, path: Path, architecture: str) -> None:
    """Check that the file is a LoRA adapter for models of this architecture, and one that llama.cpp can compute with.
    Whether its tensors fit those of the model, llama.cpp checks when it loads them, without harm.

    Raises SteeringError.
    """
    contents = _contents(llama, path)
    _check_adapter_kind(contents, architecture)
    factors: dict[str, dict[str, Tensor]] = {}
    for tensor in contents.tensors:
        if match := _FACTOR.fullmatch(tensor.name):
            factors.setdefault(match[1], {})[match[2]] = tensor
    if not factors:
        raise SteeringError(f"{path} is an adapter without weights; convert it again")
    for name, pair in factors.items():
        # Both pass llama.cpp's checks and abort it later: the embedding where it is the output matrix, too (seen with
        # SmolLM2), and the experts because their weights have a third dimension.
        if "_exps." in name or name == "token_embd.weight":
            raise SteeringError(f"{path} adapts {name}, which is not supported; train it on the linear layers only")
        for tensor in pair.values():
            _check_weights(contents, tensor)
        if len(pair) == 2 and not 0 < pair["a"].shape[1] == pair["b"].shape[0]:
            raise SteeringError(f"{path}: the two factors of {name} do not fit each other; convert it again")


def read_control_vector(
    llama: LlamaCpp, path: Path, *, architecture: str, n_embd: int, n_layers: int
) -> NDArray[np.float32]:
    """The directions of a control vector, `n_embd` numbers for each layer from 1 to `n_layers - 1`, zeros for layers
    that it leaves alone: the layout of `llama_set_adapter_cvec`. Layer 0 is never steered.

    Raises SteeringError when it is damaged, or was made for a model of another kind, width or depth.
    """
    contents = _contents(llama, path)
    if contents.header.architecture != VECTOR_ARCHITECTURE:
        raise SteeringError(f"{path} is no control vector but of kind {contents.header.architecture!r}")
    hint = contents.values.get(f"{VECTOR_ARCHITECTURE}.model_hint")
    if hint is not None and hint != architecture:
        raise SteeringError(f"{path} was made for models of architecture {hint!r}, this one is {architecture!r}")
    directions = np.zeros((n_layers - 1, n_embd), dtype=np.float32)
    for tensor in contents.tensors:
        match = _DIRECTION.fullmatch(tensor.name)
        if match is None:
            raise SteeringError(f"{path} is damaged: {tensor.name[:64]!r} is no part of a control vector")
        layer = int(match[1])
        if not 1 <= layer < n_layers:
            raise SteeringError(f"{path} steers layer {layer}; this model has layers 1 to {n_layers - 1} to steer")
        if tensor.kind != _F32 or tensor.shape[1:] != (1, 1, 1):
            raise SteeringError(f"{path} is damaged: {tensor.name} is no vector of type F32")
        if tensor.shape[0] != n_embd:
            raise SteeringError(f"{path} was made for a model of width {tensor.shape[0]}, this one has {n_embd}")
        _check_weights(contents, tensor)
        directions[layer - 1] = contents.read(tensor, "<f4")
    if not contents.tensors:
        raise SteeringError(f"{path} is a control vector without directions; make it again")
    return directions


def _contents(llama: LlamaCpp, path: Path) -> GgufContents:
    try:
        return read_gguf_contents(llama, path)
    except ModelFileError as error:
        raise SteeringError(str(error)) from error


def _check_adapter_kind(contents: GgufContents, architecture: str) -> None:
    path, values = contents.path, contents.values
    if contents.header.kind != "adapter":
        raise SteeringError(f"{path} is no adapter but a {contents.header.kind}; give a LoRA converted to GGUF")
    if values.get("adapter.type") != "lora":
        raise SteeringError(f"{path} is no LoRA but an adapter of type {values.get('adapter.type')!r}")
    if any(key.startswith("adapter.alora.") for key in values):
        raise SteeringError(
            f"{path} is an activated LoRA, which works only after certain words; give one that always works"
        )
    if contents.header.architecture != architecture:
        made_for = contents.header.architecture
        raise SteeringError(f"{path} was made for models of architecture {made_for!r}, this one is {architecture!r}")
    alpha = values.get("adapter.lora.alpha", 0.0)
    if not isinstance(alpha, float) or not np.isfinite(alpha):
        raise SteeringError(f"{path} is damaged: adapter.lora.alpha is no finite number of type F32")


def _check_weights(contents: GgufContents, tensor: Tensor) -> None:
    if tensor.kind not in _FINITE or tensor.shape[2:] != (1, 1):
        raise SteeringError(
            f"{contents.path}: {tensor.name} is no matrix of type F32, F16, BF16 or Q8_0; convert it again"
        )
    dtype, is_finite = _FINITE[tensor.kind]
    try:
        data = contents.read(tensor, dtype)
    except ModelFileError as error:
        raise SteeringError(str(error)) from error
    if not is_finite(data):
        raise SteeringError(f"{contents.path}: {tensor.name} holds values that are not finite; make it again")
