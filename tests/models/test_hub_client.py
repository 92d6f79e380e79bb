"""The hub's client, against the real huggingface_hub and a hub on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.catalog import CatalogEntry, HubSource, ModelFile
from models.errors import DownloadError
from tests.models.making_stores import (
    MODEL,
    REVISION,
    Hub,
    entry_of,
    everything_in,
    model_file,
    serving,
    sha256,
    store_of,
)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with serving() as served:
        monkeypatch.setenv("HF_ENDPOINT", served.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield served


VOICE = {"en/low/a.onnx": MODEL, "en/low/a.onnx.json": b"{}"}


def voice_entry() -> CatalogEntry:
    files = [model_file(path, content) for path, content in VOICE.items()]
    return entry_of(HubSource(repo="someone/voices", revision=REVISION), *files, kind="tts", name="a")


def test_a_voice_of_the_hub_is_fetched_checked_and_found(tmp_path: Path, hub: Hub) -> None:
    hub.files = dict(VOICE)
    entry = voice_entry()
    store = store_of(tmp_path / "models", entry)
    path = store.pull(entry)
    assert path == store.find("a") == tmp_path / "models" / "tts" / "a" / "a.onnx"
    assert path.read_bytes() == MODEL
    assert path.with_name("a.onnx.json").read_bytes() == b"{}"
    assert everything_in(store.root) == {"a.onnx", "a.onnx.sha256", "a.onnx.json", "a.onnx.json.sha256"}


def test_a_pull_from_the_hub_goes_on_where_it_broke_off(tmp_path: Path, hub: Hub) -> None:
    hub.files = {"en/low/a.onnx": MODEL}
    entry = voice_entry()
    store = store_of(tmp_path / "models", entry)
    with pytest.raises(DownloadError, match="cannot fetch a"):
        store.pull(entry)
    assert store.find("a") is None

    hub.files = dict(VOICE)
    store.pull(entry)
    assert hub.fetched == {"en/low/a.onnx": 1, "en/low/a.onnx.json": 1}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (MODEL[::-1], r"a\.onnx is not the file that the catalogue pins"),
        (MODEL + b"more", r"a\.onnx has 512004 bytes at the hub, 512000 in the catalogue"),
    ],
)
def test_a_hub_file_that_is_not_the_pinned_one_is_refused_before_a_byte_is_fetched(
    tmp_path: Path, hub: Hub, content: bytes, said: str
) -> None:
    hub.files = {**VOICE, "en/low/a.onnx": content}
    entry = voice_entry()
    store = store_of(tmp_path / "models", entry)
    with pytest.raises(DownloadError, match=said) as caught:
        store.pull(entry)
    assert "copy" not in str(caught.value), "copying the same file by hand would help nobody"
    assert not hub.fetched
    assert store.find("a") is None


def test_a_hub_that_does_not_send_what_it_states_is_refused(tmp_path: Path, hub: Hub) -> None:
    """Its ETag may be a git hash, which says nothing to us: then the file itself tells."""
    hub.files = dict(VOICE)
    files = [
        ModelFile(path="en/low/a.onnx", size_bytes=len(MODEL), sha256=sha256(MODEL)),
        ModelFile(path="en/low/a.onnx.json", size_bytes=2, sha256=sha256(b"[]")),
    ]
    entry = entry_of(HubSource(repo="someone/voices", revision=REVISION), *files, kind="tts", name="a")
    store = store_of(tmp_path / "models", entry)
    hub.etag_of = lambda _content: "0" * 40
    with pytest.raises(DownloadError, match=r"a\.onnx\.json is not the file"):
        store.pull(entry)
    assert store.find("a") is None
    assert not (store.root / ".incoming" / "a").exists(), "or the next pull would go on with it"


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", r"accept them at https://huggingface\.co/someone/voices and `hf auth login`"),
        (401, "RepoNotFound", r"no repository someone/voices, or shows it to its own accounts only"),
    ],
)
def test_a_repository_for_certain_accounts_says_what_to_do(
    tmp_path: Path, hub: Hub, status: int, code: str, said: str
) -> None:
    hub.refusal = (status, code)
    entry = voice_entry()
    with pytest.raises(DownloadError, match=said) as caught:
        store_of(tmp_path / "models", entry).pull(entry)
    assert "\n" not in str(caught.value)


def test_offline_the_error_says_what_to_copy_where(tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    entry = voice_entry()
    store = store_of(tmp_path / "models", entry)
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE") as caught:
        store.pull(entry)
    assert f"copy a.onnx, a.onnx.json into {store.folder(entry)}" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not hub.fetched


def test_a_download_stopped_in_the_middle_of_a_file_goes_on_there(tmp_path: Path, hub: Hub) -> None:
    content = MODEL * 48  # 25 MB: the hub's client writes 10 MB at once
    hub.files = {"big.gguf": content}
    entry = entry_of(HubSource(repo="someone/big", revision=REVISION), model_file("big.gguf", content))
    store = store_of(tmp_path / "models", entry)
    hub.stall_after = len(content) // 2

    def stop_halfway(done: int, total: int) -> None:
        if done > total // 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.pull(entry, stop_halfway)
    assert store.find("tiny") is None

    hub.stall_after = None
    hub.released.set()
    assert store.pull(entry).read_bytes() == content
    first, second = hub.starts
    assert first == 0
    assert second > len(content) // 3
    assert everything_in(store.root) == {"big.gguf", "big.gguf.sha256"}


def test_a_disk_that_fills_up_under_the_hubs_client_is_one_sentence(tmp_path: Path, hub: Hub) -> None:
    hub.files = dict(VOICE)
    entry = voice_entry()
    store = store_of(tmp_path / "models", entry)
    partial = store.root / ".incoming" / "a" / "en" / "low" / f"a.onnx.{sha256(MODEL)[:12]}.partial"
    partial.parent.mkdir(parents=True)
    partial.symlink_to("/dev/full")
    with pytest.raises(DownloadError, match="the disk is full"):
        store.pull(entry)
    assert store.find("a") is None


ENCODER = {"onnx/model.onnx": MODEL, "tokenizer.json": b"{}"}


def test_an_encoder_is_found_by_its_weights_with_the_tokenizer_beside_them(tmp_path: Path, hub: Hub) -> None:
    hub.files = dict(ENCODER)
    files = [model_file(path, content) for path, content in ENCODER.items()]
    entry = entry_of(HubSource(repo="someone/encoder", revision=REVISION), *files, kind="encoder", name="e")
    store = store_of(tmp_path / "models", entry, hub_cache=tmp_path / "hub")
    snapshot = tmp_path / "hub" / "models--someone--encoder" / "snapshots" / REVISION
    for path, content in ENCODER.items():
        (snapshot / path).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / path).write_bytes(content)
    assert store.find("e") is None, "in the hub's cache they do not stand side by side"

    assert store.pull(entry) == store.find("e") == tmp_path / "models" / "encoder" / "e" / "model.onnx"
    assert (store.folder(entry) / "tokenizer.json").read_bytes() == b"{}"
