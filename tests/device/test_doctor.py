"""The doctor names what is missing and how to mend it, whatever state the machine is in, and changes nothing."""

import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest

from device import doctor, probes
from device.doctor import Check, read_settings, run_checks
from device.probes import ProbeError
from device.settings import Settings, ThinkSettings
from models.store import ModelStore

WELL: dict[str, dict[str, Any]] = {
    "audio": {"version": "PortAudio V19.7.0", "microphones": ["USB mic", "webcam"], "speakers": ["USB speaker"]},
    "llama": {"version": "0.0", "gpu_offload": False, "features": ["AVX2", "AVX512", "DOTPROD", "MATMUL_INT8"]},
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What the probes answer, to be changed by a test; a missing answer is a probe that died."""
    given = {question: dict(answer) for question, answer in WELL.items()}

    def ask(question: str) -> dict[str, Any]:
        if question not in given:
            raise ProbeError("it crashed (signal 11)")
        return given[question]

    monkeypatch.setattr(doctor, "ask", ask)
    return given


def findings(state: Path, settings: Settings | None = None) -> dict[str, Check]:
    checks = run_checks(settings or Settings(), ModelStore(state / "models"), state / "memory.db")
    assert len({check.name for check in checks}) == len(checks)
    return {check.name: check for check in checks}


def test_every_trouble_comes_with_its_mending(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    answers.clear()
    found = findings(tmp_path)
    assert found["llama.cpp"].status == found["audio"].status == found["mind"].status == "fail"
    for check in found.values():
        assert check.what
        assert bool(check.mend) == (check.status != "ok"), check


def test_nothing_is_changed(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    findings(tmp_path / "state")
    assert not list(tmp_path.iterdir())


def test_sound_devices_are_named_the_default_first(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    found = findings(tmp_path)
    assert found["microphone"].what == "USB mic and 1 more"
    assert found["speaker"].what == "USB speaker"


def test_a_machine_without_a_microphone_can_still_converse(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    answers["audio"]["microphones"] = []
    check = findings(tmp_path)["microphone"]
    assert check.status == "warn"
    assert "talk --text" in check.mend


def test_instruction_sets_left_unused_are_named(
    tmp_path: Path, answers: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text("processor : 0\nFeatures : fp asimd asimddp i8mm\n")
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 300000 kB\n")
    monkeypatch.setattr(doctor, "_PROC", tmp_path)
    answers["llama"]["features"] = ["NEON", "MATMUL_INT8"]
    found = findings(tmp_path)
    assert "without DOTPROD," in found["llama.cpp build"].what
    assert found["ram"].status == "warn"


def test_a_damaged_model_file_is_a_failure(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + b"\xff" * 100)
    check = findings(tmp_path, Settings(think=ThinkSettings(model=str(broken))))["mind"]
    assert check.status == "fail"
    assert str(broken) in check.mend


def test_a_sound_memory_is_said_to_be_sound(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    with sqlite3.connect(tmp_path / "memory.db") as connection:
        connection.execute("CREATE TABLE turns (text)")
    connection.close()
    check = findings(tmp_path)["memories"]
    assert check.status == "ok"
    assert check.what.endswith("sound")


def test_a_damaged_memory_is_a_failure(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    (tmp_path / "memory.db").write_bytes(b"SQLite format 3\0" + b"\xa5" * 8192)
    check = findings(tmp_path)["memories"]
    assert check.status == "fail"
    assert "damaged" in check.what


def test_a_state_directory_that_cannot_be_written_is_a_failure(
    tmp_path: Path, answers: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    assert findings(tmp_path)["disk"].status == "fail"


def test_mistaken_settings_do_not_stop_the_doctor(tmp_path: Path) -> None:
    path = tmp_path / "familiar.toml"
    path.write_text("[lissen]\n")
    settings, check = read_settings(path, {})
    assert settings == Settings()
    assert check.status == "fail"
    assert "[lissen]" in check.what


# The probes themselves ------------------------------------------------------------------------------------------------


def test_native_libraries_answer() -> None:
    pytest.importorskip("llama_cpp")
    answer = probes.ask("llama")
    assert answer["features"]
    assert isinstance(answer["gpu_offload"], bool)


def test_a_library_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_python(tmp_path, "exec sleep 60", monkeypatch)
    with pytest.raises(ProbeError, match="no answer within 0 s"):
        probes.ask("audio", limit_s=0.2)


def test_a_library_that_crashes_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_python(tmp_path, "kill -SEGV $$", monkeypatch)
    with pytest.raises(ProbeError, match=r"it crashed \(signal 11\)"):
        probes.ask("audio")


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_python(tmp_path, "echo Traceback >&2; echo 'OSError: PortAudio library not found' >&2; exit 1", monkeypatch)
    with pytest.raises(ProbeError, match=r"^OSError: PortAudio library not found$"):
        probes.ask("audio")


def test_what_libraries_print_is_not_taken_for_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_python(tmp_path, "echo 'ALSA lib: what?'; echo; echo '{\"version\": 1}'", monkeypatch)
    assert probes.ask("audio") == {"version": 1}


def pretend_python(folder: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
