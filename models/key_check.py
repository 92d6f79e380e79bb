"""The keys of a table in a file that a person wrote: one that nobody reads is a mistake, and is told as one."""

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path

from models.errors import CharacterError


def check_keys(path: Path, keys: Iterable[str], known: Sequence[str], where: str) -> None:
    """Raise CharacterError for the first key that is not known, with the nearest that is. `where` follows the key."""
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise CharacterError(f"{path}: unknown key {key!r}{where}; {hint}")
