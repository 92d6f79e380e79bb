"""The store for an event loop: one `MemoryStore` on a thread of its own, its calls as coroutines in the order made.

A commit that was asked for is carried out even when the task that asked is cancelled (the turn was said, whoever still
waits for it), and leaving waits for all of them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

from memory.cipher import Key
from memory.errors import MemoryStoreError
from memory.messages import Query, Recalled, Turn
from memory.store import MemoryStore

_LOG = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 10.0
"""How long leaving waits for commits under way: twice the busy timeout of one. A commit takes some ms even on SD cards,
whose worst stalls are a few seconds."""

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")


class AsyncMemory:
    """A MemoryStore whose methods are coroutines, with the contracts written there. `AsyncMemory.open` makes one."""

    def __init__(self, store: MemoryStore, executor: ThreadPoolExecutor) -> None:
        """Take over a store that was opened on the executor's only thread."""
        self._store = store
        self._executor = executor

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, key: Key | None = None) -> AsyncIterator[Self]:
        """Open the memory at `path`, close it when left. Raises what `MemoryStore` raises."""
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="memory")
        loop = asyncio.get_running_loop()
        opened = ExitStack()
        try:
            store = await loop.run_in_executor(executor, lambda: opened.enter_context(MemoryStore(path, key)))
            yield cls(store, executor)
        finally:
            # One thread, first come first served: when this has run, every commit before it has.
            closing = loop.run_in_executor(executor, opened.close)
            executor.shutdown(wait=False)
            await _in_time(closing, path)

    @property
    def notice(self) -> str | None:
        """What `MemoryStore.notice` says by now."""
        return self._store.notice

    async def open_conversation(self, person: str, character: str) -> int:
        """See `MemoryStore.open_conversation`."""
        return await self._call(lambda store: store.open_conversation(person, character))

    async def commit_turn(self, turn: Turn) -> Turn:
        """See `MemoryStore.commit_turn`. Cancelling the caller does not cancel the commit."""
        commit = self._call(lambda store: store.commit_turn(turn))
        try:
            return await asyncio.shield(commit)
        except asyncio.CancelledError:
            commit.add_done_callback(_log_failure)
            raise

    async def last_turns(self, person: str, character: str, limit: int) -> tuple[Turn, ...]:
        """See `MemoryStore.last_turns`."""
        return await self._call(lambda store: store.last_turns(person, character, limit))

    async def recall(self, person: str, character: str, query: Query) -> tuple[Recalled, ...]:
        """See `MemoryStore.recall`. A recall whose caller is cancelled before it began is dropped."""
        return await self._call(lambda store: store.recall(person, character, query))

    async def ask(
        self,
        function: Callable[Concatenate[MemoryStore, _Arguments], _Result],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        """Run one of this package's functions over an open store, such as `memory.facts.current`, on its thread.

        Cancelling the caller does not cancel what has begun.
        """
        return await self._call(lambda store: function(store, *args, **kwargs))

    def _call(self, work: Callable[[MemoryStore], _Result]) -> asyncio.Future[_Result]:
        return asyncio.get_running_loop().run_in_executor(self._executor, work, self._store)


async def _in_time(closing: asyncio.Future[None], path: Path) -> None:
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await asyncio.shield(closing)
    except TimeoutError:
        _LOG.error(
            "%s was not closed within %g s; what was said last may be lost: look at the disk", path, CLOSE_TIMEOUT_S
        )


def _log_failure(commit: asyncio.Future[Turn]) -> None:
    """Nobody waits for this commit any more: if it failed, this is the only place that can say so."""
    if isinstance(error := commit.exception(), MemoryStoreError):
        _LOG.error("a turn was not stored: %s", error)
