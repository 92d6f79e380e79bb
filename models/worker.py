"""The engine for asyncio: one thread owns the model, tasks ask it for prompts and replies.

Requests come as prompts (`models.prompt`); pieces of the reply enter the event loop by `call_soon_threadsafe`. Newer
words matter more than older ones: a new request stops the one before it. Cancelling the task that reads a reply stops
the model within a token. What is said with the pieces is left to `device`.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

from models.engine import EngineSettings, LlamaEngine, Snapshot
from models.gguf import GgufHeader
from models.interrupt import StopSignal
from models.messages import Finished, Piece, Prefilled, Prompt
from models.origin import Origin
from models.sampling import Sampling
from models.state_file import SavedState
from models.steering import Steering
from models.stops import ReplyLimits
from models.template import ChatTemplate
from models.vocabulary import Vocabulary

logger = logging.getLogger(__name__)

_STOP_WAIT_S = 5.0
"""How long a stopped request may go on. On a CPU it ends within one node of the compute graph (measured: 2 ms for
SmolLM2-135M), on a GPU within one batch; more than this means the machine swaps or the driver hangs."""

ReplyEvent = Prefilled | Piece | Finished

T = TypeVar("T")

_Step = Callable[[Sequence[int], StopSignal], Prefilled | None]


class LlamaWorker:
    """A loaded model, used from one event loop. Made by `open`; all methods belong to that loop."""

    def __init__(self, engine: LlamaEngine, executor: ThreadPoolExecutor) -> None:
        self._engine = engine
        self._executor = executor
        self._newest = StopSignal()

    @classmethod
    @asynccontextmanager
    async def open(cls, path: Path, settings: EngineSettings | None = None) -> AsyncIterator[Self]:
        """Load the model on a thread of its own; on leaving, stop it and free the memory.

        Raises ModelFileError or ModelError as LlamaEngine does.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="llama")
        try:
            loading = executor.submit(LlamaEngine, path, settings)
            try:
                engine = await asyncio.wrap_future(loading)
            except asyncio.CancelledError:
                executor.submit(_close_if_loaded, loading)  # loading itself cannot be stopped
                raise
            worker = cls(engine, executor)
            try:
                yield worker
            finally:
                worker._newest.set()
                closing = executor.submit(engine.close)
                await worker._until_done(closing)
        finally:
            executor.shutdown(wait=False)

    @property
    def header(self) -> GgufHeader:
        """What the model file says of itself."""
        return self._engine.header

    @property
    def vocabulary(self) -> Vocabulary:
        """For `PromptBuilder`; may be used from any thread until the worker is left."""
        return self._engine.vocabulary

    @property
    def n_ctx(self) -> int:
        """Tokens that fit: prompt and reply together."""
        return self._engine.n_ctx

    @property
    def can_shift(self) -> bool:
        """Whether what follows a removed part of the conversation is moved; else it is computed anew."""
        return self._engine.can_shift

    def chat_template(self, source: str | None = None, *, thinking: bool = False) -> ChatTemplate:
        """The chat template of the model file, or `source` in its place; `thinking` asks it for thoughts before the
        reply. Raises TemplateError."""
        return self._engine.chat_template(source, thinking=thinking)

    async def prefill(self, prompt: Prompt) -> Prefilled | None:
        """Prefill a prompt on the fork, for the reply to it. None when a newer request stopped it; what was done stays.

        Raises PromptTooLongError and ModelError as the engine does.
        """
        return await self._bring_up(self._engine.prefill, prompt)

    async def settle(self, prompt: Prompt) -> Prefilled | None:
        """Make a prompt the committed conversation. None when a newer request stopped it; what was done stays.

        Raises PromptTooLongError and ModelError as the engine does.
        """
        return await self._bring_up(self._engine.settle, prompt)

    async def _bring_up(self, step: _Step, prompt: Prompt) -> Prefilled | None:
        signal = self._supersede()
        work = self._executor.submit(step, prompt.tokens, signal)
        try:
            return await asyncio.wrap_future(work)
        finally:
            signal.set()
            await self._until_done(work)

    async def stream(
        self, prompt: Prompt, sampling: Sampling, limits: ReplyLimits, *, aside: bool = False
    ) -> AsyncGenerator[ReplyEvent, None]:
        """The reply to a prompt: Prefilled, then pieces, then Finished, whose reason is "aborted" when a newer request
        came. Read it under `contextlib.aclosing`, so that breaking off stops the model at once. `aside`: the prompt
        has nothing to do with the conversation in the cache, which stays as it is.

        Raises PromptTooLongError and ModelError as the engine does.
        """
        signal = self._supersede()
        loop = asyncio.get_running_loop()
        # Never full: there is room for all events of a reply, and for the None behind them.
        events: asyncio.Queue[ReplyEvent | None] = asyncio.Queue(limits.max_events + 1)

        def emit(event: ReplyEvent | None) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        def reply() -> None:
            try:
                beside = limits.max_tokens + limits.thinking_tokens if aside else None
                prefilled = self._engine.prefill(prompt.tokens, signal, aside=beside)
                if prefilled is None:
                    emit(Finished(reason="aborted"))
                    return
                emit(prefilled)
                for event in self._engine.generate(sampling, limits, stop_signal=signal):
                    emit(event)
            finally:
                emit(None)

        work = self._executor.submit(reply)
        try:
            while (event := await events.get()) is not None:
                yield event
            await asyncio.wrap_future(work)
        finally:
            signal.set()
            await self._until_done(work)

    async def steer(self, steering: Steering) -> None:
        """Lay adapters and control vectors over the model, in place of those before.

        Raises SteeringError, and then nothing has changed.
        """
        self._newest.set()
        await self._run(lambda: self._engine.steer(steering))

    async def origin(self) -> Origin:
        """What the engine computes with, as it is steered now; `Origin.key`, for another thread, says what a saved
        state of it belongs to."""
        return await self._run(self._engine.origin)

    async def snapshot(self, n_tokens: int | None = None, *, most_bytes: int | None = None) -> Snapshot | None:
        """The committed conversation, or its first `n_tokens`, once what was asked for before is done; None where the
        engine gives none."""
        return await self._run(lambda: self._engine.snapshot(n_tokens, most_bytes=most_bytes))

    async def restore(self, saved: SavedState) -> bool:
        """Put a saved conversation into the KV cache. False, and an empty cache, where that cannot be."""
        return await self._run(lambda: self._engine.restore(saved))

    async def _run(self, work: Callable[[], T]) -> T:
        """Something short that nothing stops."""
        return await asyncio.wrap_future(self._executor.submit(work))

    def _supersede(self) -> StopSignal:
        """Stop whatever was asked for before, running or waiting; return the signal of the new request."""
        self._newest.set()
        self._newest = StopSignal()
        return self._newest

    async def _until_done(self, work: Future[Any]) -> None:
        """Wait until the thread is free again, but not for ever. Whether it succeeded is for others to ask."""
        if work.done():
            return
        future = asyncio.wrap_future(work)
        done, _ = await asyncio.wait([future], timeout=_STOP_WAIT_S)
        if not done:
            logger.warning("llama.cpp did not stop within %.0f s; the next request waits for it", _STOP_WAIT_S)
        elif not future.cancelled():
            future.exception()  # seen by whoever awaited the request; asyncio would complain of it again


def _close_if_loaded(loading: Future[LlamaEngine]) -> None:
    if not loading.cancelled() and loading.exception() is None:
        loading.result().close()
