"""A body without hardware keeps what it was told, and shows what is due."""

import asyncio
import math

import pytest

from firmware_bridge.body import Body, Expression, ExpressionName, Stopped, TimelineBody, Told
from firmware_bridge.errors import ExpressionError


def _expression(name: ExpressionName, at_s: float) -> Expression:
    return Expression(name=name, intensity=0.5, at_s=at_s)


_SMILE, _NOD, _WAG = (
    _expression(name, at_s)
    for name, at_s in ((ExpressionName.SMILE, 11.0), (ExpressionName.NOD, 13.0), (ExpressionName.WAG, 12.0))
)


def test_a_timeline_says_what_was_told_and_when() -> None:
    times_s = iter([10.0, 10.5, 11.5])
    body = TimelineBody(clock_s=lambda: next(times_s))

    async def drive(body: Body) -> None:
        await body.express(_SMILE)
        await body.express(_NOD)
        await body.stop()

    asyncio.run(drive(body))
    assert body.timeline == (
        Told(expression=_SMILE, told_at_s=10.0),
        Told(expression=_NOD, told_at_s=10.5),
        Stopped(told_at_s=11.5),
    )
    assert body.capabilities == frozenset(ExpressionName)


def test_what_fell_due_last_is_showing_until_the_body_is_stopped() -> None:
    body = TimelineBody()

    async def tell() -> None:
        for expression in (_SMILE, _NOD, _WAG):
            await body.express(expression)

    asyncio.run(tell())
    assert [body.showing(now_s) for now_s in (10.9, 11.0, 12.5, 13.0)] == [None, _SMILE, _WAG, _NOD]
    asyncio.run(body.stop())
    assert body.showing(20.0) is None
    asyncio.run(body.express(_SMILE))
    assert body.showing(20.0) == _SMILE


def test_of_two_due_at_once_the_one_told_last_is_showing() -> None:
    body = TimelineBody()

    async def tell() -> None:
        await body.express(_expression(ExpressionName.SMILE, 5.0))
        await body.express(_expression(ExpressionName.NOD, 5.0))

    asyncio.run(tell())
    assert body.showing(5.0) == _expression(ExpressionName.NOD, 5.0)


def test_a_timeline_is_bounded() -> None:
    body = TimelineBody(length=3)

    async def tell() -> None:
        for n in range(10):
            await body.express(_expression(ExpressionName.BLINK, float(n)))

    asyncio.run(tell())
    assert [entry.expression.at_s for entry in body.timeline if isinstance(entry, Told)] == [7.0, 8.0, 9.0]


@pytest.mark.parametrize("intensity", [-0.1, 1.1, math.nan])
def test_an_intensity_out_of_range_is_refused(intensity: float) -> None:
    with pytest.raises(ExpressionError, match="intensity of smile is"):
        Expression(name=ExpressionName.SMILE, intensity=intensity, at_s=0.0)


@pytest.mark.parametrize("at_s", [math.nan, math.inf])
def test_an_expression_needs_a_time(at_s: float) -> None:
    with pytest.raises(ExpressionError, match="smile is due at"):
        Expression(name=ExpressionName.SMILE, intensity=1.0, at_s=at_s)
