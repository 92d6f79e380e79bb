"""The main job with real sound: `familiar talk` on PortAudio, a person at the microphone, ears at the speaker.

A private PulseAudio has the microphone and the speaker in memory; everything between them is what runs on a desk. The
machine may stall, so times are asserted generously here; `familiar bench turn` measures them.
"""

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr

from device.engines import model_store
from tests.voice.saying import say
from tests.voice.soundserver import RECORD_RATE_HZ, SoundServer, needs_sound_server, sound_server
from voice.messages import FRAME_SAMPLES, MIC_RATE_HZ, Pcm
from voice.vad import SileroVad
from voice.wav import WavWriter

pytestmark = needs_sound_server

LIMIT_S = 90.0
"""Far more than anything here takes on a machine that does nothing else."""

WORDS_S = 1.0
"""Audible samples, in seconds: two short words at 80 words a minute take no longer."""

AUDIBLE = 330  # -40 dB of full scale: above any dither, below any voice


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    with sound_server() as running:
        yield running


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with the machine's models and a memory of its own."""
    store = model_store(os.environ)
    if store.find("smollm2-135m") is None:
        pytest.skip("the starter model is not here: familiar models pull starter")
    folder = tmp_path_factory.mktemp("state")
    (folder / "models").symlink_to(store.root)
    return folder


@dataclass
class Talk:
    """A running `familiar talk` and its trace."""

    process: subprocess.Popen[bytes]
    trace: Path

    def events(self) -> list[dict[str, Any]]:
        lines = self.trace.read_text(encoding="utf-8").splitlines(keepends=True) if self.trace.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def wait_for(self, name: str, *, after: int = 0) -> dict[str, Any]:
        """The first such event behind the first `after` events, now or when it comes."""

        def found() -> dict[str, Any] | None:
            return next((event for event in self.events()[after:] if event["event"] == name), None)

        return self._wait(found, name)

    def wait_until_listening(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if json.loads(line) == {"event": "state", "state": "listening"}:
                return
        pytest.fail("familiar talk ended before it listened")

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        self._wait(lambda: {} if condition() else None, what)

    def _wait(self, found: Callable[[], dict[str, Any] | None], name: str) -> dict[str, Any]:
        deadline_s = time.monotonic() + LIMIT_S
        while time.monotonic() < deadline_s:
            if (event := found()) is not None:
                return event
            assert self.process.poll() is None, f"familiar talk ended before {name}"
            time.sleep(0.02)
        pytest.fail(f"no {name} within {LIMIT_S:g} s: {[event['event'] for event in self.events()]}")


@contextlib.contextmanager
def talking(server: SoundServer, state: Path, trace: Path) -> Iterator[Talk]:
    env = server.env | {"FAMILIAR_STATE": str(state), "FAMILIAR_THINK__SEED": "1", "FAMILIAR_SPEAK__RATE_WPM": "80"}
    command = [sys.executable, "-m", "device.cli", "talk", "--json", "--trace", str(trace)]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            talk = Talk(process, trace)
            talk.wait_until_listening()
            yield talk
            process.send_signal(signal.SIGINT)
            _, complaint = process.communicate(timeout=LIMIT_S)
            assert process.returncode == 1
            assert complaint.decode().count("\n") == 1
            assert "Ctrl-C" in complaint.decode()
        finally:
            process.kill()


def write(path: Path, sound: Pcm) -> Path:
    with WavWriter(path, MIC_RATE_HZ) as wav:
        wav.append(sound)
    return path


def seconds_of_speech(recording: Pcm) -> float:
    """How much of what the speaker played is a voice, by the judgement of Silero VAD."""
    sound = soxr.resample(recording, RECORD_RATE_HZ, MIC_RATE_HZ)
    n_frames = len(sound) // FRAME_SAMPLES
    vad = SileroVad()
    voiced = sum(vad.probability(frame) > 0.5 for frame in sound[: n_frames * FRAME_SAMPLES].reshape(n_frames, -1))
    return voiced * FRAME_SAMPLES / MIC_RATE_HZ


def audible_s(recording: Pcm) -> float:
    return float((np.abs(recording.astype(np.int32)) > AUDIBLE).sum()) / RECORD_RATE_HZ


def remembered(state: Path) -> list[tuple[str, str, int]]:
    with contextlib.closing(sqlite3.connect(state / "memory.db")) as connection:
        return connection.execute("SELECT user_text, reply_text, interrupted FROM turns ORDER BY id").fetchall()


def test_a_spoken_question_is_answered_aloud_and_an_interruption_is_obeyed(
    server: SoundServer, state: Path, tmp_path: Path
) -> None:
    question = write(tmp_path / "question.wav", say("Will you go to the moon with me?"))
    interruption = write(tmp_path / "interruption.wav", say("What do you want to do today?"))

    # First run: it greets, hears a question and answers it.
    with talking(server, state, tmp_path / "first.jsonl") as talk:
        talk.wait_for("reply_done")  # the greeting
        begun = len(talk.events())
        with server.recording() as recording:
            server.speak(question)
            done = talk.wait_for("reply_done", after=begun)
            heard_s = seconds_of_speech(recording.samples())
        names = [event["event"] for event in talk.events()[begun:] if event["turn"] == done["turn"]]
    assert done["text_heard"]
    assert heard_s > 0.5
    for name in ("speech_started", "speech_ended", "turn_committed", "asr_final", "first_audio_heard"):
        assert name in names
    assert remembered(state)[-1][1:] == (done["text_heard"], 0)

    # Second run: it goes on where it was, without a greeting, and its answer is interrupted.
    with talking(server, state, tmp_path / "second.jsonl") as talk:
        with server.recording() as recording:
            server.speak(question)
            talk.wait_for("first_audio_heard")
            # At 80 words a minute, two words of it at least.
            talk.wait_until(lambda: audible_s(recording.samples()) > WORDS_S, "words of the answer")
            speaking = server.start_speaking(interruption)
            stopped = talk.wait_for("playback_stopped")
            n_before = len(recording.samples())
            talk.wait_for("asr_final", after=talk.events().index(stopped))
            after = recording.samples()[n_before:]
            speaking.wait(timeout=LIMIT_S)
        interrupted = talk.wait_for("reply_done")
        assert not any(event["turn"] == 0 and event["event"].startswith("first_") for event in talk.events())

    # Silence from at most the device's own buffer after the stop until the interruption has been understood.
    settled = after[int(0.5 * RECORD_RATE_HZ) :]
    assert len(settled) > 0
    assert np.abs(settled.astype(np.int32)).max() < AUDIBLE
    # History ends with the words that were heard.
    assert interrupted["interrupted"]
    assert interrupted["text_heard"]
    assert interrupted["text_heard"] == stopped["text_heard"].strip()
    assert (interrupted["text_heard"], 1) in [turn[1:] for turn in remembered(state)]
