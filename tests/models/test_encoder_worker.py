"""The encoder on a thread of its own: the loop goes on, nobody waits for it to load, nothing is encoded twice."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from models import encoder_worker
from models.encoder import SHIPPED, Encoded, Encoder
from models.encoder_worker import KEPT_TEXTS, AsyncEncoder
from models.errors import ModelFileError


class CountingEncoder(Encoder):
    """Counts how often the network ran, and on which threads."""

    runs: list[str]

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.runs = []
        opened.append(self)

    def encode_pieces(self, pieces: Sequence[int]) -> Encoded:
        self.runs.append(threading.current_thread().name)
        return super().encode_pieces(pieces)


opened: list[CountingEncoder] = []


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoder_worker, "Encoder", CountingEncoder)
    opened.clear()


def test_answers_are_those_of_the_encoder_on_its_own_thread() -> None:
    async def use() -> None:
        async with AsyncEncoder.open() as encoder:
            first, second = await encoder.encode(["I am so happy!", "I am sad."])
            assert encoder.present(first.emotions)[0] == "joy"
            assert encoder.present(second.emotions)[0] == "sadness"
            assert encoder.fingerprint == opened[0].fingerprint
            assert all(name.startswith("encoder") for name in opened[0].runs)

    asyncio.run(use())


def test_loading_begins_at_once_and_nobody_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, may_end = threading.Event(), threading.Event()

    class Slow(CountingEncoder):
        def __init__(self, folder: Path) -> None:
            begun.set()
            assert may_end.wait(30)
            super().__init__(folder)

    monkeypatch.setattr(encoder_worker, "Encoder", Slow)

    async def use() -> None:
        async with AsyncEncoder.open() as encoder:
            assert await asyncio.to_thread(begun.wait, 30)
            assert opened == []
            may_end.set()
            await encoder.encode(["I am so happy!"])
            assert len(opened) == 1

    asyncio.run(use())


def test_recent_texts_are_not_encoded_again() -> None:
    async def use() -> None:
        async with AsyncEncoder.open() as encoder:
            (first,) = await encoder.encode(["Hello there, Luna!"])
            both = await asyncio.gather(encoder.encode(["hello  there, luna!"]), encoder.encode(["Hello there, Luna!"]))
            assert all(again is first for (again,) in both)
            assert len(opened[0].runs) == 1

            await encoder.encode([f"number {number}" for number in range(KEPT_TEXTS)])
            await encoder.encode(["Hello there, Luna!"])
            assert len(opened[0].runs) == KEPT_TEXTS + 2

    asyncio.run(use())


def test_the_loop_goes_on_while_texts_are_encoded() -> None:
    async def use() -> None:
        async with AsyncEncoder.open() as encoder:
            work = asyncio.ensure_future(encoder.encode([f"this is sentence {number}" for number in range(30)]))
            turns = 0
            while not work.done():
                await asyncio.sleep(0)
                turns += 1
            assert len(await work) == 30
            assert turns > 100

    asyncio.run(use())


def test_texts_nobody_waits_for_any_more_are_not_encoded() -> None:
    async def use() -> None:
        async with AsyncEncoder.open() as encoder:
            first = asyncio.ensure_future(encoder.encode([f"this is sentence {number}" for number in range(20)]))
            second = asyncio.ensure_future(encoder.encode(["too late"]))
            await asyncio.sleep(0)
            second.cancel()
            await first
            await encoder.encode(["the end"])
            assert len(opened[0].runs) == 21

    asyncio.run(use())


def test_a_folder_without_an_encoder_is_said_at_once(tmp_path: Path) -> None:
    async def use() -> None:
        async with AsyncEncoder.open(tmp_path):
            pass

    with pytest.raises(ModelFileError, match="no encoder"):
        asyncio.run(use())


def test_a_damaged_network_is_said_at_each_call(tmp_path: Path) -> None:
    (tmp_path / "encoder.json").write_bytes((SHIPPED / "encoder.json").read_bytes())
    (tmp_path / "vocab.txt").write_bytes((SHIPPED / "vocab.txt").read_bytes())
    (tmp_path / "model.onnx").write_bytes(b"")

    async def use() -> None:
        async with AsyncEncoder.open(tmp_path) as encoder:
            for _ in range(2):
                with pytest.raises(ModelFileError, match=r"model\.onnx is damaged"):
                    await encoder.encode(["hello"])

    asyncio.run(use())


def test_importing_it_imports_no_engine() -> None:
    code = "import sys, models.encoder_worker; print({'onnxruntime', 'tokenizers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "set()"
