"""What a body looks like while it does nothing in particular: colour, brightness, pace and size of its movements.

Gestures and faces are `Expression`s, which come and go; a `Look` is always there. It is told as often as it changes,
and `approached` limits how fast: a light that jumps and a motor that is thrown about frighten and wear. Pure; what
makes a look of a feeling is up to who has one.
"""

from dataclasses import dataclass

from firmware_bridge.errors import ExpressionError

HUE_DEGREES_PER_S = 40.0
"""From one end of a character's colours to the other in four to five seconds: a change of mood, not a signal."""

FACTOR_PER_S = 0.4
"""For brightness, tempo and amplitude: the whole range in some four seconds."""

LOWEST_FACTOR, HIGHEST_FACTOR = 0.3, 1.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """`hue_deg` on the colour circle, from 0 to 360; `brightness`, `tempo` and `amplitude` of movements as factors of
    what the body does by itself, from LOWEST_FACTOR to HIGHEST_FACTOR. Raises ExpressionError outside of these."""

    hue_deg: float
    brightness: float = 1.0
    tempo: float = 1.0
    amplitude: float = 1.0

    def __post_init__(self) -> None:
        if not 0.0 <= self.hue_deg <= 360.0:
            raise ExpressionError(f"a hue of {self.hue_deg} is none; it must be from 0 to 360 degrees")
        for name in ("brightness", "tempo", "amplitude"):
            if not LOWEST_FACTOR <= getattr(self, name) <= HIGHEST_FACTOR:
                raise ExpressionError(f"{name} must be a factor from {LOWEST_FACTOR} to {HIGHEST_FACTOR}")


def approached(shown: Look, wanted: Look, elapsed_s: float) -> Look:
    """The look between `shown` and `wanted` after so long a time: each part as far as it may change by then.

    The hue goes the way that does not pass 360, as colours of moods are laid out between two ends.
    """
    elapsed_s = max(0.0, elapsed_s)
    most = FACTOR_PER_S * elapsed_s
    return Look(
        hue_deg=_towards(shown.hue_deg, wanted.hue_deg, HUE_DEGREES_PER_S * elapsed_s),
        brightness=_towards(shown.brightness, wanted.brightness, most),
        tempo=_towards(shown.tempo, wanted.tempo, most),
        amplitude=_towards(shown.amplitude, wanted.amplitude, most),
    )


def _towards(value: float, target: float, most: float) -> float:
    if abs(target - value) <= most:
        return target
    return value + most if target > value else value - most
