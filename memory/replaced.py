"""The plain file that an encrypted memory has taken the place of: kept by a second name until zeros stand in it.

When the new file is renamed over the plain one, or SQLite removes the plain write-ahead log, the words are still on the
disk without a name, and a power failure at that moment would leave them there for ever. So both get a second name
first, which `memory.database.copies_of` tells, and the next opening does what was not done.
"""

import logging
import os
from pathlib import Path

_LOG = logging.getLogger(__name__)

_PIECE_BYTES = 1 << 20
_MARK = ".converting-plain"
"""After the memory's own name: begins as `memory.database.beside_for_conversion`, so that `copies_of` finds it."""


def keep(path: Path) -> None:
    """Give the memory at `path` and its write-ahead log their second names, as far as they are there and the file
    system has second names."""
    for original, name in _names(path):
        try:
            name.unlink(missing_ok=True)
            os.link(original, name)
        except FileNotFoundError:
            continue
        except OSError as error:
            _LOG.warning(
                "%s gets no second name (%s): if the power fails while the memory is being encrypted, plain text may "
                "stay in free blocks of the disk",
                original,
                error.strerror,
            )
    sync_folder(path.parent)


def finish(path: Path) -> None:
    """Overwrite and remove what a conversion of the memory at `path` to an encrypted one left under second names.

    A file that has yet another name is the memory still, or somebody's own copy: it loses the second name only. Where
    it cannot be done, the log says so, and the next opening tries again.
    """
    for _, name in _names(path):
        try:
            # Looked at from outside: to close a file that SQLite has open too would give up SQLite's locks on it.
            if name.stat().st_nlink == 1:
                with name.open("r+b") as file:
                    overwrite(file.fileno())
            name.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except OSError as error:
            _LOG.warning("%s, which is not encrypted, could not be overwritten yet: %s", name, error.strerror)


def overwrite(descriptor: int) -> None:
    """Zeros on the disk for all that stands in the file. Raises OSError."""
    n_bytes = os.fstat(descriptor).st_size
    for start in range(0, n_bytes, _PIECE_BYTES):
        os.pwrite(descriptor, bytes(min(_PIECE_BYTES, n_bytes - start)), start)
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the names in this folder on the disk. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names(path: Path) -> tuple[tuple[Path, Path], ...]:
    """The memory and its write-ahead log, each with its second name."""
    return tuple((Path(f"{path}{log}"), Path(f"{path}{_MARK}{log}")) for log in ("", "-wal"))
