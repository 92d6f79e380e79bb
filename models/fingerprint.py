"""Fingerprints: which file this is by its SHA-256, and which build of llama.cpp computes here.

Saved states and caches are keyed by them. Hashing a model takes a second per gigabyte or more, at every start, so the
hash of a file is remembered in a small JSON file for as long as nothing about the file has changed. What a fingerprint
is used for is left to the callers.
"""

import contextlib
import hashlib
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from models.errors import ModelFileError
from models.native import LlamaCpp

_MOST_ENTRIES = 64
"""Models and adapters of one machine; the hashes that were remembered first leave."""

_MEMO_BYTES = 256 << 10
"""Far more than so many entries take; a larger file is not ours."""

_SETTLED_NS = 100_000_000
"""A file changed more recently is not remembered: kernels stamp changes with a clock that advances every 1 to 10 ms, so
that another change of the same size could follow under the same stamps."""


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
        remembered = known.get(key)
        if isinstance(remembered, dict) and remembered.get("stamps") == stamps and _is_hash(remembered.get("sha256")):
            return str(remembered["sha256"])
        with resolved.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            unchanged = _stamps(os.fstat(stream.fileno())) == stamps
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links before Python 3.13; a NUL in the name
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ModelFileError(f"{path} cannot be read: {reason}") from error
    if memo and unchanged and time.time_ns() - max(stamps["mtime_ns"], stamps["ctime_ns"]) > _SETTLED_NS:
        known.pop(key, None)
        known[key] = {"stamps": stamps, "sha256": digest}
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


def _stamps(status: os.stat_result) -> dict[str, int]:
    """All that the file system tells of a change. The times of a file can be set back, but for `ctime`."""
    return {
        "device": status.st_dev,
        "inode": status.st_ino,
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "ctime_ns": status.st_ctime_ns,
    }


def _is_hash(value: object) -> bool:
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
