"""The engine elsewhere: replies from any server with OpenAI's chat API (llama-server, vLLM), streamed.

A prompt goes out as text, the reply comes back in pieces without tokens. Whoever stops reading closes the connection,
and with it ends the server's work. Every wait has an end, nothing goes anywhere but to the address given, and no error
or log holds a word of what was said. What the bytes mean is left to `models.sse` and `models.chat_api`; who answers
when the server does not, to `device.fallback`. Imported only where an address is set: aiohttp takes 0.2 s to load.
"""

import asyncio
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import aiohttp

from models.chat_api import (
    RemoteReply,
    ReplyEvent,
    ServerModels,
    least_body,
    read_chunk,
    read_models,
    refusal,
    request_body,
)
from models.errors import RemoteError
from models.messages import Prompt
from models.sampling import Sampling
from models.sse import SseParser
from models.stops import ReplyLimits

CONNECT_TIMEOUT_S = 2.0
"""In a house a connection takes some milliseconds; its first packet, if lost on the air, is sent anew after 1 s."""

PROBE_TIMEOUT_S = 3.0
"""For the list of models, connection included. Servers answer it out of their memory, even while they compute."""

_MODELS_BYTES = 4 << 20
"""The most of a list of models that is read; those of services with hundreds of models stay below one megabyte."""

_ERROR_BYTES = 16 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """`url` is where the API begins, mostly ending in /v1; `model` a name that the server knows, empty for the first of
    its list; `key` is sent as bearer token, unless it is empty."""

    url: str
    model: str = ""
    key: str = field(default="", repr=False)
    first_token_timeout_s: float = 3.0
    stall_timeout_s: float = 3.0

    def __post_init__(self) -> None:
        """Raises RemoteError for an address or a key that cannot be one."""
        try:
            parts = urlsplit(self.url)
            # Encoded as it will be when the name is looked up: that refuses empty labels and those above 63 letters.
            named = bool((parts.hostname or "").encode("idna"))
            usable = parts.scheme in ("http", "https") and named and parts.port != 0
        except ValueError:  # a UnicodeError is one
            usable = False
        if not usable or not self.url.isprintable() or " " in self.url:
            raise RemoteError("the server's address is none; one looks like http://192.168.1.5:8080/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise RemoteError(
                "the server's address must not hold a user, a password, '?' or '#'; a key has its own file"
            )
        if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
            raise RemoteError("the server's key must be one line of ASCII letters, without spaces")


class RemoteEngine:
    """One server. An async context manager, used from one event loop; replies may be read side by side."""

    def __init__(self, settings: RemoteSettings) -> None:
        self._settings = settings
        self._url = settings.url.rstrip("/")
        self._session: aiohttp.ClientSession | None = None
        self._models: ServerModels | None = None
        self._refuses_more = False
        """Whether the server takes nothing but the least of a request."""

    @property
    def url(self) -> str:
        """The server's address, without a key or anything else that is secret."""
        return self._url

    async def __aenter__(self) -> Self:
        key = self._settings.key
        self._session = aiohttp.ClientSession(
            # A connection that idled from turn to turn may be closed by the other end just when it is used again.
            connector=aiohttp.TCPConnector(force_close=True),
            headers={"Accept-Encoding": "identity", **({"Authorization": f"Bearer {key}"} if key else {})},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,  # no proxy of the environment gets to read along
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def probe(self) -> ServerModels:
        """Ask what the server has, within PROBE_TIMEOUT_S. It computes nothing for that.

        Raises RemoteError if it cannot be reached, refuses, or lacks the model of the settings.
        """
        with self._explained(f"did not list its models within {PROBE_TIMEOUT_S:g} s"):
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                self._models = await self._list_models()
        return self._models

    async def stream(self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits) -> AsyncGenerator[ReplyEvent, None]:
        """The reply to a prompt: pieces without tokens, then Finished. Right before the first piece comes Prefilled if
        the server has told what it prefilled (llama-server does); else nothing is known of it, and none comes.

        Read it under `contextlib.aclosing`, so that breaking off closes the connection at once. Raises RemoteError if
        the server cannot be reached, refuses, falls silent, breaks off, or says nothing: before the first piece within
        `first_token_timeout_s` in all, after it within `stall_timeout_s` of the last one.
        """
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._settings.first_token_timeout_s
        response = await self._ask(prompt, sampling, limits, deadline_s)
        try:
            reply, parser = RemoteReply(limits), SseParser()
            while not reply.over:
                data = await self._receive(response, deadline_s, begun=reply.begun)
                spoke = False
                for event in self._events(reply, parser, data):
                    yield event
                    spoke = True
                if spoke:  # from here, because the reader's own time does not count
                    deadline_s = loop.time() + self._settings.stall_timeout_s
        finally:
            response.close()

    async def _ask(
        self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits, deadline_s: float
    ) -> aiohttp.ClientResponse:
        """Send the request; return the answer, open, its status and type checked."""
        with self._explained(self._too_late(begun=False)):
            async with asyncio.timeout_at(deadline_s):
                models = self._models or await self._list_models()
                model = self._settings.model or models.names[0]
                least = least_body(prompt, model=model)
                more = request_body(prompt, sampling, limits, model=model, dialect=models.dialect)
                response = await self._post(least if self._refuses_more else more)
                if response.status in (400, 422) and not self._refuses_more:
                    # Perhaps only for a field that it does not know: servers tell so, each in other words.
                    response.close()
                    response = await self._post(least)
                    self._refuses_more = response.status == 200
                with ExitStack() as undo:
                    undo.callback(response.close)
                    await self._check(response, "text/event-stream")
                    undo.pop_all()
        return response

    async def _post(self, body: dict[str, object]) -> aiohttp.ClientResponse:
        return await self._opened.post(f"{self._url}/chat/completions", json=body, allow_redirects=False)

    async def _list_models(self) -> ServerModels:
        async with self._opened.get(f"{self._url}/models", allow_redirects=False) as response:
            await self._check(response, "application/json")
            models = read_models(await _beginning(response, _MODELS_BYTES))
        wanted = self._settings.model
        if wanted and wanted not in models.names:
            raise RemoteError(f"has no model {wanted!r}; {_listed(models.names)}")
        if not models.names:
            raise RemoteError("has no model; load one there")
        return models

    async def _check(self, response: aiohttp.ClientResponse, content_type: str) -> None:
        if response.status != 200:
            raise RemoteError(refusal(response.status, await _beginning(response, _ERROR_BYTES)))
        if response.content_type != content_type:
            raise RemoteError(
                f"answers with {response.content_type} in place of {content_type}; most addresses end in /v1"
            )

    async def _receive(self, response: aiohttp.ClientResponse, deadline_s: float, *, begun: bool) -> bytes:
        """What has arrived; nothing at the end of the answer."""
        with self._explained(self._too_late(begun=begun)):
            async with asyncio.timeout_at(deadline_s):
                return await response.content.readany()

    def _events(self, reply: RemoteReply, parser: SseParser, data: bytes) -> Iterator[ReplyEvent]:
        """What `data` adds to the reply; none at all is the end of the answer."""
        with self._explained():
            for event in parser.feed(data):
                yield from reply.take(read_chunk(event))
            if not data:
                reply.cut_off()

    def _too_late(self, *, begun: bool) -> str:
        if begun:
            return f"fell silent within a reply for {self._settings.stall_timeout_s:g} s"
        return f"did not begin a reply within {self._settings.first_token_timeout_s:g} s"

    @contextmanager
    def _explained(self, too_late: str = "") -> Iterator[None]:
        """Whatever goes wrong inside becomes a RemoteError that begins with the address. `too_late` is what to say when
        a time limit has passed."""
        try:
            yield
        except (RemoteError, aiohttp.ClientError, OSError, UnicodeError) as error:  # a TimeoutError is an OSError
            raise RemoteError(f"{self._url} {_reason(error, too_late)}") from error

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the engine is used outside of its `async with`")
        return self._session


def _reason(error: Exception, too_late: str) -> str:
    match error:
        case RemoteError():
            return str(error)
        case aiohttp.ConnectionTimeoutError():
            return f"cannot be reached within {CONNECT_TIMEOUT_S:g} s; is it on, and in this network?"
        case TimeoutError():
            return too_late
        case aiohttp.ClientConnectorCertificateError():
            return "has a certificate that this machine does not trust; $SSL_CERT_FILE may name one that it shall trust"
        case aiohttp.ClientSSLError():
            return "speaks no TLS that this machine understands; perhaps it wants http in place of https"
        case aiohttp.ClientConnectorDNSError():
            return "has a name that this network does not know"
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno
            return f"cannot be reached: {os.strerror(number) if number else 'no connection'}"
        case UnicodeError():
            return "has a name that no machine can have"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError() | OSError():
            return "broke the connection off"
        case _:
            return "does not speak HTTP as it should"


async def _beginning(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The first `limit` bytes of an answer, or all of it."""
    data = bytearray()
    async for part in response.content.iter_any():
        data += part
        if len(data) >= limit:
            break
    return bytes(data[:limit])


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:5])
    return f"it has {shown}{', ...' if len(names) > 5 else ''}" if names else "it has none"
