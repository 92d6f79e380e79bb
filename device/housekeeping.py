"""What the companion does with its memory while nobody needs it: one small chore after the other.

A chore is a coroutine function that does one small thing and says whether there was anything to do. When it has been
quiet for a while, chores run until none has anything left or somebody speaks: the one under way is then cancelled, so
it has to leave nothing half done. In a long rest they come round again every hour, since some depend on the time of
day. What the chores are is up to `device.mind`.

This is a supervisor: whatever goes wrong in a chore ends that chore, not the conversation.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from device.errors import FamiliarError
from memory.errors import MemoryStoreError
from models.errors import ModelError

log = logging.getLogger(__name__)

AGAIN_S = 3600.0
"""In a rest that lasts: words leave by their age, and a day begins."""

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
        self._chores = list(chores)
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
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(AGAIN_S):
                    await self._quiet.wait()
            if self._disturbed.is_set() and not self._quiet.is_set():
                continue  # somebody speaks at this very hour
            if await self._disturbed_within(self._rest_s):
                continue
            await self.run_once()

    async def run_once(self) -> None:
        """Work now, until nothing is left to do or somebody speaks."""
        before = self._n_disturbances
        for chore in tuple(self._chores):
            await self._do(chore, before)
        if self._n_disturbances == before:
            self._quiet.clear()  # all is done: little comes up before the next turn

    async def _do(self, chore: Chore, n_disturbances: int) -> None:
        """Everything that a chore has to do, unless somebody speaks. `n_disturbances` is their count before."""
        try:
            while self._n_disturbances == n_disturbances and await self._step(chore):
                pass
        except (MemoryStoreError, ModelError, FamiliarError) as error:
            log.warning("%s was put off: %s", chore.name, error)
        except Exception as error:  # noqa: BLE001  a fault in a chore; its text may quote what somebody said
            log.error("%s failed (%s) and is left until the next start", chore.name, type(error).__name__)
            self._chores.remove(chore)

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


async def do_chores(chores: Sequence[Chore], limit_s: float) -> None:
    """A pass through chores for whoever has no rests: what is done within `limit_s` is done."""
    housekeeping = Housekeeping(chores, rest_s=0.0)
    housekeeping.rest()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            await housekeeping.run_once()
