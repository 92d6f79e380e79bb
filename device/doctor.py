"""The doctor: what this machine has, what is missing, and how to mend it.

Reads the machine (/proc, the state directory, native libraries through `device.probes`) and the settings, changes
nothing, and returns a list of checks. Showing them is left to the command line.
"""

import importlib.metadata
import os
import platform
import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from device import engines
from device.errors import EngineChoiceError, SettingsError
from device.probes import ProbeError, ask
from device.settings import Settings, load_settings
from models.errors import ModelFileError
from models.gguf import read_gguf_header
from models.store import ModelStore

Status = Literal["ok", "warn", "fail"]

MEMORY_CHECK_LIMIT_S = 10.0
"""A memory of 100,000 turns takes about a second to check on a desktop; an SD card is ten times slower."""

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One finding: `what` was found, and how to `mend` it (empty where nothing needs to be)."""

    name: str
    status: Status
    what: str
    mend: str = ""


def read_settings(path: Path | None, environ: Mapping[str, str]) -> tuple[Settings, Check]:
    """The settings and what is to be said about them; with mistakes in them, the defaults, so that the rest of the
    machine can be looked at all the same."""
    try:
        settings = load_settings(path, environ)
    except SettingsError as error:
        return Settings(), Check(name="settings", status="fail", what=str(error), mend="correct the mistakes")
    what = str(settings.source) if settings.source else "the defaults; there is no settings file"
    return settings, Check(name="settings", status="ok", what=what)


def run_checks(settings: Settings, store: ModelStore, memory_path: Path) -> list[Check]:
    """All checks, in the order in which a person would mend them. Takes a second or two; a hung audio server or GPU
    driver costs at most the limit of `device.probes` each."""
    return [
        _python(),
        _board(),
        _ram(),
        _disk(store.root),
        *_llama(),
        _mind(settings, store),
        *_audio(),
        _chosen("ear", lambda: engines.choose_transcriber(settings, store)),
        _chosen("voice", lambda: engines.choose_synthesizer(settings, store)),
        *(_package(name, use) for name, use in _PACKAGES),
        _memory(memory_path, enabled=settings.memory.enabled),
    ]


_PACKAGES = (
    ("faster-whisper", "recognises speech"),
    ("pocketsphinx", "recognises speech without a model to pull"),
    ("piper-tts", "speaks with Piper voices"),
    ("espeakng-loader", "speaks with eSpeak NG"),
)


def _python() -> Check:
    return Check(name="python", status="ok", what=f"{platform.python_version()} at {sys.executable}")


def _board() -> Check:
    model = Path("/proc/device-tree/model")
    # The device tree ends its strings with a NUL.
    board = model.read_text(errors="replace").rstrip("\0\n") if model.is_file() else f"{platform.machine()} machine"
    return Check(name="board", status="ok", what=f"{board}, {len(os.sched_getaffinity(0))} processor cores")


def _ram() -> Check:
    amounts = {}
    for line in (_PROC / "meminfo").read_text().splitlines():
        key, _, value = line.partition(":")
        amounts[key] = int(value.split()[0]) * 1024
    total, free = amounts["MemTotal"], amounts["MemAvailable"]
    what = f"{free / 1e9:.1f} of {total / 1e9:.1f} GB are free"
    if free < 500e6:
        mend = "close other programs; the starter model, an ear and a voice want about 0.5 GB"
        return Check(name="ram", status="warn", what=what, mend=mend)
    return Check(name="ram", status="ok", what=what)


def _disk(folder: Path) -> Check:
    there = next(parent for parent in (folder, *folder.parents) if parent.is_dir())
    free = shutil.disk_usage(there).free
    what = f"{free / 1e9:.1f} GB are free for {folder.parent}"
    if not os.access(there, os.W_OK):
        mend = f"make {there} writable for you, or set $FAMILIAR_STATE"
        return Check(name="disk", status="fail", what=f"{there} is not writable", mend=mend)
    if free < 500e6:
        return Check(name="disk", status="warn", what=what, mend="free some space, or set $FAMILIAR_STATE")
    return Check(name="disk", status="ok", what=what)


def _llama() -> list[Check]:
    try:
        answer = ask("llama")
    except ProbeError as error:
        mend = "pip install --force-reinstall --no-binary llama-cpp-python llama-cpp-python"
        return [Check(name="llama.cpp", status="fail", what=str(error), mend=mend)]
    offload = "offloads to the GPU" if answer["gpu_offload"] else "runs on the processor"
    checks = [Check(name="llama.cpp", status="ok", what=f"llama-cpp-python {answer['version']}, {offload}")]
    return checks + _unused_features(frozenset(answer["features"]))


# What the processor calls an instruction set in /proc/cpuinfo, and what llama.cpp calls it. Each of them is worth
# a factor: prebuilt wheels leave them out.
_INSTRUCTION_SETS = (("avx2", "AVX2"), ("avx512f", "AVX512"), ("asimddp", "DOTPROD"), ("i8mm", "MATMUL_INT8"))


def _unused_features(built_for: frozenset[str]) -> list[Check]:
    flags = {
        flag
        for line in (_PROC / "cpuinfo").read_text(errors="replace").splitlines()
        if line.startswith(("flags", "Features"))
        for flag in line.partition(":")[2].split()
    }
    unused = [theirs for ours, theirs in _INSTRUCTION_SETS if ours in flags and theirs not in built_for]
    if not unused:
        return []
    mend = "pip install --force-reinstall --no-cache-dir --no-binary llama-cpp-python llama-cpp-python"
    what = f"llama.cpp was built without {', '.join(unused)}, which this processor has"
    return [Check(name="llama.cpp build", status="warn", what=what, mend=mend)]


def _audio() -> list[Check]:
    try:
        answer = ask("audio")
    except ProbeError as error:
        mend = "sudo apt install libportaudio2; if it is there: restart the audio server"
        return [Check(name="audio", status="fail", what=str(error), mend=mend)]
    checks = [Check(name="audio", status="ok", what=answer["version"])]
    for name, found in (("microphone", answer["microphones"]), ("speaker", answer["speakers"])):
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            checks.append(Check(name=name, status="ok", what=f"{found[0]}{more}"))
        else:
            mend = "plug one in, or converse in writing: familiar talk --text"
            checks.append(Check(name=name, status="warn", what="there is none", mend=mend))
    return checks


def _mind(settings: Settings, store: ModelStore) -> Check:
    try:
        found = engines.choose_model(settings, store)
        header = read_gguf_header(found.path)
    except EngineChoiceError as error:
        return Check(name="mind", status="fail", what="there is none", mend=str(error))
    except ModelFileError as error:
        return Check(name="mind", status="fail", what="its file cannot be used", mend=str(error))
    what = f"{found.name}, {header.quantisation}, {header.file_bytes / 1e6:.0f} MB"
    if 0 < header.context_length < settings.think.context_tokens:
        mend = f"think.context_tokens is more than the {header.context_length} that it was trained for"
        return Check(name="mind", status="warn", what=what, mend=mend)
    return Check(name="mind", status="ok", what=what)


def _chosen(name: str, choose: Callable[[], engines.Choice[object]]) -> Check:
    try:
        choice = choose()
    except EngineChoiceError as error:
        return Check(name=name, status="fail", what="there is none", mend=str(error))
    if choice.notice:
        return Check(name=name, status="warn", what=choice.name, mend=choice.notice)
    return Check(name=name, status="ok", what=choice.name)


def _package(name: str, use: str) -> Check:
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        mend = f"pip install {name}"
        return Check(name=name, status="warn", what=f"not installed; it {use}", mend=mend)
    return Check(name=name, status="ok", what=f"{version} {use}")


def _memory(path: Path, *, enabled: bool) -> Check:
    name = "memories"
    if not path.is_file():
        return Check(name=name, status="ok", what="none yet" if enabled else "switched off")
    deadline = time.monotonic() + MEMORY_CHECK_LIMIT_S
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=2.0)
        try:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
            verdict = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        finally:
            connection.close()
    except sqlite3.OperationalError as error:
        if "interrupted" in str(error):
            what = f"{path} is too large to be checked within {MEMORY_CHECK_LIMIT_S:.0f} s"
            return Check(name=name, status="warn", what=what)
        return Check(name=name, status="fail", what=f"{path}: {error}", mend="close what else has it open")
    except sqlite3.DatabaseError as error:
        verdict = str(error)
    if verdict != "ok":
        mend = "the next conversation sets the file aside and begins a new one"
        return Check(name=name, status="fail", what=f"{path} is damaged: {verdict}", mend=mend)
    return Check(name=name, status="ok", what=f"{path}, {path.stat().st_size / 1e6:.1f} MB, sound")
