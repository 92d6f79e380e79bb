"""A server with OpenAI's chat API on the loopback interface, which answers as a test scripts it, well or badly."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

DONE = b"data: [DONE]\n\n"


class Cut:
    """In a script: the connection breaks here."""


Step = bytes | asyncio.Event | Cut
"""What a scripted answer does next: send bytes, wait for the test, or break off."""


class FakeServer:
    """Answers each request for a reply with the next of its scripts, the last one again and again.

    A script is the steps of an event stream, or a whole answer.
    """

    def __init__(
        self,
        *scripts: Sequence[Step] | web.Response,
        owned_by: str = "llamacpp",
        models: Sequence[str] = ("tiny",),
    ) -> None:
        self.scripts = list(scripts)
        self.owned_by = owned_by
        self.models = list(models)
        self.models_answer: web.Response | None = None
        """In place of the list of models."""
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.n_listed = 0
        self.n_running = 0
        """Replies under way."""
        self.n_dropped = 0
        """Replies under way of which the client closed the connection."""
        self.url = ""

    async def list_models(self, _request: web.Request) -> web.Response:
        self.n_listed += 1
        if self.models_answer is not None:
            return _again(self.models_answer)
        data = [{"id": name, "object": "model", "owned_by": self.owned_by} for name in self.models]
        return web.json_response({"object": "list", "data": data})

    async def reply(self, request: web.Request) -> web.StreamResponse:
        self.bodies.append(await request.json())
        self.headers.append(dict(request.headers))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if isinstance(script, web.Response):
            return _again(script)
        self.n_running += 1
        try:
            return await self._stream(request, script)
        except (asyncio.CancelledError, ConnectionResetError):
            self.n_dropped += 1
            raise
        finally:
            self.n_running -= 1

    async def _stream(self, request: web.Request, script: Sequence[Step]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        for step in script:
            match step:
                case bytes():
                    await response.write(step)
                case asyncio.Event():
                    await step.wait()
                case Cut():
                    assert request.transport is not None
                    request.transport.abort()
                    return response
        await response.write_eof()
        return response


@asynccontextmanager
async def serving(server: FakeServer, *, port: int = 0, tls: ssl.SSLContext | None = None) -> AsyncIterator[FakeServer]:
    """Run the server; its address is `url`."""
    app = web.Application()
    app.router.add_get("/v1/models", server.list_models)
    app.router.add_post("/v1/chat/completions", server.reply)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls, reuse_address=True).start()
        server.url = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}/v1"
        yield server
    finally:
        await runner.cleanup()


def event(record: object) -> bytes:
    """One event of a stream, with a JSON object as its data."""
    return f"data: {json.dumps(record, ensure_ascii=False)}\n\n".encode()


def delta(text: str, **more: object) -> bytes:
    """A chunk with some words of the reply. `more` goes into the chunk."""
    return event({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}], **more})


def thought(text: str) -> bytes:
    """A chunk with some of what the model thinks."""
    return event({"choices": [{"index": 0, "delta": {"reasoning_content": text}, "finish_reason": None}]})


def finish(reason: str = "stop") -> bytes:
    """The chunk that ends a reply."""
    return event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})


def whole(*words: str) -> list[Step]:
    """The script of a whole reply."""
    return [*(delta(word) for word in words), finish(), DONE]


def _again(answer: web.Response) -> web.Response:
    """The same answer, which aiohttp sends only once."""
    return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
