"""Fingerprints: which file this is by its SHA-256, and which build of llama.cpp computes here.

Saved states and caches are keyed by them. Hashing a model takes a second per gigabyte or more, at every start, so the
hash of a file is remembered in a small JSON file for as long as nothing about the file has changed. A file that was
loaded may be replaced while it is in use: `stamped` says how it was, `LoadedHashes` hashes no other. What a fingerprint
is used for is left to the callers.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeGuard

from models.errors import ModelFileError
from models.native import LlamaCpp

_MOST_ENTRIES = 64
"""Models and adapters of one machine; the hashes that were remembered first leave."""

_MEMO_BYTES = 256 << 10
"""Far more than so many entries take; a larger file is not ours."""

_SETTLED_NS = 100_000_000
"""A file changed more recently is not remembered: kernels stamp changes with a clock that advances every 1 to 10 ms, so
that another change of the same size could follow under the same stamps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamps:
    """All that the file system tells of a change. The times of a file can be set back, but for `ctime`."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StampedFile:
    """A file as it was when it was looked at; a changed one is another."""

    path: Path
    stamps: Stamps


def stamped(path: Path) -> StampedFile:
    """The file as it is now. Raises ModelFileError when there is none."""
    try:
        return StampedFile(path=path, stamps=_stamps(path.stat()))
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error


class LoadedHashes:
    """The SHA-256 of files as they were when they were loaded, each computed once. Safe from any thread; blocking, and
    whoever asks meanwhile waits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[StampedFile, str] = {}

    def sha256(self, file: StampedFile, memo: Path | None = None) -> str:
        """As `file_sha256`. Raises ModelFileError, too, when the file is not any more what was loaded."""
        with self._lock:
            _check_unchanged(file)
            if file not in self._known:
                digest = file_sha256(file.path, memo)
                _check_unchanged(file)
                self._known[file] = digest
            return self._known[file]


def file_sha256(path: Path, memo: Path | None = None) -> str:
    """The SHA-256 of a file, in hexadecimal. Blocking: 0.13 s for 98 MB in the page cache, with SHA instructions.

    `memo` names the JSON file of remembered hashes; it is created when needed, readable by its owner alone. A memo that
    is damaged or cannot be written costs hashing, no more. Raises ModelFileError when `path` cannot be read.
    """
    try:
        resolved = path.resolve(strict=True)
        if not resolved.is_file():
            raise ModelFileError(f"{path} is no plain file; there is nothing to hash")
        key, stamps = str(resolved), _stamps(resolved.stat())
        known = _read_memo(memo) if memo else {}
        if digest := _remembered(known.get(key), stamps):
            return digest
        with resolved.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            unchanged = _stamps(os.fstat(stream.fileno())) == stamps
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links before Python 3.13; a NUL in the name
        raise _unreadable(path, error) from error
    if memo and unchanged and _is_settled(stamps, time.time_ns()):
        known.pop(key, None)
        known[key] = {"stamps": asdict(stamps), "sha256": digest}
        _write_memo(memo, known)
    return digest


def engine_fingerprint(llama: LlamaCpp) -> str:
    """The build of llama.cpp: version of the bindings and of the library, and the processor features and back-ends it
    uses. Another build may compute the same cache with other digits, or lay it out in another way."""
    from importlib.metadata import version  # imports much, and not every start needs it

    bindings = version("llama-cpp-python")
    library = llama.lib.llama_version().decode("utf-8", "replace")
    system = llama.lib.llama_print_system_info().decode("utf-8", "replace").strip()
    return f"llama-cpp-python {bindings}; llama.cpp {library}; {system}"


def _stamps(status: os.stat_result) -> Stamps:
    return Stamps(
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        ctime_ns=status.st_ctime_ns,
    )


def _is_settled(stamps: Stamps, now_ns: int) -> bool:
    """Whether a further change would show in the stamps. One of a time ahead of the clock is settled, too: boards
    without a battery start in the past, and what is changed now is stamped with that past."""
    return all(abs(now_ns - changed_ns) > _SETTLED_NS for changed_ns in (stamps.mtime_ns, stamps.ctime_ns))


def _check_unchanged(file: StampedFile) -> None:
    if stamped(file.path) != file:
        raise ModelFileError(f"{file.path} is not what was loaded any more; start again to use what it is now")


def _unreadable(path: Path, error: Exception) -> ModelFileError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return ModelFileError(f"{path} cannot be read: {reason}")


def _remembered(entry: object, stamps: Stamps) -> str:
    """The hash that an entry of the memo holds for a file with these stamps, else nothing."""
    if not isinstance(entry, dict) or entry.get("stamps") != asdict(stamps):
        return ""
    digest = entry.get("sha256")
    return digest if _is_hash(digest) else ""


def _is_hash(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) == 64 and all(digit in "0123456789abcdef" for digit in value)


def _read_memo(memo: Path) -> dict[str, Any]:
    """What is remembered; nothing where the memo is absent or makes no sense."""
    try:
        with memo.open("rb") as stream:
            content = json.loads(stream.read(_MEMO_BYTES + 1))
    except (OSError, ValueError, RecursionError):
        return {}
    files = content.get("files") if isinstance(content, dict) else None
    return files if isinstance(files, dict) else {}


def _write_memo(memo: Path, files: dict[str, Any]) -> None:
    """Replace the memo by way of a temporary file, which is created for its owner alone."""
    content = json.dumps({"files": dict(list(files.items())[-_MOST_ENTRIES:])}, indent=1)
    with contextlib.suppress(OSError):
        memo.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{memo.name}.", dir=memo.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(content)
            Path(name).replace(memo)
        except OSError:
            Path(name).unlink(missing_ok=True)
