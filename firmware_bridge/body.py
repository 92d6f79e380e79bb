"""The seam a body is driven through, its vocabulary of expressions, and a body without hardware.

The conversation says what to express and when, on the monotonic clock that the playback cursor is told on; a body makes
it light, sound and movement. `TimelineBody` makes nothing of it but a record, which is what a companion without a body
runs on, and what a live display and tests read. Bodies on a wire live elsewhere and speak `firmware_bridge.payloads`.
"""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from firmware_bridge.errors import ExpressionError

TIMELINE_LENGTH = 256
"""Entries a TimelineBody keeps: some ten minutes of lively talk. The oldest leave first."""


class ExpressionName(StrEnum):
    """All that a body may be asked to express. Which of them it can show is its own affair: see `Body.capabilities`."""

    SMILE = "smile"
    LAUGH = "laugh"
    FROWN = "frown"
    CRY = "cry"
    BLUSH = "blush"
    SURPRISE = "surprise"
    NOD = "nod"
    SHAKE_HEAD = "shake_head"
    TILT_HEAD = "tilt_head"
    BOW = "bow"
    LOOK = "look"
    BLINK = "blink"
    WAG = "wag"
    EARS_UP = "ears_up"
    EARS_BACK = "ears_back"
    WAVE = "wave"
    HUG = "hug"
    SHRUG = "shrug"
    JUMP = "jump"
    DANCE = "dance"
    TREMBLE = "tremble"
    PURR = "purr"
    HEARTBEAT = "heartbeat"
    BREATHE = "breathe"
    YAWN = "yawn"
    SLEEP = "sleep"
    WAKE = "wake"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """Something to be seen at `at_s` (seconds of `time.monotonic`), with `intensity` from 0 (barely) to 1 (wholly).

    Raises ExpressionError if either is out of range.
    """

    name: ExpressionName
    intensity: float
    at_s: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.intensity <= 1.0:
            raise ExpressionError(f"intensity of {self.name} is {self.intensity}; it must be from 0 to 1")
        if not math.isfinite(self.at_s):
            raise ExpressionError(f"{self.name} is due at {self.at_s}; give a time of the monotonic clock in seconds")


class Body(Protocol):
    """A body. Both calls return as soon as the body has been told; neither waits for the movement."""

    @property
    def capabilities(self) -> frozenset[ExpressionName]:
        """What this body can show. Anything else it is told is ignored."""
        ...

    async def express(self, expression: Expression) -> None:
        """Show it when it is due; at once if that is past."""
        ...

    async def stop(self) -> None:
        """Back to rest, now; what is not yet due is withdrawn."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The body was told to show `expression`, at `told_at_s` of the monotonic clock."""

    expression: Expression
    told_at_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """The body was told to stop, at `told_at_s` of the monotonic clock."""

    told_at_s: float


TimelineEntry = Told | Stopped


class TimelineBody:
    """A body that can show everything and only writes down what it was told."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic, length: int = TIMELINE_LENGTH) -> None:
        """Keep the newest `length` entries."""
        self._clock_s = clock_s
        self._entries: deque[TimelineEntry] = deque(maxlen=length)

    @property
    def capabilities(self) -> frozenset[ExpressionName]:
        """Every expression there is."""
        return frozenset(ExpressionName)

    @property
    def timeline(self) -> tuple[TimelineEntry, ...]:
        """What it was told, in that order, oldest first."""
        return tuple(self._entries)

    async def express(self, expression: Expression) -> None:
        """Write it down."""
        self._entries.append(Told(expression=expression, told_at_s=self._clock_s()))

    async def stop(self) -> None:
        """Write that down too."""
        self._entries.append(Stopped(told_at_s=self._clock_s()))

    def showing(self, now_s: float) -> Expression | None:
        """What would be seen at `now_s`: of what was told since the last stop, that which fell due last."""
        latest: Expression | None = None
        for entry in reversed(self._entries):
            if isinstance(entry, Stopped):
                break
            due = entry.expression.at_s <= now_s
            if due and (latest is None or entry.expression.at_s > latest.at_s):
                latest = entry.expression
        return latest
