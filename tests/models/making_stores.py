"""Small models, stores of them, and a Hugging Face Hub on loopback, for the tests of the store and its client."""

import contextlib
import hashlib
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from models.catalog import Catalog, CatalogEntry, HubSource, Kind, ModelFile, PypiSource
from models.store import ModelStore

LIMIT_S = 60.0
"""Far more than anything here takes."""

MODEL = bytes(range(256)) * 2000
REVISION = "0123456789abcdef0123456789abcdef01234567"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def model_file(path: str, content: bytes) -> ModelFile:
    return ModelFile(path=path, size_bytes=len(content), sha256=sha256(content))


def entry_of(source: PypiSource | HubSource, *files: ModelFile, kind: Kind = "llm", name: str = "tiny") -> CatalogEntry:
    return CatalogEntry(name=name, kind=kind, language="en", licence="none", note="a test", source=source, files=files)


def store_of(root: Path, *entries: CatalogEntry, hub_cache: Path | None = None) -> ModelStore:
    return ModelStore(root, catalog=Catalog(entries=entries, starter=entries[0].name), hub_cache=hub_cache)


def everything_in(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()} - {".lock"}


class Hub:
    """Serves files as the Hugging Face Hub does; counts what is fetched, and from which byte on."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.fetched: Counter[str] = Counter()
        self.starts: list[int] = []
        self.refusal: tuple[int, str] | None = None
        """Status and error code for every request."""
        self.stall_after: int | None = None
        """Send so many bytes of a file and then nothing, until `released`."""
        self.etag_of: Callable[[bytes], str] = sha256
        self.released = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def _answer(self, *, body: bool) -> None:
                path = self.path.partition(f"/resolve/{REVISION}/")[2]
                content = hub.files.get(path)
                if hub.refusal or content is None:
                    self._refuse(*(hub.refusal or (404, "EntryNotFound")))
                    return
                start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("X-Repo-Commit", REVISION)
                self.send_header("ETag", f'"{hub.etag_of(content)}"')
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                if body:
                    hub.fetched[path] += 1
                    hub.starts.append(start)
                    self._send(content[start:])

            def _refuse(self, status: int, code: str) -> None:
                self.send_response(status)
                self.send_header("X-Error-Code", code)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def _send(self, content: bytes) -> None:
                if hub.stall_after is not None:
                    self.wfile.write(content[: hub.stall_after])
                    hub.released.wait(LIMIT_S)
                    self.close_connection = True
                else:
                    self.wfile.write(content)

            def log_request(self, code: object = "-", size: object = "-") -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextlib.contextmanager
def serving() -> Iterator[Hub]:
    """A hub that answers for as long as it is used."""
    hub = Hub()
    thread = threading.Thread(target=hub.server.serve_forever, name="hub")
    thread.start()
    with contextlib.closing(hub.server.socket):
        yield hub
        hub.released.set()
        hub.server.shutdown()
        thread.join()
