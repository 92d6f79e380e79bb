"""Who thinks: a server while it is there, else the model here, within the same turn, and never without saying so.

Sits where the local model would, behind the same seam. The local model's KV cache is kept at what was really said all
the while, so that it takes over with nothing to prefill but the newest words. A server that failed is asked again in
the background, after longer and longer pauses, at no person's cost. Requests to it are left to `models.remote`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Protocol, Self

from device.dialogue import Brain, ReplyEvent
from device.errors import SettingsError
from device.settings import ServerSettings
from models.errors import RemoteError
from models.messages import Finished, Piece, Prefilled, Prompt
from models.sampling import Sampling
from models.stops import ReplyLimits

if TYPE_CHECKING:
    from models.remote import RemoteSettings

log = logging.getLogger(__name__)

LONGEST_RETRY_S = 300.0
"""A server that is switched on is noticed within five minutes, and one that is gone for weeks costs twelve requests an
hour."""


SETTLING_WAITS_S = 0.5
"""For a server's first answer. One in the house lists its models within some milliseconds, one across an ocean within
this; one that is off says nothing for seconds, and nobody shall wait for that before the first word is said."""


class Server(Protocol):
    """What thinks elsewhere: `models.remote.RemoteEngine` here."""

    async def probe(self) -> object:
        """Ask whether it could answer, at little cost. Raises RemoteError if not."""
        ...

    def stream(self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits) -> AsyncGenerator[ReplyEvent, None]:
        """A reply. Raises RemoteError, within a time of its own, when none comes or it breaks off."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ThinkerChanged:
    """From now on replies come from here; `text` says so, and why, to a person."""

    thinker: Literal["server", "local"]
    text: str


class FallbackBrain:
    """A server and a local model as one brain. An async context manager: entering it begins to ask the server whether
    it is there, and what needs the answer waits for it."""

    def __init__(
        self,
        server: Server,
        local: Brain,
        *,
        retry_after_s: float,
        on_change: Callable[[ThinkerChanged], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`retry_after_s` is the first pause before the server is asked again. Each further failure doubles it; only a
        reply without one makes it short again, because a server that lists its models may still fail at replies.
        `on_change` is told of every change, once. `sleep` waits out the pauses, in seconds."""
        self._server = server
        self._local = local
        self._first_pause_s = retry_after_s
        self._pause_s = retry_after_s
        self._on_change = on_change
        self._sleep = sleep
        self._is_up = True
        self._asking: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._prepared_here: Prompt | None = None

    async def __aenter__(self) -> Self:
        # A machine that is off says nothing for seconds, in which the conversation so far can be brought back.
        self._asking = asyncio.create_task(self._ask(), name="server-probe")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asking, self._asking = self._asking, None
        await _ended(asking)  # first: it may have begun to watch
        watching, self._watching = self._watching, None
        await _ended(watching)

    async def prefill(self, prompt: Prompt) -> Prefilled | None:
        """Prepare a reply here if it will be given here; None if it will not: a server prefills when it is asked."""
        await self._asked()
        if self._is_up:
            return None
        self._prepared_here = prompt
        return await self._local.prefill(prompt)

    async def settle(self, prompt: Prompt) -> Prefilled | None:
        """Bring the conversation in the local KV cache up to date, whoever thinks."""
        settled = await self._local.settle(prompt)
        # In writing the event loop stands still between turns: a question on its way would run out of time there.
        await self._asked(SETTLING_WAITS_S)
        return settled

    async def stream(self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits) -> AsyncGenerator[ReplyEvent, None]:
        """The reply: the server's, or, if that fails before its first piece, the one from here. A reply of the server
        that breaks off later ends there, as "broken_off". What a grammar binds is given here: servers have other ways
        to write one. Read it under `contextlib.aclosing`.

        Raises what the local model raises.
        """
        await self._asked()
        if self._is_up and prompt is not self._prepared_here and sampling.grammar is None:
            begun = False
            try:
                async with aclosing(self._server.stream(prompt, sampling, limits)) as reply:
                    async for event in reply:
                        begun = begun or isinstance(event, Piece)
                        yield event
                return
            except RemoteError as error:
                self._lost(error)
            finally:
                if begun and self._is_up:  # also where the reader has heard enough
                    self._pause_s = self._first_pause_s
            if begun:
                yield Finished(reason="broken_off")
                return
        async with aclosing(self._local.stream(prompt, sampling, limits)) as reply:
            async for event in reply:
                yield event

    async def _ask(self) -> None:
        try:
            await self._server.probe()
        except RemoteError as error:
            self._lost(error)

    async def _asked(self, longest_s: float | None = None) -> None:
        """Wait until the server has answered for the first time, or failed to, which takes as long as its own limit for
        that. Whoever waits may be cancelled; the question goes on."""
        if self._asking is not None and not self._asking.done():
            await asyncio.wait((self._asking,), timeout=longest_s)

    def _lost(self, error: RemoteError) -> None:
        if not self._is_up:
            return  # a reply begun earlier failed for the same reason
        self._is_up = False
        self._on_change(ThinkerChanged(thinker="local", text=f"{error}. The model on this machine answers meanwhile."))
        self._watching = asyncio.create_task(self._until_back(), name="server-watch")

    async def _until_back(self) -> None:
        """Ask the server now and then until it answers."""
        while not self._is_up:
            pause_s, self._pause_s = self._pause_s, min(2 * self._pause_s, LONGEST_RETRY_S)
            await self._sleep(pause_s)
            try:
                await self._server.probe()
            except RemoteError as error:
                log.debug("still without the server: %s", error)
            else:
                self._is_up = True
                self._on_change(ThinkerChanged(thinker="server", text="The server is back and answers again."))


@asynccontextmanager
async def with_server(
    local: Brain, server: "RemoteSettings | None", on_notice: Callable[[str], None], *, retry_after_s: float
) -> AsyncIterator[Brain]:
    """The local model, and in front of it the server, if there is one (`chosen_server`). `on_notice` is told who thinks
    whenever that changes; `retry_after_s` is as in `FallbackBrain`. A server that is away is no error."""
    if server is None:
        yield local
        return
    from models.remote import RemoteEngine

    def tell(change: ThinkerChanged) -> None:
        on_notice(change.text)

    async with (
        RemoteEngine(server) as engine,
        FallbackBrain(engine, local, retry_after_s=retry_after_s, on_change=tell) as brain,
    ):
        yield brain


def chosen_server(settings: ServerSettings) -> "RemoteSettings | None":
    """The server of the settings; None if they name none. Raises SettingsError as `remote_settings` does."""
    return remote_settings(settings) if settings.url else None


async def server_found(settings: ServerSettings) -> str:
    """What answers at the address of the settings, for `familiar doctor`.

    Raises SettingsError as `remote_settings` does, RemoteError if it could not answer a turn.
    """
    from models.remote import RemoteEngine

    async with RemoteEngine(remote_settings(settings)) as server:
        models = await server.probe()
    kind = "a server with OpenAI's API" if models.dialect == "other" else models.dialect
    return f"{kind} at {server.url}, {settings.model or models.names[0]}: everything said goes there"


def remote_settings(settings: ServerSettings) -> "RemoteSettings":
    """The engine's part of the settings, with the key read from its file. Raises SettingsError if that, or the address,
    cannot be used."""
    from models.remote import RemoteSettings

    key = ""
    if settings.key_file is not None:
        try:
            key = settings.key_file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(f"server.key_file = {settings.key_file} cannot be read: {reason}") from None
        if not key:
            raise SettingsError(f"server.key_file = {settings.key_file} is empty; put the server's key into it")
    try:
        return RemoteSettings(
            url=settings.url,
            model=settings.model,
            key=key,
            first_token_timeout_s=settings.first_token_timeout_s,
            stall_timeout_s=settings.stall_timeout_s,
        )
    except RemoteError as error:
        raise SettingsError(f"[server]: {error}") from error


async def _ended(task: asyncio.Task[None] | None) -> None:
    """Cancel a task and wait for its end. Raises what it failed with."""
    if task is None:
        return
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.result()
