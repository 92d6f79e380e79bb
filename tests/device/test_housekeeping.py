"""Chores run while it is quiet, one step after the other, and stop at once when somebody speaks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from device import housekeeping as housekeeping_module
from device.housekeeping import Chore, Housekeeping, do_chores
from memory.errors import MemoryFullError
from tests.voice.scripted_ears import until


class Counted:
    """A chore with so many things to do; the step at which `hold` is reached waits for ever."""

    def __init__(self, n: int, *, hold: int = -1) -> None:
        self.left = n
        self.hold = hold
        self.n_cancelled = 0

    async def step(self) -> bool:
        if self.left == self.hold:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.n_cancelled += 1
                self.hold = -1
                raise
        if not self.left:
            return False
        self.left -= 1
        return True


@asynccontextmanager
async def kept(*chores: Counted, rest_s: float = 0.0) -> AsyncIterator[Housekeeping]:
    housekeeping = Housekeeping([Chore(name="counting", step=chore.step) for chore in chores], rest_s=rest_s)
    running = asyncio.create_task(housekeeping.run())
    try:
        yield housekeeping
    finally:
        running.cancel()
        await asyncio.wait((running,))


def test_in_a_rest_everything_there_is_gets_done() -> None:
    async def run() -> None:
        first, second = Counted(3), Counted(2)
        async with kept(first, second) as housekeeping:
            housekeeping.rest()
            await until(lambda: first.left == second.left == 0)

    asyncio.run(run())


def test_nothing_is_done_before_it_has_been_quiet_for_a_while() -> None:
    async def run() -> None:
        chore = Counted(1)
        async with kept(chore, rest_s=3600) as housekeeping:
            housekeeping.rest()
            for _ in range(10):
                await asyncio.sleep(0)
            assert chore.left == 1

    asyncio.run(run())


def test_a_step_under_way_is_cancelled_when_somebody_speaks_and_made_up_for_later() -> None:
    async def run() -> None:
        chore = Counted(3, hold=2)
        async with kept(chore) as housekeeping:
            housekeeping.rest()
            await until(lambda: chore.left == 2)
            housekeeping.disturb()
            await until(lambda: chore.n_cancelled == 1)
            assert chore.left == 2
            housekeeping.rest()
            await until(lambda: chore.left == 0)

    asyncio.run(run())


def test_a_chore_that_fails_is_put_off_and_the_others_are_done(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Counted):
        async def step(self) -> bool:
            raise MemoryFullError("no space is left")

    async def run() -> None:
        other = Counted(1)
        async with kept(Failing(1), other) as housekeeping:
            housekeeping.rest()
            await until(lambda: other.left == 0)

    with caplog.at_level(logging.WARNING):
        asyncio.run(run())
    assert "counting was put off: no space is left" in caplog.text


def test_a_fault_in_a_chore_ends_that_chore_alone_and_quotes_nobody(caplog: pytest.LogCaptureFixture) -> None:
    class Faulty(Counted):
        n_steps = 0

        async def step(self) -> bool:
            self.n_steps += 1
            raise ValueError("I broke the vase")

    async def run() -> None:
        faulty, other = Faulty(1), Counted(1)
        async with kept(faulty, other) as housekeeping:
            housekeeping.rest()
            await until(lambda: other.left == 0)
            other.left = 1
            housekeeping.disturb()
            housekeeping.rest()
            await until(lambda: other.left == 0)
        assert faulty.n_steps == 1

    asyncio.run(run())
    assert "ValueError" in caplog.text
    assert "vase" not in caplog.text


def test_in_a_long_rest_chores_come_round_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping_module, "AGAIN_S", 0.01)

    async def run() -> None:
        chore = Counted(1)
        async with kept(chore) as housekeeping:
            housekeeping.rest()
            await until(lambda: chore.left == 0)
            chore.left = 1
            await until(lambda: chore.left == 0)

    asyncio.run(run())


def test_who_leaves_does_what_can_be_done_in_time() -> None:
    async def run() -> None:
        quick, endless = Counted(2), Counted(3, hold=2)
        await do_chores([Chore(name="quick", step=quick.step), Chore(name="endless", step=endless.step)], 0.05)
        assert (quick.left, endless.left) == (0, 2)
        assert endless.n_cancelled == 1

    asyncio.run(run())
