"""Turns on their way into memory: committed in order, waiting in RAM while memory fails, never lost to a cancellation.

What is forgotten before it got that far leaves here as well. What is made of a turn afterwards is for
`device.remembering`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from device.history import Entry
from memory.errors import MemoryStoreError
from memory.forgetting import containing
from memory.messages import Turn

MOST_UNKEPT = 64
"""Turns that wait in RAM for a memory that fails, a full disk say; when there are more, the oldest are lost."""


class Committing(Protocol):
    """What keeps turns: `memory.worker.AsyncMemory` here."""

    async def open_conversation(self, person: str, character: str) -> int: ...

    async def commit_turn(self, turn: Turn) -> Turn: ...


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    turn: Turn
    entry: Entry


class Keeping:
    """The turns of one person and one character that are not in memory yet."""

    def __init__(
        self,
        memory: Committing,
        *,
        on_kept: Callable[[Turn], None],
        on_failure: Callable[[MemoryStoreError | None], None],
    ) -> None:
        """`on_kept` gets every turn with its id; `on_failure` why turns have to wait, and None when none has to."""
        self._memory = memory
        self._on_kept = on_kept
        self._on_failure = on_failure
        self._conversation_id = 0
        self._waiting: list[_Waiting] = []
        self._committing = asyncio.Lock()
        self._n_lost = 0

    @property
    def n_unkept(self) -> int:
        """Turns that wait, and those that were lost by waiting too long."""
        return len(self._waiting) + self._n_lost

    async def open(self, person: str, character: str) -> None:
        """Open the conversation that turns belong to. Raises MemoryStoreError; then `flush` tries again."""
        self._conversation_id = await self._memory.open_conversation(person, character)

    def reopen(self) -> None:
        """The conversation may have been forgotten: open it again before the next turn."""
        self._conversation_id = 0

    async def keep(self, turn: Turn, entry: Entry) -> None:
        """Keep a turn without an id; `entry` gets its id once every word of it is in memory. It waits before the first
        await already; whoever is cancelled here has it committed all the same."""
        self._n_lost += max(0, len(self._waiting) + 1 - MOST_UNKEPT)
        self._waiting = [*self._waiting, _Waiting(turn, entry)][-MOST_UNKEPT:]
        await self.flush()

    async def flush(self) -> None:
        """Commit what waits, as far as memory works."""
        if self._waiting or self._committing.locked():
            # A task of its own: a turn that is committed gets its id whoever still waits for that.
            await asyncio.shield(asyncio.create_task(self._flush(), name="keep-turns"))

    async def drop(self, entry: Entry) -> bool:
        """The turn of this entry is not to be kept. Returns whether it was waiting."""
        async with self._committing:
            n_before = len(self._waiting)
            self._waiting = [one for one in self._waiting if one.entry is not entry]
            return len(self._waiting) < n_before

    async def drop_about(self, words: str = "") -> None:
        """What waits with these words in it is not to be kept; without any, nothing that waits is."""
        async with self._committing:
            if not words:
                self._waiting.clear()
                return
            texts = [text for one in self._waiting for text in (one.turn.user_text, one.turn.reply_text)]
            found = {at // 2 for at in containing(words, texts)}
            self._waiting = [one for at, one in enumerate(self._waiting) if at not in found]

    async def _flush(self) -> None:
        async with self._committing:
            try:
                while self._waiting:
                    await self._commit(self._waiting[0])
            except MemoryStoreError as error:
                self._on_failure(error)
            else:
                self._on_failure(None)

    async def _commit(self, first: _Waiting) -> None:
        if not self._conversation_id:
            await self.open(first.turn.person, first.turn.character)
        kept = await self._memory.commit_turn(replace(first.turn, conversation_id=self._conversation_id))
        self._waiting = [one for one in self._waiting if one is not first]
        first.entry.turn_id = kept.turn_id
        self._on_kept(kept)
