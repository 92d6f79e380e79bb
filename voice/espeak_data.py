"""Hands espeak-ng the folder of its data so that it finds it: the library keeps the path in 160 bytes.

Used by `voice.espeak` and `voice.piper`, which carry an espeak-ng each. Given a longer path (a virtual environment deep
in a home folder is enough) the library silently looks where it was once compiled; Piper's copy then ends the process.
"""

import os
from pathlib import Path

from voice.errors import VoiceModelError

MAX_PATH_BYTES = 120
"""Of the library's 160 (measured: a path of 160 is not found), less what it appends to reach a voice's file."""


def espeak_data_path(folder: Path) -> str:
    """A path to `folder`, an espeak-ng data folder, short enough for the library and valid as long as the process.

    Raises VoiceModelError if the folder holds no espeak-ng data, or if its path is too long and the system offers no
    shorter one.
    """
    if not (folder / "phontab").is_file():
        raise VoiceModelError(
            f"no espeak-ng data in {folder}: reinstall with pip install 'familiar-companion[starter]'"
        )
    if len(os.fsencode(folder)) <= MAX_PATH_BYTES:
        return str(folder)
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        raise VoiceModelError(
            f"espeak-ng takes paths of {MAX_PATH_BYTES} bytes: install below a shorter one than {folder}"
        )
    # Never closed: the library opens dictionaries by this path whenever a voice asks for one.
    return str(descriptors / str(os.open(folder, os.O_RDONLY | os.O_DIRECTORY)))
