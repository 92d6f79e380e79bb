"""The doctor names what is missing and how to mend it, whatever state the machine is in, and changes nothing."""

import importlib.metadata
import os
import random
import shlex
import shutil
import socket
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device import doctor, probes
from device.board import read_board
from device.checks import Check
from device.doctor import read_settings, run_checks
from device.packages import DISTRIBUTION, install_line, rebuild_line
from device.probes import ProbeError
from device.settings import AudioSettings, CharacterSettings, ServerSettings, Settings, ThinkSettings
from device.steering_probe import troubles_in
from memory.store import MemoryStore
from models.store import ModelStore
from tests.device.boards import meminfo, pi_5, recorded
from tests.models.steering_gguf import WIDTH, lora_tensors, write_layered_model, write_lora, write_vector
from voice.soundcards import AudioDevice


def device(name: str, index: int, *, inputs: int = 0, outputs: int = 0, default: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "inputs": inputs,
        "outputs": outputs,
        "default_input": default and inputs > 0,
        "default_output": default and outputs > 0,
        "rate_hz": 48_000,
        "index": index,
    }


WELL: dict[str, dict[str, Any]] = {
    "audio": {
        "version": "PortAudio V19.7.0",
        "devices": [
            device("webcam", 0, inputs=1),
            device("USB mic", 1, inputs=1, default=True),
            device("headset", 2, inputs=1),
            device("webcam", 3, inputs=2),
            device("USB speaker", 4, outputs=2, default=True),
        ],
    },
    "llama": {
        "version": "0.0",
        "gpu_offload": False,
        "features": ["AVX2", "AVX512", "DOTPROD", "MATMUL_INT8"],
        "devices": [{"kind": "cpu", "description": "Cortex-A76"}],
    },
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


def test_every_sound_device_is_named_the_one_in_use_first(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    found = findings(tmp_path)
    assert found["microphone"].what == "USB mic; also there: webcam, headset"
    assert found["speaker"].what == "USB speaker"

    chosen = findings(tmp_path, Settings(audio=AudioSettings(microphone="head")))["microphone"]
    assert (chosen.status, chosen.what) == ("ok", "headset; also there: webcam, USB mic")


def test_a_sound_device_that_is_not_there_is_a_failure(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    found = findings(tmp_path, Settings(audio=AudioSettings(microphone="speaker", speaker="USB")))
    assert (found["speaker"].status, found["microphone"].status) == ("ok", "fail")
    assert 'there is no microphone "speaker"' in found["microphone"].mend
    assert "[audio]" in found["microphone"].mend
    assert found["microphone"].what == "webcam, USB mic, headset"


def test_a_server_that_is_away_is_named_and_the_model_here_answers(
    tmp_path: Path, answers: dict[str, dict[str, Any]]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"  # nobody listens there once it is closed
    server = findings(tmp_path, Settings(server=ServerSettings(url=url)))["server"]
    assert (server.status, url in server.what) == ("warn", True)
    assert server.mend
    assert "server" not in findings(tmp_path)


@pytest.mark.parametrize("url", ["http://me:secret@192.168.1.5/v1", "me:secret@a", "http://llama..local:8080/v1"])
def test_an_address_that_cannot_be_used_is_a_failure_and_its_password_is_not_shown(
    tmp_path: Path, answers: dict[str, dict[str, Any]], url: str
) -> None:
    server = findings(tmp_path, Settings(server=ServerSettings(url=url)))["server"]
    assert server.status == "fail", "talking fails of it, too"
    assert server.mend.startswith("[server]: ")
    assert "secret" not in server.what + server.mend


def steered(folder: Path, adapter: str, vector: str) -> Check:
    """What is found of a character with these two files beside it, over a small model with layers."""
    write_layered_model(folder / "layered.gguf")
    lines = ['name = "Rex"', 'persona = "You are Rex."', "[[adapters]]", f'file = "{adapter}"']
    (folder / "rex.toml").write_text("\n".join([*lines, "[[steering]]", f'file = "{vector}"']))
    settings = Settings(
        character=CharacterSettings(file=folder / "rex.toml"), think=ThinkSettings(model=str(folder / "layered.gguf"))
    )
    return findings(folder, settings)["steering"]


def test_what_a_character_lays_over_the_model_is_checked_against_it(
    tmp_path: Path, answers: dict[str, dict[str, Any]]
) -> None:
    write_lora(tmp_path / "lora.gguf")
    write_vector(tmp_path / "happy.gguf")
    fits = steered(tmp_path, "lora.gguf", "happy.gguf")
    assert (fits.status, fits.what) == ("ok", "2 files fit layered")

    write_vector(tmp_path / "narrow.gguf", width=32)
    other = {name.replace("blk.0", "blk.9"): tensor for name, tensor in lora_tensors().items()}
    write_lora(tmp_path / "other.gguf", other)
    unfit = steered(tmp_path, "other.gguf", "narrow.gguf")
    assert unfit.status == "fail"
    assert "has no blk.9.attn_q.weight" in unfit.mend
    assert "made for a model of width 32" in unfit.mend

    gone = steered(tmp_path, "gone.gguf", "happy.gguf")
    assert (gone.status, "gone.gguf does not exist" in gone.mend) == ("fail", True)
    assert "steering" not in findings(tmp_path)


def test_an_adapter_for_a_model_of_another_width_is_found_without_loading_it(tmp_path: Path) -> None:
    write_layered_model(tmp_path / "layered.gguf")
    wide = {name: np.zeros((WIDTH + 32, 4) if name.endswith("b") else (4, WIDTH + 32)) for name in lora_tensors()}
    write_lora(tmp_path / "wide.gguf", {name: data.astype(np.float32) for name, data in wide.items()})
    (trouble,) = troubles_in(tmp_path / "layered.gguf", [tmp_path / "wide.gguf"], [])
    assert "whose blk.0.attn_q.weight has another size" in trouble


def test_a_machine_without_a_microphone_can_still_converse(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    answers["audio"]["devices"] = [device("USB speaker", 0, outputs=2, default=True)]
    check = findings(tmp_path)["microphone"]
    assert check.status == "warn"
    assert "talk --text" in check.mend
    assert findings(tmp_path, Settings(audio=AudioSettings(microphone="USB mic")))["microphone"].status == "fail"


def test_the_character_and_the_chat_template_of_the_settings_are_read(
    tmp_path: Path, answers: dict[str, dict[str, Any]]
) -> None:
    found = findings(tmp_path)
    assert (found["character"].status, found["character"].what) == ("ok", "Pip, who comes along")
    assert "chat template" not in found

    (tmp_path / "own.toml").write_text('name = "Rex"\npersona = "You are Rex."\n')
    (tmp_path / "own.jinja").write_text("{% for message in messages %}{{ message.content }}{% endfor %}")
    found = findings(tmp_path, named(tmp_path / "own.toml", tmp_path / "own.jinja"))
    assert found["character"].what == f"Rex, from {tmp_path / 'own.toml'}"
    assert found["chat template"].status == "ok"

    (tmp_path / "own.toml").write_text("name = 3\n")
    (tmp_path / "own.jinja").write_text("{% for")
    found = findings(tmp_path, named(tmp_path / "own.toml", tmp_path / "own.jinja"))
    assert "name must be a text" in found["character"].mend
    assert "does not parse" in found["chat template"].mend

    found = findings(tmp_path, named(tmp_path / "no.toml", tmp_path / "no.jinja"))
    assert found["character"].status == found["chat template"].status == "fail"
    assert "think.chat_template" in found["chat template"].mend


def named(character: Path, template: Path) -> Settings:
    return Settings(character=CharacterSettings(file=character), think=ThinkSettings(chat_template=template))


def test_the_lines_that_mend_packages_are_those_of_this_python() -> None:
    pip = f"{shlex.quote(sys.executable)} -m pip install"
    assert install_line("no-requirement-of-ours") == f"{pip} no-requirement-of-ours"
    requirements = importlib.metadata.requires(DISTRIBUTION) or []
    llama = next(wanted for wanted in requirements if wanted.startswith("llama-cpp-python=="))
    options = "--force-reinstall --no-deps --no-cache-dir --no-binary llama-cpp-python"
    assert rebuild_line("llama-cpp-python") == f"{pip} {options} {llama}"
    [*_, piper] = shlex.split(install_line("piper-tts"))
    assert piper.startswith("piper-tts>=")
    assert "extra" not in piper


def test_without_metadata_of_ours_packages_are_named_without_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    def requires(name: str) -> list[str]:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", requires)
    assert install_line("piper-tts").endswith("-m pip install piper-tts")


def test_instruction_sets_left_unused_are_named(
    tmp_path: Path, answers: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path, {**pi_5(), "proc/meminfo": meminfo(8_000_000, 300_000)})
    monkeypatch.setattr(doctor, "read_board", lambda: read_board(tmp_path))
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


def make_closed(folder: Path) -> None:
    MemoryStore(folder / "memory.db").close()


def make_crashed(folder: Path) -> None:
    """What is left of a memory whose process was killed: its log and the log's index lie beside it."""
    (folder / "alive").mkdir()
    store = MemoryStore(folder / "alive" / "memory.db")
    for file in (folder / "alive").iterdir():
        shutil.copy(file, folder)
    store.close()
    shutil.rmtree(folder / "alive")
    assert (folder / "memory.db-wal").exists()


@pytest.mark.parametrize("make", [make_closed, make_crashed])
def test_looking_at_a_memory_leaves_nothing_behind(
    tmp_path: Path, answers: dict[str, dict[str, Any]], make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    before = sorted(tmp_path.iterdir())
    assert findings(tmp_path)["memories"].status == "ok"
    assert sorted(tmp_path.iterdir()) == before


def test_a_memory_in_use_is_looked_at_as_it_is(tmp_path: Path, answers: dict[str, dict[str, Any]]) -> None:
    store = MemoryStore(tmp_path / "memory.db")
    before = sorted(tmp_path.iterdir())
    assert findings(tmp_path)["memories"].status == "ok"
    assert sorted(tmp_path.iterdir()) == before
    store.close()


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
    assert "cpu" in [found["kind"] for found in answer["devices"]]


def test_sound_devices_answer() -> None:
    try:
        answer = probes.ask("audio")
    except ProbeError as error:
        pytest.skip(f"no PortAudio on this machine: {error}")
    for found in answer["devices"]:
        AudioDevice(**found)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has ALSA")
def test_what_is_wrong_with_the_sound_is_said_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(tmp_path / "none"))
    with pytest.raises(ProbeError, match=r"^ALSA has no configuration"):
        probes.ask("audio")


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


def test_a_library_that_ends_the_process_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for said in ("", "echo bye"):
        pretend_python(tmp_path, said, monkeypatch)
        with pytest.raises(ProbeError, match=r"^it ended without an answer$"):
            probes.ask("audio")


def test_what_libraries_print_is_not_taken_for_the_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_python(tmp_path, "echo 'ALSA lib: what?'; echo; echo '{\"version\": 1}'", monkeypatch)
    assert probes.ask("audio") == {"version": 1}


def pretend_python(folder: Path, does: str, monkeypatch: pytest.MonkeyPatch) -> None:
    script = folder / "python"
    script.write_text(f"#!/bin/sh\n{does}\n")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(script))


def test_an_encrypted_memory_is_no_damaged_one(tmp_path: Path) -> None:
    memory_file = tmp_path / "memory.db"
    memory_file.write_bytes(random.Random(1).randbytes(8192))
    check = findings(tmp_path)["memories"]
    assert check.status == "fail"
    assert "no key is set" in check.what
    assert "memory.key_file" in str(check.mend)


def test_a_guard_that_can_name_nobody_is_pointed_out(tmp_path: Path) -> None:
    check = findings(tmp_path)["guard"]
    assert check.status == "warn"
    assert "emergency_hint" in str(check.mend)
