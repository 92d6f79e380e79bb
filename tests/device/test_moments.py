"""Points in time as people give them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from device.moments import ago, moment

BERLIN = ZoneInfo("Europe/Berlin")


def test_a_day_is_its_beginning_or_its_end() -> None:
    begin = datetime(2025, 3, 30, tzinfo=BERLIN).timestamp()
    assert moment("2025-03-30", BERLIN) == begin
    assert moment("2025-03-30", BERLIN, at_end=True) == begin + timedelta(hours=23).total_seconds(), (
        "summer time begins"
    )
    assert moment(" 2025-03-30 ", UTC) == datetime(2025, 3, 30, tzinfo=UTC).timestamp()


def test_a_time_is_itself() -> None:
    expected = datetime(2025, 1, 31, 14, 30, tzinfo=UTC).timestamp()
    assert moment("2025-01-31 14:30", UTC) == moment("2025-01-31T14:30", UTC, at_end=True) == expected
    assert moment("2025-01-31T15:30+01:00", UTC) == expected
    assert moment("2025-01-31 14:30") == datetime(2025, 1, 31, 14, 30).astimezone().timestamp()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "31.1.2025",
        "2025-02-30",
        "2025-13-01",
        "99999-01-01",
        "20250131",
        "2025-W05-5",
        "20250131T1430",
        "2025-01-31 14",
    ],
)
def test_what_is_no_time_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no day such as 2025-01-31"):
        moment(text, UTC)


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("5m", 300), ("2h", 7200), ("1.5 d", 129600), ("1W", 604800), ("0s", 0)]
)
def test_a_duration_counts_back(text: str, seconds: float) -> None:
    assert ago(text, 1e9) == 1e9 - seconds


@pytest.mark.parametrize("text", ["", "h", "2", "-2h", "2y", "two hours", "1e9h", "99999999d"])
def test_what_is_no_duration_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration such as 30m"):
        ago(text, 1e9)
