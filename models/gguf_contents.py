"""What stands in a small GGUF file: its metadata and where its tensors lie, as llama.cpp itself reads them.

For adapters and control vectors, which are to be checked before they touch a running model. The file is first checked
as any GGUF (`models.gguf`: whole and bounded), then opened with the parser of the ggml library, so that what is checked
is what llama.cpp will see, and a hostile file costs no more memory than it is long. What the contents should be is left
to `models.steering_files`.
"""

import ctypes
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import ModelFileError
from models.gguf import GgufHeader, read_gguf_header
from models.native import LlamaCpp

_Pointer = ctypes.c_void_p
_DIMENSIONS = 4

_GETTERS: Mapping[int, tuple[str, Any]] = {
    4: ("gguf_get_val_u32", ctypes.c_uint32),
    5: ("gguf_get_val_i32", ctypes.c_int32),
    6: ("gguf_get_val_f32", ctypes.c_float),
    8: ("gguf_get_val_str", ctypes.c_char_p),
}
"""By `gguf_type`: how a value is read. Asked for a value of another type than it has, ggml aborts the process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A tensor of the file: its `ggml_type`, its shape as ggml has it (four numbers, the contiguous dimension first),
    and where its bytes lie in the file."""

    name: str
    kind: int
    shape: tuple[int, ...]
    offset: int
    n_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufContents:
    """`values` holds every key of the file; those that are no text, 32-bit integer or 32-bit float have None."""

    path: Path
    header: GgufHeader
    values: Mapping[str, str | int | float | None]
    tensors: tuple[Tensor, ...]

    def read(self, tensor: Tensor, dtype: Any) -> NDArray[Any]:
        """The bytes of a tensor as a flat array. Raises ModelFileError when the file is not what it was."""
        dtype = np.dtype(dtype)
        count = tensor.n_bytes // dtype.itemsize
        try:
            data = np.fromfile(self.path, dtype=dtype, count=count, offset=tensor.offset)
        except OSError as error:
            raise ModelFileError(f"{self.path} cannot be read: {error.strerror or error}") from error
        if len(data) != count:
            raise ModelFileError(f"{self.path} became shorter while it was read")
        return data


def read_gguf_contents(llama: LlamaCpp, path: Path) -> GgufContents:
    """Read everything but the weights. Raises ModelFileError as `read_gguf_header` does, and for what ggml refuses."""
    header = read_gguf_header(path)
    with _opened(llama, path) as gguf:
        return GgufContents(path=path, header=header, values=dict(gguf.values()), tensors=tuple(gguf.tensors()))


class _InitParams(ctypes.Structure):
    """`gguf_init_params`: without a ggml context, only the infos of the tensors are read."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", _Pointer))


class _Gguf:
    """An open `gguf_context`."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self._library = library
        self._handle = handle

    def values(self) -> Iterator[tuple[str, str | int | float | None]]:
        for at in range(self._call("gguf_get_n_kv", ctypes.c_int64)):
            getter = _GETTERS.get(self._call("gguf_get_kv_type", ctypes.c_int, at))
            value = self._call(*getter, at) if getter else None
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            yield self._text("gguf_get_key", at), text

    def tensors(self) -> Iterator[Tensor]:
        data_start = self._call("gguf_get_data_offset", ctypes.c_size_t)
        for at in range(self._call("gguf_get_n_tensors", ctypes.c_int64)):
            shape = self._call("gguf_get_tensor_ne", ctypes.POINTER(ctypes.c_int64), at)
            yield Tensor(
                name=self._text("gguf_get_tensor_name", at),
                kind=self._call("gguf_get_tensor_type", ctypes.c_int, at),
                shape=tuple(shape[:_DIMENSIONS]),
                offset=data_start + self._call("gguf_get_tensor_offset", ctypes.c_size_t, at),
                n_bytes=self._call("gguf_get_tensor_size", ctypes.c_size_t, at),
            )

    def _text(self, function: str, at: int) -> str:
        text: bytes = self._call(function, ctypes.c_char_p, at)
        return text.decode("utf-8", "replace")

    def _call(self, function: str, result: Any, *index: int) -> Any:
        return _function(self._library, function, result, _Pointer, *[ctypes.c_int64] * len(index))(
            self._handle, *index
        )


@contextmanager
def _opened(llama: LlamaCpp, path: Path) -> Iterator[_Gguf]:
    library = llama.lib._lib  # through libllama the names of the ggml libraries below it are found too
    llama.take_complaints()
    handle = _function(library, "gguf_init_from_file", _Pointer, ctypes.c_char_p, _InitParams)(
        os.fsencode(path), _InitParams(no_alloc=True, ctx=None)
    )
    if not handle:
        raise ModelFileError(f"{path} is damaged: {llama.take_complaints() or 'ggml gives no reason'}")
    try:
        yield _Gguf(library, handle)
    finally:
        _function(library, "gguf_free", None, _Pointer)(handle)


def _function(library: ctypes.CDLL, name: str, result: Any, *arguments: Any) -> Any:
    """A function of the library with its types; by index, because an attribute would be shared with all others."""
    function = library[name]
    function.restype, function.argtypes = result, arguments
    return function
