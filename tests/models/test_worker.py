"""The engine from asyncio: order, cancelling, and that newer requests come first."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import pytest

from models import worker as worker_module
from models.engine import EngineSettings, LlamaEngine
from models.errors import ModelFileError, PromptTooLongError
from models.interrupt import StopSignal
from models.messages import Finished, Piece, Prefilled, Prompt
from models.sampling import Sampling
from models.stops import ReplyLimits
from models.worker import LlamaWorker, ReplyEvent

GREEDY = Sampling(temperature=0, repeat_penalty=1)
SETTINGS = EngineSettings(n_ctx=512, threads=1)


def prompt(worker: LlamaWorker, text: str = "<|im_start|>assistant\n") -> Prompt:
    return Prompt(tokens=worker.vocabulary.tokenize(text, parse_special=True))


async def events_of(worker: LlamaWorker, asked: Prompt, *, max_tokens: int = 50) -> list[ReplyEvent]:
    return [event async for event in worker.stream(asked, GREEDY, ReplyLimits(max_tokens=max_tokens))]


def with_worker(path: Path, use: Callable[[LlamaWorker], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), LlamaWorker.open(path, SETTINGS) as worker:
            await use(worker)

    asyncio.run(run())


def test_a_reply_comes_as_prefilled_pieces_finished(scripted_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        events = await events_of(worker, prompt(worker))
        assert isinstance(events[0], Prefilled)
        assert events[-1] == Finished(reason="end_of_turn")
        assert "".join(event.text for event in events if isinstance(event, Piece)) == "Hi there 🦊\nUser: no"

    with_worker(scripted_model, use)


def test_prefilling_ahead_leaves_nothing_to_compute(scripted_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        asked = prompt(worker)
        assert await worker.prefill(asked) == Prefilled(n_reused=0, n_shifted=0, n_prefilled=len(asked.tokens))
        events = await events_of(worker, asked)
        assert events[0] == Prefilled(n_reused=len(asked.tokens), n_shifted=0, n_prefilled=0)

    with_worker(scripted_model, use)


def test_the_loop_stays_free_while_the_model_works(wandering_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0)
                ticks += 1

        ticking = asyncio.create_task(tick(), name="tick")
        await events_of(worker, prompt(worker), max_tokens=200)
        ticking.cancel()
        assert ticks > 10

    with_worker(wandering_model, use)


class PatientEngine(LlamaEngine):
    """Goes on after its first piece only when it was told to stop, or has waited in vain."""

    def generate(
        self, sampling: Sampling, limits: ReplyLimits, *, stop_signal: StopSignal | None = None
    ) -> Iterator[Piece | Finished]:
        assert stop_signal is not None
        events = super().generate(sampling, limits, stop_signal=stop_signal)
        yield next(events)
        deadline = time.monotonic() + 4
        while not stop_signal.is_set() and time.monotonic() < deadline:
            time.sleep(0.001)
        yield from events


def cached_after(path: Path, use: Callable[[LlamaWorker], Awaitable[None]]) -> int:
    """How many tokens stand in the cache of a patient engine after its use, and when its thread is free."""
    with PatientEngine(path, SETTINGS) as engine, ThreadPoolExecutor(max_workers=1) as executor:

        async def run() -> None:
            async with asyncio.timeout(30):
                await use(LlamaWorker(engine, executor))

        asyncio.run(run())
        return len(executor.submit(lambda: engine.draft).result())


def test_breaking_off_stops_the_model(wandering_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        async with aclosing(worker.stream(prompt(worker, "hello"), GREEDY, ReplyLimits(max_tokens=400))) as events:
            async for event in events:
                if isinstance(event, Piece):
                    break

    assert cached_after(wandering_model, use) < 20


def test_cancelling_the_reader_stops_the_model(wandering_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        started = asyncio.Event()

        async def read() -> None:
            async for event in worker.stream(prompt(worker, "hello"), GREEDY, ReplyLimits(max_tokens=400)):
                if isinstance(event, Piece):
                    started.set()

        reading = asyncio.create_task(read(), name="read")
        await started.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading

    assert cached_after(wandering_model, use) < 20


def test_a_prefill_is_stopped_by_cancelling(real_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        long = prompt(worker, "Once upon a time there was a fox. " * 50)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await worker.prefill(long)
        prefilled = await worker.prefill(prompt(worker, "Once upon a time there was a fox."))
        assert prefilled is not None

    with_worker(real_model, use)


def test_a_newer_request_stops_the_older(wandering_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        older = worker.stream(prompt(worker), GREEDY, ReplyLimits(max_tokens=450))
        assert isinstance(await anext(older), Prefilled)
        newer = asyncio.create_task(events_of(worker, prompt(worker, "something else"), max_tokens=3), name="newer")
        rest = [event async for event in older]
        assert rest[-1] == Finished(reason="aborted")
        assert (await newer)[-1] == Finished(reason="max_tokens")

    with_worker(wandering_model, use)


def test_requests_that_never_began_are_given_up(wandering_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        async with asyncio.TaskGroup() as group:
            waiting = [
                group.create_task(worker.prefill(prompt(worker, "once upon a time")), name=str(n)) for n in range(4)
            ]
        *given_up, newest = [task.result() for task in waiting]
        assert newest is not None
        assert None in given_up

    with_worker(wandering_model, use)


def test_errors_of_the_engine_reach_the_task(scripted_model: Path, tmp_path: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        too_long = Prompt(tokens=(20,) * 600)
        with pytest.raises(PromptTooLongError):
            await worker.prefill(too_long)
        with pytest.raises(PromptTooLongError):
            await events_of(worker, too_long)
        assert (await events_of(worker, prompt(worker)))[-1] == Finished(reason="end_of_turn")

    with_worker(scripted_model, use)
    with pytest.raises(ModelFileError, match="does not exist"):
        with_worker(tmp_path / "absent.gguf", use)


def test_leaving_in_the_middle_of_a_reply_is_quick_and_clean(wandering_model: Path) -> None:
    async def use(worker: LlamaWorker) -> None:
        events = worker.stream(prompt(worker), GREEDY, ReplyLimits(max_tokens=450))
        await anext(events)
        await events.aclose()
        raise LookupError("the companion broke down")

    with pytest.raises(LookupError):
        with_worker(wandering_model, use)


def test_cancelling_while_the_model_loads_frees_it_later(scripted_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began, go_on, closed = threading.Event(), threading.Event(), threading.Event()

    class SlowToLoad(LlamaEngine):
        def __init__(self, path: Path, settings: EngineSettings | None = None) -> None:
            began.set()
            assert go_on.wait(10)
            super().__init__(path, settings)

        def close(self) -> None:
            super().close()
            closed.set()

    monkeypatch.setattr(worker_module, "LlamaEngine", SlowToLoad)

    async def run() -> None:
        async def load() -> None:
            async with LlamaWorker.open(scripted_model, SETTINGS):
                raise AssertionError("cancelled before")

        loading = asyncio.create_task(load(), name="load")
        assert await asyncio.to_thread(began.wait, 10)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading

    asyncio.run(run())
    go_on.set()
    assert closed.wait(10)
