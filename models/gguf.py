"""The cheap check of a GGUF file before llama.cpp sees it.

llama.cpp reads a file cut short through a memory map, and a read past its end kills the process with SIGBUS; a wrong
file gives a message that helps nobody. So the header is parsed here first, by the specification of GGUF version 2 and
3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): key-value metadata, tensor infos, and whether the file
is long enough for every tensor. Weights are never touched; every count and length is bounded, so that a hostile
file costs bounded time and memory. What the values mean to a model is left to llama.cpp; what they mean for its memory
is worked out in `models.footprint`.
"""

import math
import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.errors import ModelFileError
from models.printable import clipped

_MAX_ARRAY_ITEMS = 4_000_000  # of all arrays together; the largest vocabularies have 262,144 tokens, 514,906 merges
_MAX_KEYS = 65_536
_MAX_TENSORS = 65_536
_MAX_STRING_BYTES = 8 << 20  # the longest strings are chat templates, some tens of kilobytes
_MAX_DIMENSIONS = 4
_MAX_KEPT_ITEMS = 1024  # lists that are kept have an item for each layer
_MAX_NAME = 64  # ggml's GGML_MAX_NAME
_MAX_TITLE = 80  # characters of what the file calls itself, which is shown to people
_MAX_COMPLAINT = 300  # of what is wrong with it, which may have a name from the file in it

_STRING = 8
_ARRAY = 9
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}

# fmt: off
# Elements and bytes of one block of each ggml tensor type, as in the pinned llama.cpp (a test compares them).
# Numbers that are absent were removed from ggml or are newer than it.
_TENSOR_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292), 16: (256, 66),
    17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82), 23: (256, 136),
    24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2), 34: (256, 54),
    35: (256, 66), 39: (32, 17), 40: (64, 36), 41: (128, 18), 42: (64, 18),
}

# llama.cpp's `llama_ftype`: how `general.file_type` is read.
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S",
    29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4_MOE", 39: "NVFP4",
    40: "Q1_0", 41: "Q2_0",
}
# fmt: on

_WANTED = frozenset(
    {
        "general.architecture",
        "general.type",
        "general.name",
        "general.file_type",
        "general.alignment",
        "tokenizer.chat_template",
    }
)

_AGAIN = "download it again with `familiar models pull`"

_Value = int | float | bool | str
_Number = int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufTensor:
    """One tensor of the file. `shape` is in the order of ggml: columns first."""

    name: str
    shape: tuple[int, ...]
    n_bytes: int

    @property
    def n_elements(self) -> int:
        """How many numbers it holds."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufHeader:
    """What a GGUF file says of itself. `kind` is "model" unless the file says otherwise ("adapter", "mmproj");
    `context_length` is 0 and `chat_template` None when the file names none. `kind`, `architecture` and `name` are cut
    to 80 printable characters: people read them, and the file may hold anything.

    `hyperparameters` are the architecture's own numbers by their names without its prefix ("attention.head_count"), a
    tuple where the file has one for each layer."""

    kind: str
    architecture: str
    name: str
    context_length: int
    chat_template: str | None
    quantisation: str
    hyperparameters: Mapping[str, _Number | tuple[_Number, ...]]
    tensors: tuple[GgufTensor, ...]
    n_tensors: int
    file_bytes: int


def read_gguf_header(path: Path) -> GgufHeader:
    """Parse and check the header of the GGUF at `path`, and that all its tensors lie inside the file.

    Raises ModelFileError when the file is missing, unreadable, no GGUF, cut short or damaged.
    """
    try:
        if not path.is_file():
            what = "is a directory" if path.is_dir() else "does not exist" if not path.exists() else "is no plain file"
            raise ModelFileError(f"{path} {what}; give the path of a .gguf file")
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                raise ModelFileError(f"{path} is empty; {_AGAIN}")
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Parser(path, data).header()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror or error}") from error


class _Parser:
    """A cursor over the mapped file that never reads past its end."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._at = 0
        self._array_items = 0

    def header(self) -> GgufHeader:
        n_tensors, n_keys = self._preamble()
        values, numbers = self._metadata(n_keys)
        tensors = self._tensors(n_tensors, self._alignment(values))
        architecture = self._text(values, "general.architecture")
        if not architecture:
            raise self._damaged("it does not name its architecture")
        file_type = values.get("general.file_type")
        own = {
            key.removeprefix(f"{architecture}."): number
            for key, number in numbers.items()
            if key.startswith(f"{architecture}.")
        }
        context_length = own.get("context_length", 0)
        return GgufHeader(
            kind=clipped(self._text(values, "general.type"), _MAX_TITLE) or "model",
            architecture=clipped(architecture, _MAX_TITLE),
            name=clipped(self._text(values, "general.name"), _MAX_TITLE) or self._path.stem,
            context_length=context_length if isinstance(context_length, int) else 0,
            chat_template=self._text(values, "tokenizer.chat_template") or None,
            quantisation=_FILE_TYPES.get(file_type, "unknown") if isinstance(file_type, int) else "unknown",
            hyperparameters=own,
            tensors=tensors,
            n_tensors=n_tensors,
            file_bytes=self._size,
        )

    def _preamble(self) -> tuple[int, int]:
        """Check magic and version; return the numbers of tensors and of metadata keys."""
        if self._data[:4] != b"GGUF":
            raise ModelFileError(f"{self._path} is not a GGUF file (it begins with {self._data[:4]!r}); {_AGAIN}")
        self._at = 4
        version = int(self._number("<I"))
        if version not in (2, 3):
            reason = "big-endian" if version & 0xFFFF == 0 and version else f"version {version}"
            raise ModelFileError(
                f"{self._path} is a {reason} GGUF file; only versions 2 and 3, little-endian, are read"
            )
        n_tensors, n_keys = int(self._number("<Q")), int(self._number("<Q"))
        if n_tensors > _MAX_TENSORS or n_keys > _MAX_KEYS:
            raise self._damaged(f"it claims {n_tensors} tensors and {n_keys} metadata keys")
        return n_tensors, n_keys

    def _metadata(self, n_keys: int) -> tuple[dict[str, _Value], dict[str, _Number | tuple[_Number, ...]]]:
        """The values that are wanted by name, and the numbers under all other names that may be an architecture's."""
        values: dict[str, _Value] = {}
        numbers: dict[str, _Number | tuple[_Number, ...]] = {}
        for _ in range(n_keys):
            key = self._string()
            kind = int(self._number("<I"))
            if key in _WANTED:
                values[key] = self._value(kind, key)
            elif key.startswith(("general.", "tokenizer.")):
                self._skip(kind, key)
            elif kind in _SCALARS:
                numbers[key] = self._number(_SCALARS[kind])
            elif (kept := self._skip(kind, key)) is not None:
                numbers[key] = kept
        return values, numbers

    def _tensors(self, n_tensors: int, alignment: int) -> tuple[GgufTensor, ...]:
        """Read the tensor infos; the file must reach to the end of the last tensor."""
        tensors: list[GgufTensor] = []
        needed = 0
        for _ in range(n_tensors):
            name = self._string()[:_MAX_NAME]
            n_dimensions = int(self._number("<I"))
            if not 1 <= n_dimensions <= _MAX_DIMENSIONS:
                raise self._damaged(f"tensor {name!r} has {n_dimensions} dimensions")
            shape = tuple(int(self._number("<Q")) for _ in range(n_dimensions))
            kind, offset = int(self._number("<I")), int(self._number("<Q"))
            if kind not in _TENSOR_BLOCKS:
                raise ModelFileError(f"{self._path}: tensor {name!r} has type {kind}, unknown to this llama.cpp")
            block, block_bytes = _TENSOR_BLOCKS[kind]
            tensors.append(GgufTensor(name=name, shape=shape, n_bytes=math.prod(shape) // block * block_bytes))
            needed = max(needed, offset + tensors[-1].n_bytes)
        if tensors and (total := -(-self._at // alignment) * alignment + needed) > self._size:
            raise ModelFileError(f"{self._path} is cut short: {self._size} of {total} bytes; {_AGAIN}")
        return tuple(tensors)

    # Reading ----------------------------------------------------------------------------------------------------------

    def _advance(self, n_bytes: int) -> int:
        """Move past `n_bytes`; return where they begin."""
        start, end = self._at, self._at + n_bytes
        if end > self._size:
            raise self._cut_short()
        self._at = end
        return start

    def _number(self, form: str) -> int | float | bool:
        value: int | float | bool = struct.unpack_from(form, self._data, self._advance(struct.calcsize(form)))[0]
        return value

    def _string(self) -> str:
        length = int(self._number("<Q"))
        if length > _MAX_STRING_BYTES:
            raise self._damaged(f"it holds a text of {length} bytes")
        start = self._advance(length)
        return self._data[start : start + length].decode("utf-8", "replace")

    def _value(self, kind: int, key: str) -> _Value:
        if kind == _STRING:
            return self._string()
        if kind in _SCALARS:
            return self._number(_SCALARS[kind])
        raise self._damaged(f"{key} has value type {kind}")

    def _skip(self, kind: int, key: str) -> tuple[_Number, ...] | None:
        """Move past a value; the numbers of a list, if it is a short one of numbers."""
        if kind != _ARRAY:
            self._value(kind, key)
            return None
        item, count = int(self._number("<I")), int(self._number("<Q"))
        self._array_items += count
        if self._array_items > _MAX_ARRAY_ITEMS:
            raise self._damaged(f"{key} claims {count} items")
        if item == _STRING:
            self._skip_strings(count)
        elif item in _SCALARS:
            start = self._advance(count * struct.calcsize(_SCALARS[item]))
            if count <= _MAX_KEPT_ITEMS:
                return struct.unpack_from(f"<{count}{_SCALARS[item][1]}", self._data, start)
        else:
            raise self._damaged(f"{key} is a list of value type {item}")
        return None

    def _skip_strings(self, count: int) -> None:
        """The hot loop: a vocabulary has some hundred thousand strings."""
        data, at, last = self._data, self._at, self._size - 8
        length_at = struct.Struct("<Q").unpack_from
        for _ in range(count):
            if at > last:
                raise self._cut_short()
            at += 8 + length_at(data, at)[0]
        self._advance(at - self._at)

    def _text(self, values: dict[str, _Value], key: str) -> str:
        value = values.get(key, "")
        if not isinstance(value, str):
            raise self._damaged(f"{key} is no text")
        return value

    def _alignment(self, values: dict[str, _Value]) -> int:
        alignment = values.get("general.alignment", 32)
        if not isinstance(alignment, int) or alignment < 1 or alignment & (alignment - 1):
            raise self._damaged(f"its alignment is {alignment!r}")
        return alignment

    def _cut_short(self) -> ModelFileError:
        return ModelFileError(f"{self._path} is cut short inside its header ({self._size} bytes); {_AGAIN}")

    def _damaged(self, why: str) -> ModelFileError:
        return ModelFileError(f"{self._path} is damaged: {clipped(why, _MAX_COMPLAINT)}; {_AGAIN}")
