"""Figures of a measurement: percentiles, and how they are written."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Median and 95th percentile of some durations in milliseconds, and how many there were."""

    p50_ms: float
    p95_ms: float
    n: int

    @classmethod
    def of_seconds(cls, durations_s: Sequence[float]) -> "Spread":
        """The spread of durations given in seconds; NaN where there are none."""
        if not durations_s:
            return cls(p50_ms=float("nan"), p95_ms=float("nan"), n=0)
        p50, p95 = np.percentile(np.asarray(durations_s) * 1e3, (50, 95))
        return cls(p50_ms=round(float(p50), 2), p95_ms=round(float(p95), 2), n=len(durations_s))
