"""What the engine's cache holds comes back at the next start, unless something of it was forgotten or damaged."""

import asyncio
import ctypes
import time
from array import array
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from device.companion import Places, open_dialogue
from device.continuity import SAVE_EVERY_TURNS, Continuity, saved_messages
from device.settings import MemorySettings, Settings, ThinkSettings
from memory.forgetting import forget
from memory.selecting import Selection
from memory.store import MemoryStore
from memory.worker import AsyncMemory
from models.character import Character
from models.engine import EngineSettings, LlamaEngine, Snapshot
from models.messages import Message, Piece, Prefilled
from models.origin import Origin
from models.state_file import SUFFIX, SavedState, StateKey, write_state
from models.store import ModelStore
from tests.device.fakes import ScriptedBrain, dialogue_of, pieces, talk_with
from tests.models.tiny_gguf import write_wandering_model
from tests.voice.scripted_ears import until

PIP = Character(name="Pip", persona="You are Pip.")
HISTORY = (Message(role="user", text="Hello."), Message(role="assistant", text=" Hi Ada.", tokens=(5, 6, 7)))


class Cache:
    """An engine of which only the cache matters: five tokens, and what was put back."""

    def __init__(self, *, model: str = "a") -> None:
        self.model = model
        self.n_snapshots = 0
        self.takes_back = True
        self.restored: SavedState | None = None

    async def origin(self) -> Origin:
        return cast("Origin", SimpleNamespace(key=self.key))

    def key(self, label: str, _memo: Path | None = None) -> StateKey:
        return StateKey(
            model_sha256=self.model,
            steering="none",
            type_k="f16",
            type_v="f16",
            n_ctx=256,
            flash_attention=None,
            gpu_layers=0,
            engine="test",
            label=label,
        )

    async def snapshot(self, n_tokens: int | None = None, *, most_bytes: int | None = None) -> Snapshot | None:
        self.n_snapshots += 1
        return Snapshot(tokens=(1, 2, 3, 4, 5)[:n_tokens], state=bytearray(b"cache"))

    async def restore(self, saved: SavedState) -> bool:
        self.restored = saved
        return self.takes_back


def continuity(cache: Cache, folder: Path, *, person: str = "Ada", keeps_talk: bool = True) -> Continuity:
    return Continuity(cache, folder, person=person, character="Pip", keeps_talk=keeps_talk)


def files(folder: Path, kind: str = "") -> list[Path]:
    return sorted(folder.glob(f"{kind}*{SUFFIX}"))


async def talked(folder: Path) -> None:
    """A conversation that was saved."""
    async with continuity(Cache(), folder) as kept:
        await kept.keep_talk(HISTORY, 1)


def test_a_conversation_comes_back_with_its_messages_and_their_tokens(tmp_path: Path) -> None:
    async def main() -> None:
        await talked(tmp_path)
        async with continuity(Cache(), tmp_path) as kept:
            saved = await kept.read_talk()
            assert saved is not None
            assert (saved.tokens, bytes(saved.payload)) == ((1, 2, 3, 4, 5), b"cache")
            assert saved_messages(saved) == HISTORY
        async with continuity(Cache(), tmp_path, person="Bea") as other:
            assert await other.read_talk() is None

    asyncio.run(main())


def test_it_is_saved_now_and_then_and_only_when_something_was_said(tmp_path: Path) -> None:
    async def main() -> None:
        cache = Cache()
        async with continuity(cache, tmp_path) as kept:
            await kept.keep_talk(HISTORY, 0)
            for n_recorded in range(2 * SAVE_EVERY_TURNS + 2):
                await kept.turn_over(HISTORY, n_recorded)
            assert cache.n_snapshots == 2
            await kept.keep_talk(HISTORY, 2 * SAVE_EVERY_TURNS + 1)
            await kept.keep_talk(HISTORY, 2 * SAVE_EVERY_TURNS + 1)
            assert cache.n_snapshots == 3

    asyncio.run(main())


def test_what_could_not_be_written_is_tried_again_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        blocked = tmp_path / "states"
        blocked.write_text("a file where the folder should be")
        async with continuity(Cache(), blocked) as kept:
            await kept.turn_over(HISTORY, SAVE_EVERY_TURNS)
            await until(lambda: "was not saved" in caplog.text)
            await asyncio.to_thread(blocked.unlink)
            await kept.keep_talk(HISTORY, SAVE_EVERY_TURNS)
            assert len(files(blocked, "talk")) == 1

    asyncio.run(main())
    assert "Ada" not in caplog.text


def test_without_memory_nothing_that_was_said_is_written_or_left(tmp_path: Path) -> None:
    async def main() -> None:
        await talked(tmp_path)
        async with continuity(Cache(), tmp_path, keeps_talk=False) as kept:
            assert files(tmp_path) == []
            await kept.turn_over(HISTORY, SAVE_EVERY_TURNS)
            await kept.keep_talk(HISTORY, SAVE_EVERY_TURNS)
            assert files(tmp_path) == []
            assert await kept.read_talk() is None

    asyncio.run(main())


def test_the_conversation_of_another_engine_is_removed(tmp_path: Path) -> None:
    async def main() -> None:
        await talked(tmp_path)
        async with continuity(Cache(model="b"), tmp_path) as kept:
            assert await kept.read_talk() is None
        assert files(tmp_path) == [], "its words would lie there for ever"

    asyncio.run(main())


def test_the_beginning_is_saved_and_found_by_its_tokens(tmp_path: Path) -> None:
    async def main() -> None:
        cache = Cache()
        async with continuity(cache, tmp_path) as kept:
            assert not await kept.put_back_head((1, 2))
            await kept.keep_head((1, 2))
            await until(lambda: len(files(tmp_path, "head")) == 1)
            assert await kept.put_back_head((1, 2))
            assert cache.restored is not None
            assert cache.restored.tokens == (1, 2)
            assert not await kept.put_back_head((1, 3))

    asyncio.run(main())


@pytest.mark.parametrize("harm", [lambda data: data[:-1], lambda data: b"\0" + data[1:], lambda data: b""])
def test_a_damaged_state_costs_a_prefill_and_a_line_in_the_log(
    tmp_path: Path, harm: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        await talked(tmp_path)
        (path,) = files(tmp_path)
        path.write_bytes(harm(path.read_bytes()))
        async with continuity(Cache(), tmp_path) as kept:
            assert await kept.read_talk() is None

    asyncio.run(main())
    assert "costs a prefill" in caplog.text
    assert "Ada" not in caplog.text


def test_a_state_that_is_not_taken_back_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        await talked(tmp_path)
        cache = Cache()
        cache.takes_back = False
        async with continuity(cache, tmp_path) as kept:
            saved = await kept.read_talk()
            assert saved is not None
            assert not await kept.put_back_talk(saved)

    asyncio.run(main())
    assert "costs a prefill" in caplog.text


def test_a_note_that_makes_no_sense_is_no_conversation() -> None:
    for note in (b"", b"\xff", b"{}", b"[1]", b"[[1]]", b'[["user"]]'):
        saved = SavedState(tokens=(), payload=(ctypes.c_uint8 * 0)(), note=note)
        assert saved_messages(saved) == ()


# What memory still has ------------------------------------------------------------------------------------------------


def test_a_saved_conversation_comes_back_only_if_memory_has_every_word_of_it(tmp_path: Path) -> None:
    async def comes_back(saved: Sequence[Message]) -> list[tuple[int, ...]] | None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            dialogue = dialogue_of(ScriptedBrain(), memory, restore_turns=1)
            used = await dialogue.restore(saved)
            return [message.tokens for message in dialogue.history] if used else None

    async def main() -> None:
        async with AsyncMemory.open(tmp_path / "memory.db") as memory:
            dialogue = dialogue_of(ScriptedBrain(), memory)
            await dialogue.restore()
            for words, reply in (("Hello.", "Hi Ada."), ("And you?", "Good."), ("Bye.", "")):
                await dialogue.record(words, pieces(reply), len(reply), interrupted=False)
        user, pip = HISTORY
        assert await comes_back((user, pip)) == [(), (5, 6, 7), (), (), ()]
        assert await comes_back((pip,)) == [(5, 6, 7), (), (), ()]
        assert await comes_back((user, Message(role="assistant", text="Hi."))) is None
        assert await comes_back((Message(role="user", text="Forgotten."), user, pip)) is None
        assert await comes_back(()) is None

    asyncio.run(main())


# From start to start, on a real engine --------------------------------------------------------------------------------


def started(folder: Path, *, says: str = "", memory: bool = True) -> Prefilled:
    """What a start computes; then something may be said."""
    settings = Settings(
        think=ThinkSettings(model=str(folder / "model.gguf"), context_tokens=512, threads=1, max_reply_tokens=20),
        memory=MemorySettings(enabled=memory),
    )
    where = Places(store=ModelStore(folder), memory=folder / "memory.db", states=folder / "states")

    async def main() -> Prefilled:
        async with open_dialogue(PIP, settings, where) as opened:
            if says:
                prepared = await opened.dialogue.prepare(says)
                reply = [event async for event in opened.dialogue.reply(prepared)]
                said = [event for event in reply if isinstance(event, Piece)]
                length = sum(len(piece.text) for piece in said)
                await opened.dialogue.record(says, said, length, interrupted=False)
                await opened.dialogue.settle()
                await opened.dialogue.turn_over()
            assert opened.settled is not None
            return opened.settled

    return asyncio.run(main())


def test_a_start_computes_nothing_that_was_saved(tmp_path: Path) -> None:
    write_wandering_model(tmp_path / "model.gguf")
    first = started(tmp_path)
    assert (first.n_reused, first.n_prefilled > 0) == (0, True)
    second = started(tmp_path, says="hello pip")
    assert second.n_prefilled == 0, "the character's beginning was saved"
    third = started(tmp_path)
    assert third.n_prefilled == 0
    assert third.n_reused > second.n_reused, "the conversation was saved"


def test_a_conversation_that_was_forgotten_does_not_come_back(tmp_path: Path) -> None:
    write_wandering_model(tmp_path / "model.gguf")
    first = started(tmp_path, says="hello pip")
    assert len(files(tmp_path / "states", "talk")) == 1
    (tmp_path / "memory.db").unlink()
    after = started(tmp_path)
    assert after.n_reused == first.n_prefilled, "the character's beginning, and nothing else"
    assert files(tmp_path / "states", "talk") == []


def test_what_another_program_has_forgotten_is_not_saved_from_the_cache(tmp_path: Path) -> None:
    """The words stand in the KV cache still when the conversation ends, with no turn after the forgetting."""
    write_wandering_model(tmp_path / "model.gguf")
    settings = Settings(
        think=ThinkSettings(model=str(tmp_path / "model.gguf"), context_tokens=512, threads=1, max_reply_tokens=20)
    )
    where = Places(store=ModelStore(tmp_path), memory=tmp_path / "memory.db", states=tmp_path / "states")

    async def main() -> bytes:
        async with open_dialogue(PIP, settings, where) as opened:
            await talk_with(opened.dialogue, "hello pip", "the red mitten is under the stairs")
            with MemoryStore(tmp_path / "memory.db") as other:
                forget(other, Selection(words=("red mitten",)))
        (saved,) = files(tmp_path / "states", "talk")
        return saved.read_bytes()

    kept = asyncio.run(main())
    with LlamaEngine(tmp_path / "model.gguf", EngineSettings(n_ctx=512, threads=1)) as engine:

        def tokens_of(text: str) -> bytes:
            return array("i", engine.vocabulary.tokenize(text, parse_special=False)[1:]).tobytes()

        assert tokens_of("hello pip") in kept, "they are found where they are"
        assert tokens_of("mitten is under the") not in kept
    assert b"mitten" not in kept


def test_forgetting_waits_for_what_is_being_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly(*args: Any) -> None:
        time.sleep(0.2)  # on the writer's thread: longer than the unlinking takes
        write_state(*args)

    monkeypatch.setattr("device.continuity.write_state", slowly)

    async def main() -> None:
        async with continuity(Cache(), tmp_path) as kept:
            await kept.turn_over(HISTORY, SAVE_EVERY_TURNS)
            await kept.forget_talk()
            assert files(tmp_path, "talk") == []
            await kept.keep_talk(HISTORY, SAVE_EVERY_TURNS)
            assert len(files(tmp_path, "talk")) == 1

    asyncio.run(main())
