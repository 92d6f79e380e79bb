"""Points in time as people give them on the command line. Pure: the time and the zone it is now are passed in."""

import re
from datetime import datetime, timedelta, tzinfo

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_DURATION = re.compile(r"(\d{1,6}(?:\.\d{1,3})?) ?([smhdw])")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# Not every form that ISO 8601 knows: of "20250131" or "2025-W05" nobody would see whether it is a day or a time.
_TIME = re.compile(_DAY.pattern + r"[ T]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?(Z|[+-]\d{2}:?\d{2})?", re.ASCII)


def moment(text: str, zone: tzinfo | None = None, *, at_end: bool = False) -> float:
    """Seconds since 1970 of "2025-01-31" or "2025-01-31 14:30", where none is given in this zone, None for the
    machine's own, whose summer time is then that of the day.

    Of a day, its beginning, or its end with `at_end`. Raises ValueError that says what was expected.
    """
    text = text.strip()
    try:
        if not (_DAY.fullmatch(text) or _TIME.fullmatch(text)):
            raise ValueError(text)
        given = datetime.fromisoformat(text)
        if given.tzinfo is None:
            given = given.replace(tzinfo=zone)
        if at_end and _DAY.fullmatch(text):
            given += timedelta(days=1)
        return given.timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(f"{text!r} is no day such as 2025-01-31 or time such as '2025-01-31 14:30'") from error


def ago(text: str, now_s: float) -> float:
    """Seconds since 1970 of the moment "2h" (s, m, h, d, w) before `now_s`. Raises ValueError that says what was
    expected."""
    found = _DURATION.fullmatch(text.strip().lower())
    if not found:
        raise ValueError(f"{text!r} is no duration such as 30m, 2h, 3d or 1w")
    return now_s - float(found[1]) * _SECONDS[found[2]]
