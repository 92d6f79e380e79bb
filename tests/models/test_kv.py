"""The cache and its list of tokens stay the same thing, also where llama.cpp cannot do what is asked."""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from models.errors import ModelError
from models.interrupt import StopSignal, abort_function
from models.kv import KvCache
from models.loading import LoadedModel


class RecurrentMemory:
    """Stands for llama.cpp with a recurrent model: its memory can be emptied, but loses no part of its past."""

    llama_token = ctypes.c_int32
    ggml_abort_callback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)

    def __init__(self) -> None:
        self.cells: list[int] = []
        self.answers: list[int] = []
        self.aborts: Callable[[], bool] = lambda: False

    def llama_get_memory(self, _context: object) -> str:
        return "memory"

    def llama_memory_can_shift(self, _memory: object) -> bool:
        return True

    def llama_n_ctx(self, _context: object) -> int:
        return 100

    def llama_set_abort_callback(self, _context: object, callback: Any, data: int) -> None:
        self.aborts = lambda: callback(data)

    def llama_batch_get_one(self, buffer: Any, n: int) -> tuple[Any, int]:
        return buffer, n

    def llama_decode(self, _context: object, batch: tuple[Any, int]) -> int:
        answer = self.answers.pop(0) if self.answers else 0
        self.cells += batch[0][: batch[1]]  # an aborted batch, too, leaves something behind
        return answer

    def llama_memory_seq_rm(self, _memory: object, _sequence: int, start: int, _end: int) -> bool:
        return start >= len(self.cells)

    def llama_memory_clear(self, _memory: object, _data: bool) -> None:
        self.cells = []


class ShiftingMemory(RecurrentMemory):
    """Stands for llama.cpp with attention: a move is noted, and carried out by the next decoding unless that is aborted
    while it rotates the keys. Then some are rotated, and all of them will be once more."""

    def __init__(self) -> None:
        super().__init__()
        self.while_rotating: Callable[[], object] = lambda: None
        self._is_noted = False
        self.n_rotations = 0

    def llama_memory_seq_rm(self, _memory: object, _sequence: int, start: int, end: int) -> bool:
        del self.cells[start : end if end >= 0 else None]
        return True

    def llama_memory_seq_add(self, _memory: object, _sequence: int, _start: int, _end: int, _delta: int) -> None:
        self._is_noted = True

    def llama_memory_clear(self, _memory: object, _data: bool) -> None:
        super().llama_memory_clear(_memory, _data)
        self._is_noted, self.n_rotations = False, 0

    def llama_decode(self, _context: object, batch: tuple[Any, int]) -> int:
        if self._is_noted:
            self.n_rotations += 1
            self.while_rotating()
            self._is_noted = self.aborts() or self.answers[:1] == [-3]
        return 2 if self.aborts() else super().llama_decode(_context, batch)


def recurrent() -> tuple[RecurrentMemory, KvCache]:
    lib = RecurrentMemory()
    return lib, cache_of(lib)


def cache_of(lib: RecurrentMemory) -> KvCache:
    llama = SimpleNamespace(take_complaints=lambda: "a reason")
    loaded = cast("LoadedModel", SimpleNamespace(lib=lib, llama=llama, context="context"))
    return KvCache(loaded, n_batch=4, may_shift=True)


def moved() -> tuple[ShiftingMemory, KvCache, StopSignal]:
    """A cache of which 20 tokens were moved, which llama.cpp has yet to carry out."""
    lib, signal = ShiftingMemory(), StopSignal()
    cache = cache_of(lib)
    cache.watch(signal)
    cache.decode([1, 2, 3, *range(10, 30)])
    assert cache.keep_only([1, *range(10, 40)]) == (21, 20)
    return lib, cache, signal


def test_a_memory_that_only_grows_is_kept_while_the_prompt_grows() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    assert cache.keep_only([1, 2, 3, 4]) == (3, 0)
    cache.decode([4])
    assert lib.cells == [1, 2, 3, 4]


def test_a_memory_that_loses_no_part_is_emptied() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    assert cache.keep_only([1, 2, 9]) == (0, 0)
    assert cache.tokens == ()
    assert lib.cells == []


def test_what_an_aborted_batch_left_behind_is_removed() -> None:
    lib, cache = recurrent()
    lib.answers = [0, 2]
    assert not cache.decode(range(8))
    assert list(cache.tokens) == lib.cells == []


def test_a_move_is_carried_out_once_also_when_it_is_stopped_meanwhile() -> None:
    lib, cache, signal = moved()
    lib.while_rotating = signal.set
    assert not cache.decode(range(30, 40))
    assert list(cache.tokens) == lib.cells == [1, *range(10, 31)]
    cache.watch(StopSignal())
    assert cache.decode(range(31, 40))
    assert list(cache.tokens) == lib.cells == [1, *range(10, 40)]
    assert lib.n_rotations == 1


def test_a_move_stopped_before_it_began_waits_for_the_next_request() -> None:
    lib, cache, signal = moved()
    signal.set()
    assert not cache.decode([30])
    assert cache.keep_only([1, *range(10, 40)]) == (21, 0)
    later = StopSignal()
    cache.watch(later)
    lib.while_rotating = later.set
    assert not cache.decode([30, 31])
    assert list(cache.tokens) == lib.cells == [1, *range(10, 31)]
    assert lib.n_rotations == 1


def test_a_move_that_fails_leaves_nothing_behind() -> None:
    lib, cache, _ = moved()
    lib.answers = [-3]
    with pytest.raises(ModelError, match="a reason"):
        cache.decode([30])
    assert list(cache.tokens) == lib.cells == []
    assert cache.decode([1, 2, 3])
    assert lib.n_rotations == 0


def test_a_failure_names_its_reason() -> None:
    lib, cache = recurrent()
    for answer, reason in ((-3, "a reason"), (1, "no room")):
        lib.answers = [answer]
        with pytest.raises(ModelError, match=reason):
            cache.decode([1])
        assert list(cache.tokens) == lib.cells == []


def test_the_abort_function_reads_the_flag_without_python() -> None:
    signal = StopSignal()
    read = ctypes.cast(abort_function(), ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p))
    assert not read(signal.address)
    signal.set()
    assert read(signal.address)
    assert signal.is_set()
