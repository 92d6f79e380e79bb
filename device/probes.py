"""Questions to native libraries, asked in a child process: PortAudio, ALSA and GPU drivers may hang, crash or chatter.

`ask` starts `python -m device.probes QUESTION` and reads one JSON object from it within a time limit; `run_child` does
the same with any module that answers so.
"""

import ctypes
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from voice.errors import VoiceError

PROBE_LIMIT_S = 30.0
"""Importing llama.cpp from a slow SD card takes some seconds; a hung audio server never answers."""


class ProbeError(Exception):
    """The question got no answer; the message says why."""


def ask(question: str, limit_s: float = PROBE_LIMIT_S) -> dict[str, Any]:
    """The answer of one of the questions below. Blocking, at most `limit_s`. Raises ProbeError."""
    return run_child("device.probes", question, limit_s=limit_s)


def run_child(module: str, argument: str, *, limit_s: float) -> dict[str, Any]:
    """What `python -m module argument` answers: the JSON object in the last line it prints. Blocking, at most
    `limit_s`. Raises ProbeError."""
    # -P: nothing in the current folder may pass for one of our packages.
    command = [sys.executable, "-P", "-m", module, argument]
    try:
        child = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"no answer within {limit_s:.0f} s") from error
    if child.returncode < 0:
        raise ProbeError(f"it crashed (signal {-child.returncode})")
    if child.returncode:
        lines = child.stderr.decode(errors="replace").strip().splitlines()
        raise ProbeError(lines[-1] if lines else f"exit status {child.returncode}")
    # Native libraries write to stdout as they like; the answer is the last line.
    try:
        answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise ProbeError("it ended without an answer") from error
    return answer


def audio() -> dict[str, Any]:
    """PortAudio's version, and the sound devices as the fields of `voice.soundcards.AudioDevice`."""
    from voice.soundcards import list_devices, load_portaudio

    version = load_portaudio().get_portaudio_version()[1].partition(",")[0]
    return {"version": version, "devices": [asdict(device) for device in list_devices()]}


def llama() -> dict[str, Any]:
    """llama-cpp-python's version, the CPU features llama.cpp was built for, whether it can offload to a GPU, and the
    devices it finds."""
    import llama_cpp

    features = llama_cpp.llama_print_system_info().decode()
    return {
        "version": llama_cpp.__version__,
        "gpu_offload": bool(llama_cpp.llama_supports_gpu_offload()),
        "devices": _ggml_devices(llama_cpp.llama_cpp._lib),
        "features": [
            part.partition("=")[0].strip() for part in features.replace("CPU :", "").split("|") if "= 1" in part
        ],
    }


def _ggml_devices(lib: ctypes.CDLL) -> list[dict[str, str]]:
    """The kind ("cpu", "gpu" or "other") and a description of each device that ggml can compute on."""
    kinds = {0: "cpu", 1: "gpu", 2: "gpu"}  # enum ggml_backend_dev_type: 2 shares the memory of the processor
    lib.ggml_backend_dev_count.restype = ctypes.c_size_t
    lib.ggml_backend_dev_get.restype = ctypes.c_void_p
    lib.ggml_backend_dev_description.restype = ctypes.c_char_p
    devices = [
        ctypes.c_void_p(lib.ggml_backend_dev_get(ctypes.c_size_t(index)))
        for index in range(lib.ggml_backend_dev_count())
    ]
    return [
        {
            "kind": kinds.get(lib.ggml_backend_dev_type(device), "other"),
            "description": lib.ggml_backend_dev_description(device).decode(errors="replace"),
        }
        for device in devices
    ]


_QUESTIONS: dict[str, Callable[[], dict[str, Any]]] = {"audio": audio, "llama": llama}

if __name__ == "__main__":
    try:
        sys.stdout.write("\n" + json.dumps(_QUESTIONS[sys.argv[1]]()) + "\n")
    except VoiceError as error:
        sys.exit(str(error))
