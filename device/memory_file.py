"""The memory of this machine, for commands that look at it: opened with its key, and its traces outside of the file.

What is remembered is up to `memory`; where the file lies, to `device.paths`.
"""

import difflib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from device.errors import FamiliarError
from device.paths import memory_file
from device.settings import MemorySettings
from memory.cipher import Key, read_key
from memory.overview import names
from memory.store import MemoryStore


class UnknownNameError(FamiliarError):
    """Nobody of this name is known; the message names those that are nearest."""

    code = "unknown_name"


def memory_key(settings: MemorySettings) -> Key | None:
    """The key of the memory, None for one that is not encrypted. Raises MemoryKeyError if its file is none."""
    return read_key(settings.key_file) if settings.key_file else None


@contextmanager
def open_memory(
    settings: MemorySettings, environ: Mapping[str, str], *, begins_anew: bool = False
) -> Iterator[MemoryStore | None]:
    """The memory of this machine, None where nothing was ever remembered: looking makes no file.

    A damaged one is a MemoryDamagedError and stays where it is, unless it `begins_anew` (`memory.store`).
    """
    path = memory_file(environ)
    if not path.is_file():
        yield None
        return
    with MemoryStore(path, memory_key(settings), begins_anew=begins_anew) as store:
        yield store


def check_names(store: MemoryStore, person: str | None, character: str | None) -> None:
    """Raises UnknownNameError for a name that the memory does not know."""
    people, characters = names(store)
    for what, wanted, known in (("person", person, people), ("character", character, characters)):
        if wanted is not None and wanted not in known:
            raise UnknownNameError(f"no {what} called {wanted!r} is known{_nearest(wanted, known)}")


def forget_talks(states: Path, pairs: Iterable[tuple[str, str]]) -> None:
    """Remove what the engine saved of the last conversations of these people and characters: it holds their words.

    Raises FamiliarError if a file cannot be removed.
    """
    from device.continuity import talk_file  # which imports the engine

    for person, character in pairs:
        path = talk_file(states, person, character)
        _remove(states, (path, *states.glob(f"{path.name}.*")))  # one that was being written when the power went


def forget_all_talks(states: Path) -> None:
    """`forget_talks` of everybody, also of those whose names a damaged memory has taken with it."""
    _remove(states, states.glob("talk-*"))


def _remove(states: Path, files: Iterable[Path]) -> None:
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise FamiliarError(
                f"{file} holds words and could not be removed: {error.strerror}; make {states} writable for this user"
            ) from error


def _nearest(wanted: str, known: Iterable[str]) -> str:
    shown = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(wanted.casefold(), list(shown), n=3, cutoff=0.5)
    if close:
        return ": did you mean " + " or ".join(repr(shown[name]) for name in close) + "?"
    return f"; there are {', '.join(map(repr, shown.values()))}" if len(shown) in range(1, 6) else ""
