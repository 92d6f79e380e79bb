"""The trace: what happened when, as JSON lines, one object per event.

`{"t_s": monotonic seconds, "turn": id, "revision": n, "event": name, ...}`. Events carry the time at which the thing
happened on its own clock (speech on the microphone's, sound on the speaker's), so lines need not be in order of time.
The trace may hold what was said; it is written only where somebody asked for it, and nobody else may read it.
"""

import contextlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TextIO

from device.errors import FamiliarError

EventName = Literal[
    "speech_started",
    "speech_ended",
    "turn_committed",
    "asr_final",
    "recall_done",
    "prompt_ready",
    "first_token",
    "first_clause",
    "first_audio_queued",
    "first_audio_heard",
    "reply_done",
    "barge_in",
    "playback_stopped",
    "gesture",
    "guarded",
    "mood",
    "cache_settled",
    "degraded",
]

Value = str | int | float | bool | None
Listener = Callable[[dict[str, Value]], None]


class Trace:
    """Writes events to a file, where one is given, and hands each to `listener`, where one is given.

    Raises FamiliarError if the file cannot be opened. A disk that fills later ends the file there, not the
    conversation: it is raised on leaving.
    """

    def __init__(self, path: Path | None = None, listener: Listener | None = None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._failure: OSError | None = None
        self._listener = listener

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = open(self._path, "w", encoding="utf-8", buffering=1, opener=_private)
            except OSError as error:
                raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except OSError as failure:
                self._failure = failure
        # An error under way says why things ended; Ctrl-C and its like say nothing that would be missed.
        if self._failure is not None and not isinstance(error, Exception):
            raise self._unwritable(self._failure) from self._failure

    def event(
        self, name: EventName, *, turn: int, revision: int = 0, t_s: float | None = None, **fields: Value
    ) -> None:
        """Record that `name` happened at `t_s` (now, if not given). Never raises."""
        if self._file is None and self._listener is None:
            return
        record: dict[str, Value] = {
            "t_s": round(time.monotonic() if t_s is None else t_s, 6),
            "turn": turn,
            "revision": revision,
            "event": name,
            **fields,
        }
        if self._file is not None:
            try:
                self._file.write(json.dumps(record, ensure_ascii=False) + "\n")
            except OSError as error:
                file, self._file, self._failure = self._file, None, error
                with contextlib.suppress(OSError):  # what it still holds has no room either
                    file.close()
        if self._listener is not None:
            self._listener(record)

    def _unwritable(self, error: OSError) -> FamiliarError:
        return FamiliarError(f"cannot write the trace {self._path}: {error.strerror}")


def _private(path: str, flags: int) -> int:
    """An opener for what holds words of people: a new file is its owner's alone."""
    return os.open(path, flags, 0o600)
