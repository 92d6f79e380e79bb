"""A look changes no faster than a body should, never passes what was wanted, and has no value a body could not show."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware_bridge.errors import ExpressionError
from firmware_bridge.look import FACTOR_PER_S, HIGHEST_FACTOR, HUE_DEGREES_PER_S, LOWEST_FACTOR, Look, approached

factor = st.floats(LOWEST_FACTOR, HIGHEST_FACTOR)
looks = st.builds(
    lambda hue, brightness, tempo, amplitude: Look(
        hue_deg=hue, brightness=brightness, tempo=tempo, amplitude=amplitude
    ),
    st.floats(0.0, 360.0),
    factor,
    factor,
    factor,
)


@given(looks, looks, st.floats(0.0, 20.0))
@settings(deadline=None, max_examples=100)
def test_it_goes_as_fast_as_it_may_and_no_further(shown: Look, wanted: Look, elapsed_s: float) -> None:
    now = approached(shown, wanted, elapsed_s)
    for name, most_per_s in (
        ("hue_deg", HUE_DEGREES_PER_S),
        ("brightness", FACTOR_PER_S),
        ("tempo", FACTOR_PER_S),
        ("amplitude", FACTOR_PER_S),
    ):
        before, target, value = (getattr(look, name) for look in (shown, wanted, now))
        assert abs(value - before) <= most_per_s * elapsed_s + 1e-9
        assert min(before, target) <= value <= max(before, target)
        if abs(target - before) <= most_per_s * elapsed_s:
            assert value == target


def test_a_clock_that_runs_backwards_moves_nothing() -> None:
    shown = Look(hue_deg=10.0)
    assert approached(shown, Look(hue_deg=300.0, brightness=0.5), -5.0) == shown


@pytest.mark.parametrize(
    "wrong",
    [{"hue_deg": -1.0}, {"hue_deg": float("nan")}, {"hue_deg": 1.0, "tempo": 5.0}, {"hue_deg": 1, "amplitude": 0}],
)
def test_what_no_body_can_show_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ExpressionError, match="must be"):
        Look(**wrong)
