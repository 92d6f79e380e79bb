"""A saved state comes back as it was written, or is refused with a reason before anybody uses it."""

import ctypes
import errno
import hashlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import StateFileError
from models.state_file import SUFFIX, SavedState, StateKey, prune, read_state, write_state

KEY = StateKey(
    model_sha256="ab" * 32,
    steering="none",
    type_k="f16",
    type_v="f16",
    n_ctx=2048,
    flash_attention=False,
    gpu_layers=0,
    engine="llama.cpp 1",
)
TOKENS, PAYLOAD, NOTE = (1, 2, -1, 2**31 - 1), b"keys and values", b'{"said": "hello"}'
DEADLINE_S = 20.0


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / f"pip{SUFFIX}"
    write_state(path, KEY, TOKENS, PAYLOAD, NOTE)
    return path


def refusal(path: Path, key: StateKey = KEY) -> str:
    with pytest.raises(StateFileError) as caught:
        read_state(path, key)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


def contents(state: SavedState) -> tuple[tuple[int, ...], bytes, bytes]:
    return state.tokens, bytes(state.payload), state.note


def test_a_state_comes_back_as_it_was(written: Path) -> None:
    state = read_state(written, KEY)
    assert contents(state) == (TOKENS, PAYLOAD, NOTE)
    assert ctypes.sizeof(state.payload) == len(PAYLOAD)


@settings(deadline=None, max_examples=40)
@given(
    tokens=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=50).map(tuple),
    payload=st.binary(max_size=300),
    note=st.binary(max_size=100),
)
def test_any_state_comes_back(
    tmp_path_factory: pytest.TempPathFactory, tokens: tuple[int, ...], payload: bytes, note: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / f"x{SUFFIX}"
    native = (ctypes.c_uint8 * len(payload)).from_buffer_copy(payload)
    for form in (payload, memoryview(payload), native):
        write_state(path, KEY, tokens, form, note)
        assert contents(read_state(path, KEY)) == (tokens, payload, note)


def test_only_its_owner_can_read_it_and_nothing_else_is_left(written: Path) -> None:
    assert written.stat().st_mode & 0o777 == 0o600
    assert list(written.parent.iterdir()) == [written]


def test_every_flipped_bit_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    for at in range(len(whole)):
        for bit in range(8):
            damaged = bytearray(whole)
            damaged[at] ^= 1 << bit
            written.write_bytes(damaged)
            assert refusal(written) in ("damaged", "foreign")
    written.write_bytes(whole)
    read_state(written, KEY)


def test_every_other_length_is_refused(written: Path) -> None:
    whole = written.read_bytes()
    for length in range(len(whole)):
        written.write_bytes(whole[:length])
        assert refusal(written) == "damaged"
    written.write_bytes(whole + b"\0")
    assert refusal(written) == "damaged"


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, model_sha256="cd" * 32),
        replace(KEY, steering="ef" * 32),
        replace(KEY, type_k="q8_0"),
        replace(KEY, type_v="q8_0"),
        replace(KEY, n_ctx=4096),
        replace(KEY, flash_attention=True),
        replace(KEY, gpu_layers=-1),
        replace(KEY, engine="llama.cpp 2"),
        replace(KEY, label="Pip"),
    ],
)
def test_a_state_of_another_is_refused(written: Path, other: StateKey) -> None:
    assert refusal(written, other) == "foreign"


def test_absurd_lengths_take_no_memory(written: Path) -> None:
    whole = written.read_bytes()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for at, width in ((12, 4), (16, 8), (24, 8)):  # tokens, note, payload
        damaged = bytearray(whole)
        damaged[at : at + width] = b"\xff" * width
        written.write_bytes(damaged)
        assert refusal(written) == "damaged"
    with written.open("r+b") as file:
        file.truncate(1 << 40)  # a hole: it takes no room on the disk
    assert refusal(written) == "damaged"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KB


def test_what_is_no_plain_file_is_refused(tmp_path: Path, written: Path) -> None:
    assert refusal(tmp_path / f"absent{SUFFIX}") == "absent"
    assert refusal(tmp_path / "absent" / f"folder{SUFFIX}") == "absent"
    assert refusal(tmp_path) == "unreadable"
    assert refusal(written / f"below-a-file{SUFFIX}") == "unreadable"
    os.mkfifo(tmp_path / f"pipe{SUFFIX}")
    assert refusal(tmp_path / f"pipe{SUFFIX}") == "unreadable"
    loop = tmp_path / f"loop{SUFFIX}"
    loop.symlink_to(loop)
    assert refusal(loop) == "unreadable"
    link = tmp_path / f"link{SUFFIX}"
    link.symlink_to(written)
    assert refusal(link) == "unreadable"


def test_a_file_without_permission_is_refused(written: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    written.chmod(0)
    assert refusal(written) == "unreadable"


def test_a_write_that_fails_leaves_the_old_state(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StateFileError, match="No space left") as caught:
        write_state(written, KEY, (9,), b"new")
    assert caught.value.reason == "no_space"
    assert list(written.parent.iterdir()) == [written]
    assert contents(read_state(written, KEY)) == (TOKENS, PAYLOAD, NOTE)


def test_a_full_disk_is_noticed_before_writing(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(written.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=1000))
    with pytest.raises(StateFileError, match="too little room") as caught:
        write_state(written, KEY, (9,), b"new")
    assert caught.value.reason == "no_space"


def test_a_folder_that_cannot_be_made_is_named(written: Path) -> None:
    with pytest.raises(StateFileError) as caught:
        write_state(written / f"x{SUFFIX}", KEY, (), b"")
    assert caught.value.reason == "unwritable"
    with pytest.raises(ValueError, match=SUFFIX):
        write_state(written.with_suffix(".txt"), KEY, (), b"")


WRITER = """
import sys
from pathlib import Path
from models.state_file import write_state
from tests.models.test_state_file import KEY
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    write_state(path, KEY, (number,) * 1000, bytes([number % 256]) * (8 << 20), str(number).encode())
"""


def test_a_killed_write_leaves_a_whole_state(tmp_path: Path) -> None:
    path = tmp_path / f"x{SUFFIX}"
    partial = path.with_name(path.name + ".partial")
    n_interrupted = 0
    for _ in range(6):
        with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], cwd=Path(__file__).parents[2]) as writer:
            until = time.monotonic() + DEADLINE_S
            while not (path.exists() and partial.exists() and partial.stat().st_size):
                assert time.monotonic() < until
                assert writer.poll() is None
            writer.send_signal(signal.SIGKILL)
        n_interrupted += partial.exists()
        state = read_state(path, KEY)
        number = int(state.note)
        assert state.tokens == (number,) * 1000
        assert hashlib.sha256(state.payload).digest() == hashlib.sha256(bytes([number % 256]) * (8 << 20)).digest()
    assert n_interrupted
    write_state(path, KEY, (1,), b"later")  # what was left behind is in nobody's way
    assert list(tmp_path.iterdir()) == [path]


def test_pruning_removes_leftovers_and_the_oldest(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}{SUFFIX}" for name in ("old", "middle", "new")]
    for age, path in enumerate(paths):
        write_state(path, KEY, (), bytes(1000))
        os.utime(path, ns=(age, age))
    leftover = tmp_path / f"gone{SUFFIX}.partial"
    leftover.write_bytes(bytes(9))
    other = tmp_path / "diary.txt"
    other.write_bytes(bytes(5000))
    size = paths[0].stat().st_size
    assert prune(tmp_path, 3 * size) == (leftover,)
    assert prune(tmp_path, 2 * size) == (paths[0],)
    assert prune(tmp_path, 2 * size - 1) == (paths[1],)
    assert prune(tmp_path, 0) == (paths[2],)
    assert list(tmp_path.iterdir()) == [other]
    assert prune(tmp_path / "absent", 0) == ()
