"""The trace: JSON lines as they happen, and clear words where they cannot be written."""

import json
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


def test_a_full_disk_is_told_once() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full on this system")
    with pytest.raises(FamiliarError, match=r"cannot write the trace /dev/full: No space left"), Trace(full) as trace:
        trace.event("first_token", turn=1)
