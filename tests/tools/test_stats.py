"""Figures of a measurement."""

from math import isnan

from tools.stats import Spread


def test_median_and_95th_percentile_are_in_milliseconds() -> None:
    assert Spread.of_seconds([n / 1e3 for n in range(1, 102)]) == Spread(p50_ms=51.0, p95_ms=96.0, n=101)


def test_one_duration_is_its_own_spread() -> None:
    assert Spread.of_seconds([0.2]) == Spread(p50_ms=200.0, p95_ms=200.0, n=1)


def test_nothing_measured_is_no_number() -> None:
    spread = Spread.of_seconds([])
    assert isnan(spread.p50_ms)
    assert isnan(spread.p95_ms)
    assert spread.n == 0
