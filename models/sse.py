"""Server-sent events: bytes as a network cuts them -> whole events. Pure: no network, no clock.

The event stream format of the HTML standard (html.spec.whatwg.org, "Interpreting an event stream"), as the streaming
APIs of llama-server, vLLM and OpenAI use it. `id` and `retry` mean nothing there and are skipped, and so are comments,
which servers send to keep a connection alive. What an event says is left to `models.chat_api`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from models.errors import RemoteError

MAX_EVENT_BYTES = 1 << 20
"""The longest line, and the most data of one event. A chunk of a reply has about 300 bytes; llama-server's last one
repeats the whole request when it was started with `--verbose`: a few bytes for each character of the prompt."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSentEvent:
    """One event: its type and its `data` lines, joined by line feeds."""

    event: str
    data: str


class SseParser:
    """Reads one stream. However it is cut into chunks, the events are the same."""

    def __init__(self, *, max_bytes: int = MAX_EVENT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._line = bytearray()  # bounded by max_bytes
        self._data: list[str] = []  # lines of the event so far, of _n_data bytes in all
        self._n_data = 0
        self._event = ""
        self._first_line = True
        self._after_cr = False

    def feed(self, chunk: bytes) -> Iterator[ServerSentEvent]:
        """The events that are complete with this chunk. To be read to the end before the next one is fed.

        What follows the last empty line of a stream is no event: it was cut off.
        Raises RemoteError for a line or an event that is too long to be one.
        """
        if not chunk:
            return
        if self._after_cr:
            chunk = chunk.removeprefix(b"\n")  # the second half of a line end that was cut in two
        self._after_cr = chunk.endswith(b"\r")
        # A line ends with LF, CR LF or CR; no byte of a longer UTF-8 sequence equals either.
        *ended, rest = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        for end_of_line in ended:
            self._extend(end_of_line)
            line = bytes(self._line)
            self._line.clear()
            event = self._take(line)
            if event is not None:
                yield event
        self._extend(rest)

    def _extend(self, part: bytes) -> None:
        if len(self._line) + len(part) > self._max_bytes:
            raise self._too_long("a line")
        self._line += part

    def _take(self, line: bytes) -> ServerSentEvent | None:
        """Take in a whole line; an empty one ends the event, which is returned unless it has no data."""
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._dispatch()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"error":
            # llama-server until September 2025 told of errors in a field of its own (llama.cpp, pull request 16109).
            name, self._event = b"data", "error"
        if name == b"data":
            self._n_data += len(value) + 1
            if self._n_data > self._max_bytes:
                raise self._too_long("an event")
            self._data.append(value.decode("utf-8", "replace"))
        elif name == b"event":
            self._event = value.decode("utf-8", "replace")
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        event, data = self._event or "message", self._data
        self._event, self._data, self._n_data = "", [], 0
        return ServerSentEvent(event=event, data="\n".join(data)) if data else None

    def _too_long(self, what: str) -> RemoteError:
        return RemoteError(f"sent {what} of more than {self._max_bytes} bytes, which no reply of a model has")
