"""The trace: JSON lines as they happen, and clear words where they cannot be written."""

import json
import stat
from pathlib import Path

import pytest

from device.errors import FamiliarError
from device.trace import Trace, Value


def test_events_are_json_lines_with_time_turn_and_revision(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Trace(path) as trace:
        trace.event("asr_final", turn=3, revision=1, t_s=12.3456789, text="Grüße, “Ada”\n", asr_s=0.25)
        trace.event("degraded", turn=0, what=None)
    first, second = map(json.loads, path.read_text("utf-8").splitlines())
    assert first == {
        "t_s": 12.345679,
        "turn": 3,
        "revision": 1,
        "event": "asr_final",
        "text": "Grüße, “Ada”\n",
        "asr_s": 0.25,
    }
    assert second["t_s"] > 0
    assert second["revision"] == 0


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Trace(path) as trace:
        trace.event("first_token", turn=1)
        assert path.read_text("utf-8").endswith("\n")


def test_a_listener_gets_every_event() -> None:
    records: list[dict[str, Value]] = []
    with Trace(listener=records.append) as trace:
        trace.event("first_token", turn=1, t_s=1.0)
    assert records == [{"t_s": 1.0, "turn": 1, "revision": 0, "event": "first_token"}]


def test_without_file_and_listener_nothing_happens() -> None:
    with Trace() as trace:
        trace.event("first_token", turn=1)


@pytest.mark.parametrize("name", ["missing/t.jsonl", "."])
def test_a_path_that_cannot_be_written_is_told_before_anything_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(FamiliarError, match=r"cannot write the trace .*: "), Trace(tmp_path / name):
        pytest.fail("opened")


def test_only_its_owner_may_read_a_trace(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    with Trace(path):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@pytest.fixture
def full() -> Path:
    path = Path("/dev/full")
    if not path.exists():
        pytest.skip("no /dev/full on this system")
    return path


def test_a_full_disk_stops_nothing_and_is_told_once(full: Path) -> None:
    records: list[dict[str, Value]] = []

    def traced() -> None:
        with Trace(full, records.append) as trace:
            trace.event("first_token", turn=1)
            trace.event("reply_done", turn=1)

    with pytest.raises(FamiliarError, match=r"cannot write the trace /dev/full: No space left"):
        traced()
    assert [record["event"] for record in records] == ["first_token", "reply_done"]


def test_a_full_disk_is_told_after_ctrl_c_but_not_in_place_of_another_error(full: Path) -> None:
    def ended_by(error: BaseException) -> None:
        with Trace(full) as trace:
            trace.event("first_token", turn=1)
            raise error

    with pytest.raises(FamiliarError):
        ended_by(KeyboardInterrupt())
    with pytest.raises(ZeroDivisionError):
        ended_by(ZeroDivisionError())
