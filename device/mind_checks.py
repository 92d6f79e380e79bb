"""What `familiar doctor` finds out about memory, meaning and the guard. Looks; leaves no file and changes none."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from device.checks import Check
from device.settings import GuardSettings, MemorySettings, Settings
from memory.cipher import looks_encrypted, read_key
from memory.errors import MemoryKeyError

MEMORY_CHECK_LIMIT_S = 10.0
"""A memory of 100,000 turns takes about a second to check on a desktop; an SD card is ten times slower."""


def mind_checks(settings: Settings, memory_path: Path) -> Iterator[Check]:
    """The memory, the encoder, the guard."""
    yield _memory(memory_path, settings.memory)
    yield _encoder()
    yield _guard(settings.guard, settings.listen.language)


def _encoder() -> Check:
    from models.encoder import Encoder
    from models.errors import ModelError

    name = "meaning and feeling"
    try:
        encoder = Encoder()
    except ModelError as error:
        mend = "without it, memories are found by their words alone, and words move no mood"
        return Check(name=name, status="warn", what=str(error), mend=mend)
    return Check(name=name, status="ok", what=f"the encoder that comes along ({encoder.fingerprint[:8]}), which loads")


def _guard(settings: GuardSettings, language: str) -> Check:
    from models.guard_rules import rules_of

    if not settings.enabled:
        mend = "set guard.enabled = true; a child must not be left alone with a model"
        return Check(name="guard", status="warn", what="switched off: the model alone decides what is said", mend=mend)
    if not rules_of(language).covered:
        mend = "do not leave a child alone with it"
        return Check(name="guard", status="warn", what=f"it has no rules for the language {language!r}", mend=mend)
    if not settings.emergency_hint:
        mend = 'set guard.emergency_hint, such as "You can call 112 or ring Aunt Mia."'
        what = f"on, for a {settings.profile}; it can name nobody to turn to in need"
        return Check(name="guard", status="warn", what=what, mend=mend)
    return Check(name="guard", status="ok", what=f"on, for a {settings.profile}")


def _memory(path: Path, settings: MemorySettings) -> Check:
    name = "memories"
    if not path.is_file():
        return Check(name=name, status="ok", what="none yet" if settings.enabled else "switched off")
    if looks_encrypted(path):
        return _encrypted(name, path, settings.key_file)
    deadline = time.monotonic() + MEMORY_CHECK_LIMIT_S
    try:
        connection = _opened_to_read(path)
        try:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            what = f"{path} is too large to be checked within {MEMORY_CHECK_LIMIT_S:.0f} s"
            return Check(name=name, status="warn", what=what)
        return Check(name=name, status="fail", what=f"{path}: {error}", mend="close what else has it open")
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        mend = "the next conversation sets the file aside and begins a new one"
        return Check(name=name, status="fail", what=f"{path} is damaged: {verdict}", mend=mend)
    return Check(name=name, status="ok", what=f"{path}, {path.stat().st_size / 1e6:.1f} MB, sound")


def _encrypted(name: str, path: Path, key_file: Path | None) -> Check:
    if key_file is None:
        mend = "set memory.key_file to the file with its key"
        return Check(name=name, status="fail", what=f"{path} is encrypted, and no key is set", mend=mend)
    try:
        read_key(key_file)
    except MemoryKeyError as error:
        return Check(name=name, status="fail", what=str(error), mend="the memory cannot be opened without it")
    what = f"{path}, {path.stat().st_size / 1e6:.1f} MB, encrypted; `familiar memory verify` checks it"
    return Check(name=name, status="ok", what=what)


def _opened_to_read(path: Path) -> sqlite3.Connection:
    """A connection that leaves no file behind. Even to read, SQLite makes a write-ahead log and its index beside the
    memory unless the file is called immutable: which it is, while nobody has it open and so no log is there."""
    in_use = Path(f"{path}-wal").exists()
    mode = "mode=ro" if in_use else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True, timeout=2.0)
