"""`familiar talk` with the real model: in writing, from a recording, as a demonstration, and interrupted."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device.demo import ANSWER_NAME, RECORDING
from device.engines import model_store
from device.paths import memory_file
from device.settings import UNNAMED_PERSON
from memory.store import MemoryStore
from models.character import starter_character
from tests.device.fakes import ANSWERED_TURN
from voice.messages import MIC_RATE_HZ
from voice.wav import read_wav

ROOT = Path(__file__).parents[2]
LIMIT_S = 90.0
"""Far more than anything here takes on a machine that does nothing else."""

AUDIBLE = 330  # -40 dB of full scale: above any dither, below any voice

SLOW_SPEECH = {"FAMILIAR_SPEAK__RATE_WPM": "80"}
LONGEST_WORD_S = 1.2
"""Of the words that begin an answer, at 80 a minute: one has been heard by then, and any answer of three goes on."""

NO_SOUND_DEVICES = "pcm.nowhere { type empty }\n"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A person with the machine's models, a memory of their own and no sound devices."""
    pytest.importorskip("pocketsphinx", reason="pocketsphinx (extra `starter`) is not installed")
    pytest.importorskip("espeakng_loader", reason="espeakng-loader (extra `starter`) is not installed")
    store = model_store(os.environ)
    if store.find("smollm2-135m") is None:
        pytest.skip("the starter model is not here: familiar models pull starter")
    state = tmp_path / "state"
    state.mkdir()
    (state / "models").symlink_to(store.root)
    (tmp_path / "familiar.toml").touch()
    (tmp_path / "alsa.conf").write_text(NO_SOUND_DEVICES, encoding="utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FAMILIAR_", "PULSE_"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        "FAMILIAR_STATE": str(state),
        "FAMILIAR_CONFIG": str(tmp_path / "familiar.toml"),
        "FAMILIAR_THINK__MODEL": "smollm2-135m",
        "FAMILIAR_THINK__SEED": "1",
        "FAMILIAR_LISTEN__ENGINE": "sphinx",
        "FAMILIAR_SPEAK__ENGINE": "espeak",
        "ALSA_CONFIG_PATH": str(tmp_path / "alsa.conf"),
    }


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "device.cli", "talk", *map(str, arguments)]


def talk(environ: Mapping[str, str], folder: Path, *arguments: str | Path, lines: str = "") -> str:
    """What a whole `familiar talk` in this folder writes."""
    done = subprocess.run(
        command(*arguments),
        env=environ,
        cwd=folder,
        input=lines,
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def events(trace: Path) -> list[dict[str, Any]]:
    """The whole lines of a trace, also while it is being written."""
    text = trace.read_text("utf-8") if trace.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def remembered(environ: Mapping[str, str]) -> list[tuple[str, str, bool]]:
    """What was said, what was heard, and whether it was interrupted."""
    with MemoryStore(memory_file(environ)) as store:
        turns = store.last_turns(UNNAMED_PERSON, starter_character().name, 100)
    return [(turn.user_text, turn.reply_text, turn.interrupted) for turn in turns]


def until(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    limit_s = time.monotonic() + LIMIT_S
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < limit_s, "it never came to that"
        time.sleep(0.01)


def stopped_by(process: subprocess.Popen[str], signal_number: int) -> None:
    """Stop it: it ends with status 1 and one line that says so, and by what."""
    process.send_signal(signal_number)
    _, complaint = process.communicate(timeout=LIMIT_S)
    own = [line for line in complaint.splitlines() if line.startswith("familiar: ")]
    assert process.returncode == 1, complaint
    by = " by Ctrl-C" if signal_number == signal.SIGINT else ""
    assert own == [f"familiar: stopped{by}; nothing that was said is lost"]
    assert "Traceback" not in complaint


def test_a_conversation_in_writing_goes_on_where_it_was(environ: dict[str, str], tmp_path: Path) -> None:
    answers = talk(environ, tmp_path, "--text", lines="Hello, my name is Ada.\nDo you like cake?\n").splitlines()
    assert len(answers) == 2
    assert all(answer.startswith("Pip: ") and len(answer) > 6 for answer in answers)

    trace = tmp_path / "t.jsonl"
    talk(environ, tmp_path, "--text", "--json", "--trace", trace, lines="And you \udcff?\n")  # a byte of no UTF-8
    turns = remembered(environ)
    assert [user_text for user_text, _, _ in turns] == [
        "Hello, my name is Ada.",
        "Do you like cake?",
        "And you \ufffd?",
    ]
    assert [f"Pip: {reply}" for _, reply, _ in turns[:2]] == [answer.strip() for answer in answers]
    ready = next(record for record in events(trace) if record["event"] == "prompt_ready")
    assert ready["n_reused"] > 2 * ready["n_prefilled"], "what was said before was prefilled at the start"


def test_replies_that_leave_no_room_for_a_prompt_are_told_in_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        command("--text"),
        env=environ | {"FAMILIAR_THINK__MAX_REPLY_TOKENS": "4096"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("familiar: think.max_reply_tokens = 4096 leaves no room")
    assert done.stderr.count("\n") == 1


def test_a_recording_is_answered_on_its_own_timeline(environ: dict[str, str], tmp_path: Path) -> None:
    answer, trace = tmp_path / "b.wav", tmp_path / "t.jsonl"
    out = talk(environ, tmp_path, "--in", RECORDING, "--out", answer, "--trace", trace, "--json")

    records = {record["event"]: record for record in events(trace) if record["turn"] == 1}
    assert set(ANSWERED_TURN) <= records.keys()
    times_s = [records[event]["t_s"] for event in ANSWERED_TURN if event != "first_audio_heard"]
    assert times_s == sorted(times_s)
    # A port of files gives a late block the time at which it ought to have come: up to that much before it was queued.
    assert records["first_audio_heard"]["t_s"] >= records["first_audio_queued"]["t_s"] - 0.1
    assert not records["reply_done"]["interrupted"]

    sound = np.abs(read_wav(answer).astype(np.int32))
    audible_s = np.flatnonzero(sound > AUDIBLE) / MIC_RATE_HZ
    question_s = len(read_wav(RECORDING)) / MIC_RATE_HZ
    from_speech_s = records["first_audio_heard"]["t_s"] - records["speech_started"]["t_s"]
    # Second 3 of the answer's file is second 3 of the recording: it begins after the question, as the trace says.
    assert audible_s[0] > 0.5 * question_s
    assert audible_s[0] > from_speech_s
    assert audible_s[-1] - audible_s[0] > 0.3

    said = [json.loads(line) for line in out.splitlines()]
    assert {"person", "character", "state"} <= {record["event"] for record in said}
    heard = records["reply_done"]["text_heard"]
    assert remembered(environ) == [(records["asr_final"]["text"], heard, False)]


def test_without_sound_and_terminal_a_demonstration_ends_by_itself(environ: dict[str, str], tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("sound devices can be hidden on Linux only")
    out = talk(environ, tmp_path)
    assert "synthesis of the first clause" in out
    assert ANSWER_NAME in out
    assert max(map(len, out.split("\n\nThe answer")[0].split("at ms")[1].splitlines())) <= 80
    assert np.abs(read_wav(tmp_path / ANSWER_NAME).astype(np.int32)).max() > AUDIBLE
    assert not memory_file(environ).exists()


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_in_the_middle_of_an_answer_what_was_heard_is_kept(
    environ: dict[str, str], tmp_path: Path, signal_number: int
) -> None:
    trace = tmp_path / "t.jsonl"
    with subprocess.Popen(
        command("--in", RECORDING, "--trace", trace),
        env=environ | SLOW_SPEECH,
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:

        def some_words_were_heard() -> bool:
            begun_s = [record["t_s"] for record in events(trace) if record["event"] == "first_audio_heard"]
            return bool(begun_s) and time.monotonic() > begun_s[0] + LONGEST_WORD_S

        until(some_words_were_heard, process)
        stopped_by(process, signal_number)
    records = {record["event"]: record for record in events(trace)}
    heard = records["reply_done"]["text_heard"]
    assert heard
    assert records["reply_done"]["interrupted"]
    assert remembered(environ) == [(records["asr_final"]["text"], heard, True)]


def test_stopped_in_writing_what_was_printed_is_kept(environ: dict[str, str], tmp_path: Path) -> None:
    trace = tmp_path / "t.jsonl"
    with subprocess.Popen(
        command("--text", "--trace", trace),
        env=environ,
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        process.stdin.write("Tell me a long story.\n")
        process.stdin.flush()
        until(lambda: any(record["event"] == "first_token" for record in events(trace)), process)
        stopped_by(process, signal.SIGTERM)
    done = next(record for record in events(trace) if record["event"] == "reply_done")
    ((user_text, reply, _),) = remembered(environ)
    assert (user_text, reply) == ("Tell me a long story.", done["text_heard"])


def test_a_memory_that_was_set_aside_is_told_once(environ: dict[str, str], tmp_path: Path) -> None:
    memory_file(environ).write_bytes(b"This was a memory. " * 400)
    trace = tmp_path / "t.jsonl"
    done = subprocess.run(
        command("--text", "--trace", trace),
        env=environ,
        cwd=tmp_path,
        input="Hello.\n",
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    told = [line for line in done.stderr.splitlines() if "memory.db" in line]
    assert len(told) == 1
    assert told[0].startswith("familiar: ")
    degraded = [record["what"] for record in events(trace) if record["event"] == "degraded"]
    assert [f"familiar: {what}" for what in degraded] == told


# On a terminal --------------------------------------------------------------------------------------------------------

ON_A_TERMINAL = """
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
"""
CTRL_C, CTRL_D = "\x03", "\x04"


class Typist:
    """A person at the terminal on which `familiar talk` runs."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.seen = ""

    def type(self, keys: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(keys.encode())
        self.process.stdin.flush()

    def wait_for(self, text: str, count: int = 1) -> None:
        limit_s = time.monotonic() + LIMIT_S
        while self.seen.count(text) < count:
            assert self._read(limit_s), self.seen

    def wait_for_the_end(self) -> int:
        limit_s = time.monotonic() + LIMIT_S
        while self._read(limit_s):
            pass
        return self.process.wait(max(0.0, limit_s - time.monotonic()))

    def watch_for(self, text: str, patience_s: float) -> None:
        """Wait for what may or may not come."""
        limit_s = time.monotonic() + patience_s
        while text not in self.seen and self._read(limit_s):
            pass

    def _read(self, limit_s: float) -> bool:
        assert self.process.stdout is not None
        out = self.process.stdout.fileno()
        ready, _, _ = select.select([out], [], [], max(0.0, limit_s - time.monotonic()))
        new = os.read(out, 4096) if ready else b""
        self.seen += new.decode(errors="replace")
        return bool(new)


@contextlib.contextmanager
def on_a_terminal(environ: Mapping[str, str], folder: Path) -> Iterator[Typist]:
    """`familiar talk` on a terminal of its own, greeting and first prompt written."""
    with subprocess.Popen(
        [sys.executable, "-c", ON_A_TERMINAL, *command()],
        env={**environ, "TERM": "dumb"},
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        try:
            person = Typist(process)
            person.wait_for("You: ")
            yield person
        finally:
            process.kill()


def test_on_a_terminal_without_sound_one_converses_in_writing_until_ctrl_d(
    environ: dict[str, str], tmp_path: Path
) -> None:
    with on_a_terminal(environ, tmp_path) as person:
        person.type("Hello.\r")
        person.wait_for("You: ", count=2)
        person.type(CTRL_D)
        assert person.wait_for_the_end() == 0, person.seen
    greeting = starter_character().greeting
    assert "conversing in writing" in person.seen
    assert f"Pip: {greeting}" in person.seen
    (before, greeted, _), (user_text, reply, _) = remembered(environ)
    assert (before, greeted, user_text) == ("", greeting, "Hello.")
    assert reply


def test_ctrl_c_at_the_prompt_ends_the_conversation_in_one_line(environ: dict[str, str], tmp_path: Path) -> None:
    with on_a_terminal(environ, tmp_path) as person:
        # A signal in the instant before input() begins to wait for keys is seen with the next key: press it again.
        until_s = time.monotonic() + LIMIT_S
        while time.monotonic() < until_s and "stopped" not in person.seen:
            person.type(CTRL_C)
            person.watch_for("stopped", 5.0)
        assert person.wait_for_the_end() == 1, person.seen
    assert "familiar: stopped by Ctrl-C; nothing that was said is lost" in person.seen
    assert "Traceback" not in person.seen
