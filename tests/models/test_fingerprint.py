"""The hash of a file is remembered for as long as nothing about the file has changed."""

import hashlib
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from models import fingerprint
from models.errors import ModelFileError
from models.fingerprint import LoadedHashes, engine_fingerprint, file_sha256, stamped
from models.native import llama_cpp

DEADLINE_S = 10.0
FALSE = "0" * 64
"""Written into the memo, to see whether it is believed."""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"weights")
    return path


@pytest.fixture
def memo(tmp_path: Path) -> Path:
    return tmp_path / "state" / "hashes.json"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def remember(model: Path, memo: Path) -> dict[str, dict[str, object]]:
    """Hash until the memo holds the file, which must have been left alone for a moment."""
    until = time.monotonic() + DEADLINE_S
    while not (memo.is_file() and str(model.resolve()) in json.loads(memo.read_text())["files"]):
        assert time.monotonic() < until
        assert file_sha256(model, memo) == sha256(model.read_bytes())
    files: dict[str, dict[str, object]] = json.loads(memo.read_text())["files"]
    return files


def falsify(model: Path, memo: Path) -> None:
    files = remember(model, memo)
    files[str(model.resolve())]["sha256"] = FALSE
    memo.write_text(json.dumps({"files": files}))


def test_the_hash_is_that_of_the_contents(model: Path) -> None:
    assert file_sha256(model) == sha256(b"weights")


def test_a_file_left_alone_is_hashed_once(model: Path, memo: Path) -> None:
    falsify(model, memo)
    assert file_sha256(model, memo) == FALSE
    link = model.with_name("link.gguf")
    link.symlink_to(model)
    assert file_sha256(link, memo) == FALSE
    assert memo.stat().st_mode & 0o777 == 0o600


def test_a_file_that_changed_is_hashed_anew(model: Path, memo: Path) -> None:
    falsify(model, memo)
    before = model.stat()
    model.write_bytes(b"WEIGHTS")  # as long, and as old
    os.utime(model, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file_sha256(model, memo) == sha256(b"WEIGHTS")


def replace(model: Path) -> None:
    """Put a file as long in its place."""
    other = model.with_name("other")
    other.write_bytes(b"WEIGHTS")
    other.replace(model)


def test_another_file_under_the_same_name_is_hashed_anew(model: Path, memo: Path) -> None:
    falsify(model, memo)
    replace(model)
    assert file_sha256(model, memo) == sha256(b"WEIGHTS")


def hash_just_written(write: Callable[[], object], model: Path, memo: Path) -> None:
    """On a machine that stalls between writing and hashing, try again."""
    until = time.monotonic() + DEADLINE_S
    while True:
        started_ns = time.time_ns()
        write()
        file_sha256(model, memo)
        if time.time_ns() - started_ns < 50_000_000:
            return
        memo.unlink(missing_ok=True)
        assert time.monotonic() < until


def test_a_file_changed_just_now_is_not_remembered(model: Path, memo: Path) -> None:
    hash_just_written(lambda: model.write_bytes(b"weights"), model, memo)
    assert not memo.exists()


def test_a_file_of_a_time_to_come_is_remembered(model: Path, memo: Path) -> None:
    """A board without a battery starts in the past; every file is younger than its clock then."""
    an_hour_ahead_ns = time.time_ns() + 3_600_000_000_000
    os.utime(model, ns=(an_hour_ahead_ns, an_hour_ahead_ns))
    falsify(model, memo)
    assert file_sha256(model, memo) == FALSE


def test_a_file_of_a_time_to_come_that_changed_just_now_is_not_remembered(model: Path, memo: Path) -> None:
    def write() -> None:
        model.write_bytes(b"weights")
        os.utime(model, ns=(time.time_ns() + 3_600_000_000_000,) * 2)

    hash_just_written(write, model, memo)
    assert not memo.exists()


@pytest.mark.parametrize(
    "content", [b"", b"[]", b'{"files": 3}', b"\xff\xfe", b'{"files": {', b"[" * 100_000, b" " * 300_000]
)
def test_a_damaged_memo_costs_hashing_only(model: Path, memo: Path, content: bytes) -> None:
    memo.parent.mkdir()
    memo.write_bytes(content)
    assert file_sha256(model, memo) == sha256(b"weights")


@pytest.mark.parametrize("entry", [3, {}, {"stamps": {}}, {"stamps": None, "sha256": FALSE}])
def test_an_entry_that_makes_no_sense_is_not_believed(model: Path, memo: Path, entry: object) -> None:
    memo.parent.mkdir()
    memo.write_text(json.dumps({"files": {str(model.resolve()): entry}}))
    assert file_sha256(model, memo) == sha256(b"weights")


def test_a_hash_that_is_none_is_not_believed(model: Path, memo: Path) -> None:
    files = remember(model, memo)
    for value in ("", "x" * 64, 7, "../" * 8):
        files[str(model.resolve())]["sha256"] = value
        memo.write_text(json.dumps({"files": files}))
        assert file_sha256(model, memo) == sha256(b"weights")


def test_a_memo_that_cannot_be_written_costs_hashing_only(model: Path) -> None:
    assert file_sha256(model, model / "below" / "a-file.json") == sha256(b"weights")
    folder = model.with_name("folder")
    folder.mkdir()
    assert file_sha256(model, folder) == sha256(b"weights")
    assert sorted(path.name for path in model.parent.iterdir()) == ["folder", "model.gguf"]


def test_the_memo_stays_small(model: Path, memo: Path) -> None:
    old = {f"/models/{n}.gguf": {"stamps": {}, "sha256": FALSE} for n in range(200)}
    memo.parent.mkdir()
    memo.write_text(json.dumps({"files": old}))
    files = remember(model, memo)
    assert len(files) == 64
    assert list(files)[-2:] == ["/models/199.gguf", str(model.resolve())]


def test_what_cannot_be_hashed_is_named(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "absent.gguf", tmp_path, loop, tmp_path / "pipe", tmp_path / "a\0b"):
        with pytest.raises(ModelFileError) as caught:
            file_sha256(path)
        assert str(path) in str(caught.value)


def test_a_file_that_was_loaded_is_hashed_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, file = LoadedHashes(), stamped(model)
    assert hashes.sha256(file) == sha256(b"weights")
    monkeypatch.setattr(fingerprint, "file_sha256", lambda *_: pytest.fail("hashed again"))
    assert hashes.sha256(file) == sha256(b"weights")


@pytest.mark.parametrize("hashed_before", [False, True])
def test_what_replaced_a_loaded_file_does_not_pass_for_it(model: Path, hashed_before: bool) -> None:
    hashes, file = LoadedHashes(), stamped(model)
    if hashed_before:
        hashes.sha256(file)
    replace(model)
    with pytest.raises(ModelFileError, match="not what was loaded"):
        hashes.sha256(file)


def test_what_replaces_a_loaded_file_while_it_is_hashed_does_not_pass_for_it(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def replaced_first(path: Path, memo: Path | None = None) -> str:
        replace(path)
        return file_sha256(path, memo)

    hashes, file = LoadedHashes(), stamped(model)
    monkeypatch.setattr(fingerprint, "file_sha256", replaced_first)
    with pytest.raises(ModelFileError, match="not what was loaded"):
        hashes.sha256(file)


def test_a_loaded_file_that_is_gone_is_named(model: Path) -> None:
    file = stamped(model)
    model.unlink()
    with pytest.raises(ModelFileError, match="cannot be read"):
        LoadedHashes().sha256(file)


def test_the_engine_is_told_by_versions_and_features() -> None:
    told = engine_fingerprint(llama_cpp())
    assert told == engine_fingerprint(llama_cpp())
    assert told.startswith("llama-cpp-python 0.3.")
    assert "CPU" in told
