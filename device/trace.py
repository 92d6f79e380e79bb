"""The trace: what happened when, as JSON lines, one object per event.

`{"t_s": monotonic seconds, "turn": id, "revision": n, "event": name, ...}`. Events carry the time at which the thing
happened on its own clock (speech on the microphone's, sound on the speaker's), so lines need not be in order of time.
The trace may hold what was said; it is written only where somebody asked for it.
"""

import json
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
    "cache_settled",
    "degraded",
]

Value = str | int | float | bool | None
Listener = Callable[[dict[str, Value]], None]


class Trace:
    """Writes events to a file, where one is given, and hands each to `listener`, where one is given.

    Raises FamiliarError if the file cannot be opened. A disk that fills later raises it from `event`.
    """

    def __init__(self, path: Path | None = None, listener: Listener | None = None) -> None:
        self._path = path
        self._file: TextIO | None = None
        self._listener = listener

    def __enter__(self) -> Self:
        if self._path is not None:
            try:
                self._file = self._path.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
        except OSError as failure:
            if error is None:  # else that has been told already
                raise self._unwritable(failure) from failure

    def event(
        self, name: EventName, *, turn: int, revision: int = 0, t_s: float | None = None, **fields: Value
    ) -> None:
        """Record that `name` happened at `t_s` (now, if not given)."""
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
                raise self._unwritable(error) from error
        if self._listener is not None:
            self._listener(record)

    def _unwritable(self, error: OSError) -> FamiliarError:
        return FamiliarError(f"cannot write the trace {self._path}: {error.strerror}")
