"""Saved states of the KV cache: the file format, and reading and writing it.

llama.cpp aborts the process on a state that is cut short, and takes that of another model of the same shape for its
own. So the bytes of `llama_state_seq_get_data` are kept here in a file with lengths, a key that says what they belong
to, and a SHA-256 over everything; only what passed all three is handed back. A state that is refused costs a prefill.
When to save, and what the note holds, is left to the caller.

    header: magic | version u32 | tokens u32 | note bytes u64 | payload bytes u64 | SHA-256 of the key | SHA-256 of all
    body:   tokens i32 each | note | payload                                                           (little-endian)

The checksum is taken over the header before it and the body. Files are readable by their owner alone, because tokens
and note are what people said.
"""

import contextlib
import ctypes
import errno
import hashlib
import json
import os
import shutil
import stat
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from io import FileIO
from pathlib import Path

from models.errors import StateFileError

SUFFIX = ".kvstate"
"""Of the names of saved states; `prune` looks at nothing else."""

_PARTIAL = ".partial"
_MAGIC = b"FamKVst\n"
_VERSION = 1
_HEADER = struct.Struct("<8sIIQQ32s")
_HASH_BYTES = 32
_TOKEN_BYTES = 4
_MOST_BYTES = 4 << 30
"""More than a context of a model for small boards takes (32,768 tokens of a 1.5B: 0.9 GB)."""

_SLACK_BYTES = 16 << 20
"""Kept free beyond what a file needs, so that the rest of the machine can still write."""

Payload = bytes | bytearray | memoryview | ctypes.Array[ctypes.c_uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class StateKey:
    """What a saved state belongs to; with any of it changed, the state is another's.

    `model_sha256` and `steering` are the digests of `models.fingerprint` and `models.steering`; `engine` is
    `engine_fingerprint`. `flash_attention` and `gpu_layers` change how llama.cpp lays out the values. `label` is the
    caller's: the digest of a character, for instance.
    """

    model_sha256: str
    steering: str
    type_k: str
    type_v: str
    n_ctx: int
    flash_attention: bool | None
    gpu_layers: int
    engine: str
    label: str = ""

    def digest(self) -> bytes:
        """32 bytes that are equal for equal keys, in every process."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedState:
    """A state as it was written. `payload` is a ctypes array for `llama_state_seq_set_data`, `len(payload)` bytes."""

    tokens: tuple[int, ...]
    payload: ctypes.Array[ctypes.c_uint8]
    note: bytes


def write_state(path: Path, key: StateKey, tokens: Sequence[int], payload: Payload, note: bytes = b"") -> None:
    """Write a state, or leave what is at `path` as it was: a temporary file beside it is synced and renamed. Blocking,
    for as long as the disk takes. Two processes must not write the same path at once.

    Raises StateFileError with the reason "no_space" or "unwritable", ValueError for a name that does not end in SUFFIX.
    """
    if path.suffix != SUFFIX:
        raise ValueError(f"the name of a saved state ends in {SUFFIX}")
    ids = struct.pack(f"<{len(tokens)}i", *tokens)
    head = _HEADER.pack(_MAGIC, _VERSION, len(tokens), len(note), len(payload), key.digest())
    parts = (head, _checksum(head, ids, note, payload), ids, note, payload)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_space(path, sum(map(len, parts)))
        _replace(path, parts)
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StateFileError(
            f"{path} cannot be written: {error.strerror or error}", reason="no_space" if full else "unwritable"
        ) from error


def read_state(path: Path, key: StateKey) -> SavedState:
    """Read the state at `path` if it is whole and belongs to `key`. Takes no more memory than the file is long; 35 MB
    in the page cache take 45 ms.

    Raises StateFileError with the reason "absent", "unreadable" (no plain file, no permission), "damaged" or "foreign".
    """
    try:
        # FileIO itself refuses folders.
        with open(path, "rb", buffering=0, opener=_open_own) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise StateFileError(f"{path} is no plain file; remove it", reason="unreadable")
            return _read(path, file, status.st_size, key)
    except FileNotFoundError as error:
        raise StateFileError(f"{path} does not exist", reason="absent") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise StateFileError(f"{path} cannot be read: {why}", reason="unreadable") from error


def prune(folder: Path, keep_bytes: int) -> tuple[Path, ...]:
    """Remove what broken-off writes left in `folder`, then the oldest states until at most `keep_bytes` remain; return
    what was removed. What cannot be looked at or removed is passed over. Not while a state is being written."""
    removed = [path for path in folder.glob(f"*{SUFFIX}{_PARTIAL}") if _remove(path)]
    found = []
    for path in folder.glob(f"*{SUFFIX}"):
        with contextlib.suppress(OSError):
            status = path.lstat()
            found.append((status.st_mtime_ns, path, status.st_size))
    total = sum(size for _, _, size in found)
    for _, path, size in sorted(found):
        if total <= keep_bytes:
            break
        if _remove(path):
            removed.append(path)
            total -= size
    return tuple(removed)


def _read(path: Path, file: FileIO, size: int, key: StateKey) -> SavedState:
    if not _HEADER.size + _HASH_BYTES <= size <= _MOST_BYTES:
        raise _damaged(path, f"it has {size} bytes")
    head = _taken(path, file, _HEADER.size)
    stored = _taken(path, file, _HASH_BYTES)
    magic, version, n_tokens, note_bytes, payload_bytes, owner = _HEADER.unpack(head)
    if (magic, version) != (_MAGIC, _VERSION):
        raise _damaged(path, f"it is no saved state of version {_VERSION}")
    claimed = len(head) + len(stored) + n_tokens * _TOKEN_BYTES + note_bytes + payload_bytes
    if claimed != size:  # compared before anything is allocated
        raise _damaged(path, f"it has {size} of {claimed} bytes")
    if owner != key.digest():
        raise StateFileError(f"{path} belongs to another model, character, setting or engine", reason="foreign")
    ids = _taken(path, file, n_tokens * _TOKEN_BYTES)
    note = _taken(path, file, note_bytes)
    payload = (ctypes.c_uint8 * payload_bytes)()
    _fill(path, file, memoryview(payload))
    if _checksum(head, ids, note, payload) != stored:
        raise _damaged(path, "its checksum is wrong")
    return SavedState(tokens=struct.unpack(f"<{n_tokens}i", ids), payload=payload, note=note)


def _taken(path: Path, file: FileIO, n_bytes: int) -> bytes:
    buffer = bytearray(n_bytes)
    _fill(path, file, memoryview(buffer))
    return bytes(buffer)


def _fill(path: Path, file: FileIO, buffer: memoryview) -> None:
    """Read until the buffer is full: one call of the system reads 2 GB at most."""
    done = 0
    while done < len(buffer):
        n = file.readinto(buffer[done:])
        if not n:
            raise _damaged(path, "it became shorter while it was read")
        done += n


def _checksum(*parts: Payload) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()


def _replace(path: Path, parts: Iterable[Payload]) -> None:
    """Put a new file in the place of `path`, whole or not at all, whenever the power fails."""
    partial = path.with_name(path.name + _PARTIAL)
    partial.unlink(missing_ok=True)  # of a write that was broken off
    try:
        with open(partial, "xb", opener=_open_own) as out:
            for part in parts:
                out.write(part)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open_own(path: str, flags: int) -> int:
    """Open for us alone. No link is followed and no pipe is waited for: we have never put one there."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)


def _check_space(path: Path, needed_bytes: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < needed_bytes + _SLACK_BYTES:
        raise StateFileError(
            f"{path}: too little room on the disk, {needed_bytes / 1e6:.0f} MB are needed and "
            f"{free / 1e6:.0f} MB are free",
            reason="no_space",
        )


def _remove(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _damaged(path: Path, why: str) -> StateFileError:
    return StateFileError(f"{path} is damaged: {why}; it is of no use any more", reason="damaged")
