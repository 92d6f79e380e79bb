"""The engine from asyncio: order, cancelling, and that newer requests come first."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import pytest

from models import fingerprint
from models import worker as worker_module
from models.engine import EngineSettings, LlamaEngine
from models.errors import ModelFileError, PromptTooLongError
from models.fingerprint import file_sha256
from models.interrupt import StopSignal
from models.messages import Finished, Piece, Prefilled, Prompt
from models.sampling import Sampling
from models.steering import Adapter, Steering, steering_digest
from models.stops import ReplyLimits
from models.worker import LlamaWorker, ReplyEvent
from tests.models.steering_gguf import write_layered_model, write_lora

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


def wait_for(stop_signal: StopSignal) -> None:
    deadline = time.monotonic() + 4
    while not stop_signal.is_set() and time.monotonic() < deadline:
        time.sleep(0.001)


class PatientEngine(LlamaEngine):
    """Goes on after its first piece only when it was told to stop, or has waited in vain."""

    def generate(
        self, sampling: Sampling, limits: ReplyLimits, *, stop_signal: StopSignal | None = None
    ) -> Iterator[Piece | Finished]:
        assert stop_signal is not None
        events = super().generate(sampling, limits, stop_signal=stop_signal)
        yield next(events)
        wait_for(stop_signal)
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


class HalfwayEngine(LlamaEngine):
    """Goes on in the middle of a long prefill only when it was told to stop, or has waited in vain."""

    halfway: threading.Event

    def prefill(
        self, tokens: Sequence[int], stop_signal: StopSignal | None = None, *, aside: int | None = None
    ) -> Prefilled | None:
        assert stop_signal is not None
        super().prefill(tokens[: len(tokens) // 2], stop_signal)
        self.halfway.set()
        wait_for(stop_signal)
        return super().prefill(tokens, stop_signal)


def test_a_prefill_is_stopped_by_cancelling(wandering_model: Path) -> None:
    with HalfwayEngine(wandering_model, SETTINGS) as engine, ThreadPoolExecutor(max_workers=1) as executor:
        engine.halfway = threading.Event()

        async def run() -> None:
            worker = LlamaWorker(engine, executor)
            prefilling = asyncio.create_task(worker.prefill(Prompt(tokens=(20,) * 300)), name="prefill")
            assert await asyncio.to_thread(engine.halfway.wait, 10)
            prefilling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await prefilling
            assert engine.draft == (20,) * 150, "and the thread is free"

        asyncio.run(run())


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


def test_leaving_in_the_middle_of_a_reply_stops_and_frees_the_model(
    wandering_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_cached = []

    class LastSeen(PatientEngine):
        def close(self) -> None:
            n_cached.append(len(self.draft))
            super().close()

    monkeypatch.setattr(worker_module, "LlamaEngine", LastSeen)

    async def use(worker: LlamaWorker) -> None:
        events = worker.stream(prompt(worker, "hello"), GREEDY, ReplyLimits(max_tokens=450))
        assert isinstance(await anext(events), Prefilled)
        assert isinstance(await anext(events), Piece)
        raise LookupError("the companion broke down")

    with pytest.raises(LookupError):
        with_worker(wandering_model, use)
    assert len(n_cached) == 1
    assert n_cached[0] < 20


def test_the_model_works_while_its_file_is_hashed(wandering_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashing, go_on = threading.Event(), threading.Event()

    def slowly(path: Path, memo: Path | None = None) -> str:
        hashing.set()
        assert go_on.wait(10)
        return file_sha256(path, memo)

    monkeypatch.setattr(fingerprint, "file_sha256", slowly)

    async def use(worker: LlamaWorker) -> None:
        origin = await worker.origin()
        key = asyncio.create_task(asyncio.to_thread(origin.key, "Pip"), name="key")
        try:
            assert await asyncio.to_thread(hashing.wait, 10)
            assert await worker.prefill(prompt(worker)) is not None
            assert not key.done()
        finally:
            go_on.set()
        assert (await key).model_sha256 == file_sha256(wandering_model)

    with_worker(wandering_model, use)


def test_a_key_belongs_to_the_character_steered_to_before_it_was_asked_for(tmp_path: Path) -> None:
    write_layered_model(tmp_path / "base.gguf")
    fox = Steering(adapters=(Adapter(path=write_lora(tmp_path / "fox.gguf")),))

    async def use(worker: LlamaWorker) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(worker.steer(fox), name="steer")
            origin = group.create_task(worker.origin(), name="origin")
            group.create_task(worker.steer(Steering()), name="steer back")
        assert origin.result().key("Pip").steering == steering_digest(fox)

    with_worker(tmp_path / "base.gguf", use)


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
