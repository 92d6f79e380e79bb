"""A sound system of its own for a test: PulseAudio with a speaker and a microphone that exist only in memory.

`with sound_server() as server` starts a private daemon; a program started with `server.env` finds it as its default
sound device, through ALSA, exactly as on a desktop. PortAudio initialises once per process, so such a program is always
a sub-process. Everything lives in a folder of its own and ends with the `with` block.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from voice.messages import Pcm

needs_sound_server = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("pulseaudio", "pactl", "paplay", "parec")),
    reason="PulseAudio and its tools are not installed (apt install pulseaudio pulseaudio-utils libasound2-plugins)",
)

RECORD_RATE_HZ = 48_000

_MODULES = (
    "module-native-protocol-unix",
    "module-null-sink sink_name=speaker",
    "module-null-sink sink_name=micsink",
    "module-remap-source master=micsink.monitor source_name=mic",
)
_ASOUND_CONF = """\
</usr/share/alsa/alsa.conf>
pcm.!default { type pulse }
ctl.!default { type pulse }
"""
_START_LIMIT_S = 10.0


@dataclass(slots=True)
class Recording:
    """Everything the speaker plays, as it goes on; one channel at RECORD_RATE_HZ."""

    _process: subprocess.Popen[bytes]
    _path: Path

    def samples(self) -> Pcm:
        """What was recorded so far."""
        raw = self._path.read_bytes()
        return np.frombuffer(raw[: len(raw) // 2 * 2], np.int16)

    def stop(self) -> Pcm:
        """End it, and return it all."""
        self._process.terminate()
        self._process.wait()
        return self.samples()


@dataclass(frozen=True, slots=True)
class SoundServer:
    """A running daemon. `env` is the environment for programs that shall use it."""

    env: dict[str, str]
    folder: Path
    process: subprocess.Popen[bytes]

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the daemon hang, as a sound system does whose device was pulled out."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def speak(self, path: Path) -> None:
        """Play a WAV file into the microphone; returns when it has been played."""
        subprocess.run(["paplay", "-d", "micsink", str(path)], env=self.env, check=True, timeout=60)

    def start_speaking(self, path: Path) -> subprocess.Popen[bytes]:
        """Play a WAV file into the microphone while other things go on; the caller waits for the process."""
        return subprocess.Popen(["paplay", "-d", "micsink", str(path)], env=self.env)

    @contextlib.contextmanager
    def recording(self, source: str = "speaker.monitor") -> Iterator[Recording]:
        """Record what the speaker plays (or another source); recording has begun when the body runs."""
        path = self.folder / f"{source}-{time.monotonic_ns()}.raw"
        with path.open("wb") as file:
            command = ["parec", "-d", source, "--raw", "--format=s16le", "--channels=1", f"--rate={RECORD_RATE_HZ}"]
            process = subprocess.Popen([*command, "--latency-msec=10"], env=self.env, stdout=file)
        recording = Recording(process, path)
        try:
            _wait_until(lambda: path.stat().st_size > 0, f"the recorder of {source} did not start")
            yield recording
        finally:
            recording.stop()


@contextlib.contextmanager
def sound_server() -> Iterator[SoundServer]:
    """Run a daemon; it and all that it plays end with the block."""
    # Not pytest's folder: the path of the daemon's socket may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="sound-") as name:
        folder = Path(name)
        (folder / "asound.conf").write_text(_ASOUND_CONF)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DBUS_", "XDG_"))}
        env |= {
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
        }
        with _daemon(env, folder / "pulseaudio.log") as process:
            _wait_until(lambda: _pactl(env, "info"), "PulseAudio did not start")
            assert _pactl(env, "set-default-source", "mic")
            assert _pactl(env, "set-default-sink", "speaker")
            server = SoundServer(env, folder, process)
            # An idle null sink works 2 s ahead; somebody who listens keeps it in step, as a sound card would be.
            with server.recording("speaker.monitor"), server.recording("mic"):
                yield server


@contextlib.contextmanager
def _daemon(env: dict[str, str], log_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = ["pulseaudio", "--daemonize=no", "--exit-idle-time=-1", "-n"]
    for module in _MODULES:
        command += ["-L", module]
    with log_path.open("wb") as log:
        daemon = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()


def _pactl(env: dict[str, str], *words: str) -> bool:
    return subprocess.run(["pactl", *words], env=env, capture_output=True, timeout=10).returncode == 0


def _wait_until(condition: Callable[[], bool], failure: str) -> None:
    deadline_s = time.monotonic() + _START_LIMIT_S
    while not condition():
        assert time.monotonic() < deadline_s, failure
        time.sleep(0.02)
