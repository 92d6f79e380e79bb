"""A reply that is being written before anybody knows whether it is wanted.

The model writes at its own pace into a queue, and whoever takes the draft reads from there: what was written ahead
comes at once, and its first clause has been synthesized meanwhile. Dropped, it leaves no trace: no sound, no memory, no
motion, and in the KV cache only a fork that the next request replaces. When to begin and when to drop one is decided by
`device.anticipation`.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from device.dialogue import Prepared, ReplyEvent
from models.errors import ModelError
from models.messages import Finished, Piece, Prefilled
from voice.clauses import ClauseSplitter
from voice.messages import Clause

EVENTS_AHEAD = 256
"""What may wait to be read: more words than a spoken reply has. When full, writing waits."""


class Draft:
    """The reply to `prepared`, written by a task of its own from the moment it is made. Read it once, or drop it."""

    def __init__(
        self,
        prepared: Prepared,
        reply: AsyncGenerator[ReplyEvent, None],
        tasks: asyncio.TaskGroup,
        *,
        on_first_clause: Callable[[Clause], None] | None = None,
        language: str = "en",
    ) -> None:
        """`on_first_clause` is told the first clause as soon as it is written."""
        self.prepared = prepared
        self.broken = False
        """The model failed, or something newer stopped it: what was written is not the whole reply."""
        self._on_first_clause = on_first_clause
        self._splitter = ClauseSplitter(language=language)
        self._events: asyncio.Queue[ReplyEvent | ModelError | None] = asyncio.Queue(EVENTS_AHEAD)
        self._writing = tasks.create_task(self._write(reply), name="draft")

    async def read(self) -> AsyncGenerator[ReplyEvent, None]:
        """The reply, from its beginning. Read it under `contextlib.aclosing`: breaking off stops the model.

        Raises ModelError where the model failed.
        """
        try:
            while (event := await self._events.get()) is not None:
                if isinstance(event, ModelError):
                    raise event
                yield event
        finally:
            self.drop()
            await asyncio.wait((self._writing,))

    def drop(self) -> None:
        """Stop writing; what was written is not for anybody."""
        self._writing.cancel()

    async def _write(self, reply: AsyncGenerator[ReplyEvent, None]) -> None:
        try:
            async with aclosing(reply):
                async for event in reply:
                    self.broken = self.broken or (isinstance(event, Finished) and event.reason == "aborted")
                    self._look_for_clause(event)
                    await self._events.put(event)
        except ModelError as error:
            self.broken = True
            await self._events.put(error)  # of concern only to whoever takes the draft
        await self._events.put(None)

    def _look_for_clause(self, event: ReplyEvent) -> None:
        if self._on_first_clause is None or isinstance(event, Prefilled):
            return
        parts = self._splitter.push(event.text) if isinstance(event, Piece) else self._splitter.finish()
        for part in parts:
            if isinstance(part, Clause):
                self._on_first_clause(part)
                self._on_first_clause = None
                return
