"""What the companion does with its memory while nobody needs it: one small chore after the other.

A chore is a coroutine function that does one small thing and says whether there was anything to do. When it has been
quiet for a while, chores run until none has anything left or somebody speaks: the one under way is then cancelled, so
it has to leave nothing half done. What the chores are is up to `device.companion`.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from memory.errors import MemoryStoreError
from models.errors import ModelError

log = logging.getLogger(__name__)

REST_S = 20.0
"""How long nobody has spoken before chores begin. Most pauses within a conversation are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """`step` does one small thing and returns True, or returns False if there is nothing to do."""

    name: str
    step: Callable[[], Awaitable[bool]]


class Housekeeping:
    """Runs chores whenever it has been quiet. `rest` and `disturb` say when it is; both may be called at any time."""

    def __init__(self, chores: Sequence[Chore], *, rest_s: float = REST_S) -> None:
        self._chores = tuple(chores)
        self._rest_s = rest_s
        self._quiet = asyncio.Event()
        self._disturbed = asyncio.Event()
        self._n_disturbances = 0

    def rest(self) -> None:
        """From now on nobody needs anything."""
        self._disturbed.clear()
        self._quiet.set()

    def disturb(self) -> None:
        """Somebody speaks: whatever is being done stops."""
        self._n_disturbances += 1
        self._quiet.clear()
        self._disturbed.set()

    async def run(self) -> None:
        """Work in every rest, until cancelled."""
        while True:
            await self._quiet.wait()
            if await self._disturbed_within(self._rest_s):
                continue
            before = self._n_disturbances
            for chore in self._chores:
                await self._do(chore, before)
            if self._n_disturbances == before:
                self._quiet.clear()  # all is done: nothing comes up before the next turn

    async def _do(self, chore: Chore, n_disturbances: int) -> None:
        """Everything that a chore has to do, unless somebody speaks. `n_disturbances` is their count before."""
        try:
            while self._n_disturbances == n_disturbances and await self._step(chore):
                pass
        except (MemoryStoreError, ModelError) as error:
            log.warning("%s was put off: %s", chore.name, error)

    async def _step(self, chore: Chore) -> bool:
        """Whether the chore did something. Cancelled when somebody speaks."""
        disturbed = asyncio.ensure_future(self._disturbed.wait())
        step = asyncio.ensure_future(chore.step())
        try:
            await asyncio.wait((disturbed, step), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (disturbed, step):
                task.cancel()
            await asyncio.wait((disturbed, step))
        return not step.cancelled() and step.result()

    async def _disturbed_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._disturbed.wait()
        except TimeoutError:
            return False
        return True
