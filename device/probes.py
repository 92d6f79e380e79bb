"""Questions to native libraries, asked in a child process: PortAudio, ALSA and GPU drivers may hang, crash or chatter.

`ask` starts `python -m device.probes QUESTION` and reads one JSON object from it within a time limit.
"""

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
    # -P: nothing in the current folder may pass for one of our packages.
    command = [sys.executable, "-P", "-m", "device.probes", question]
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
    answer: dict[str, Any] = json.loads(child.stdout.splitlines()[-1])
    return answer


def audio() -> dict[str, Any]:
    """PortAudio's version, and the sound devices as the fields of `voice.soundcards.AudioDevice`."""
    from voice.soundcards import list_devices, load_portaudio

    version = load_portaudio().get_portaudio_version()[1].partition(",")[0]
    return {"version": version, "devices": [asdict(device) for device in list_devices()]}


def llama() -> dict[str, Any]:
    """llama-cpp-python's version, the CPU features llama.cpp was built for, and whether it can offload to a GPU."""
    import llama_cpp

    features = llama_cpp.llama_print_system_info().decode()
    return {
        "version": llama_cpp.__version__,
        "gpu_offload": bool(llama_cpp.llama_supports_gpu_offload()),
        "features": [
            part.partition("=")[0].strip() for part in features.replace("CPU :", "").split("|") if "= 1" in part
        ],
    }


_QUESTIONS: dict[str, Callable[[], dict[str, Any]]] = {"audio": audio, "llama": llama}

if __name__ == "__main__":
    try:
        sys.stdout.write("\n" + json.dumps(_QUESTIONS[sys.argv[1]]()) + "\n")
    except VoiceError as error:
        sys.exit(str(error))
