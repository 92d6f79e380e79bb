"""Which times are kept: those that a calendar has wherever somebody lives, and some centuries around them besides.

What is reckoned from a turn's time ("in twenty years", "the Sunday before") has to be on the calendar too, which ends
with the year 9999. A board whose clock was never set says 1970; nothing says 1899 or 9000 but a broken file.
"""

from datetime import UTC, datetime

EARLIEST_S = datetime(1900, 1, 1, tzinfo=UTC).timestamp()
LATEST_S = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


def is_on_calendar(at_s: float) -> bool:
    """Whether a time in seconds since 1970 is one that is kept; no number that is infinite or none is."""
    return EARLIEST_S <= at_s < LATEST_S
