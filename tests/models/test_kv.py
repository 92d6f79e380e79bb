"""The cache and its lists of tokens stay the same thing, also where llama.cpp cannot do what is asked."""

import ctypes
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from models.errors import ModelError
from models.interrupt import StopSignal, abort_function
from models.kv import Kept, KvCache
from models.loading import LoadedModel

N_CTX = 100


class Batch(ctypes.Structure):
    _fields_: ClassVar = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
    ]


class RecurrentMemory:
    """Stands for llama.cpp with a recurrent model: a sequence can be copied and emptied, but loses no part of its
    past."""

    llama_token = llama_seq_id = ctypes.c_int32
    llama_batch = Batch
    ggml_abort_callback = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p)

    def __init__(self) -> None:
        self.cells: list[list[int]] = [[], []]
        self.answers: list[int] = []
        self.aborts: Callable[[], bool] = lambda: False

    def llama_get_memory(self, _context: object) -> str:
        return "memory"

    def llama_model_is_recurrent(self, _model: object) -> bool:
        return True

    def llama_model_is_hybrid(self, _model: object) -> bool:
        return False

    def llama_memory_can_shift(self, _memory: object) -> bool:
        return True

    def llama_n_ctx(self, _context: object) -> int:
        return N_CTX

    def llama_set_abort_callback(self, _context: object, callback: Any, data: int) -> None:
        self.aborts = lambda: callback(data)

    def llama_decode(self, _context: object, batch: Batch) -> int:
        answer = self.answers.pop(0) if self.answers else 0
        cells = self.cells[batch.seq_id[batch.n_tokens - 1][0]]
        cells += batch.token[: batch.n_tokens]  # an aborted batch, too, leaves something behind
        return answer

    def llama_memory_seq_cp(self, _memory: object, source: int, target: int, start: int, end: int) -> None:
        assert (start, end) == (0, -1)
        self.cells[target] = self.cells[source][:]

    def llama_memory_seq_rm(self, _memory: object, sequence: int, start: int, _end: int) -> bool:
        if start == 0:
            self.cells[sequence] = []
        return start == 0 or start >= len(self.cells[sequence])

    def llama_memory_clear(self, _memory: object, _data: bool) -> None:
        self.cells = [[], []]


class ShiftingMemory(RecurrentMemory):
    """Stands for llama.cpp with attention: a move is noted, and carried out by the next decoding unless that is aborted
    while it rotates the keys. Then some are rotated, and all of them will be once more."""

    def __init__(self) -> None:
        super().__init__()
        self.while_rotating: Callable[[], object] = lambda: None
        self._is_noted = False
        self.n_rotations = 0

    def llama_model_is_recurrent(self, _model: object) -> bool:
        return False

    def llama_memory_seq_cp(self, _memory: object, source: int, target: int, start: int, end: int) -> None:
        self.cells[target] = self.cells[source][start:end]

    def llama_memory_seq_rm(self, _memory: object, sequence: int, start: int, end: int) -> bool:
        del self.cells[sequence][start : end if end >= 0 else None]
        return True

    def llama_memory_seq_add(self, _memory: object, sequence: int, _start: int, _end: int, _delta: int) -> None:
        assert not self.cells[1 - sequence], "a cell has one position: what is shared cannot move for one alone"
        self._is_noted = True

    def llama_memory_clear(self, _memory: object, _data: bool) -> None:
        super().llama_memory_clear(_memory, _data)
        self._is_noted, self.n_rotations = False, 0

    def llama_decode(self, _context: object, batch: Batch) -> int:
        if self._is_noted:
            self.n_rotations += 1
            self.while_rotating()
            self._is_noted = self.aborts() or self.answers[:1] == [-3]
        return 2 if self.aborts() else super().llama_decode(_context, batch)


def recurrent() -> tuple[RecurrentMemory, KvCache]:
    lib = RecurrentMemory()
    return lib, cache_of(lib)


def attentive() -> tuple[ShiftingMemory, KvCache]:
    lib = ShiftingMemory()
    return lib, cache_of(lib)


def cache_of(lib: RecurrentMemory) -> KvCache:
    llama = SimpleNamespace(take_complaints=lambda: "a reason")
    loaded = cast("LoadedModel", SimpleNamespace(lib=lib, llama=llama, context="context", model="model"))
    return KvCache(loaded, n_batch=4, may_shift=True)


def moved() -> tuple[ShiftingMemory, KvCache, StopSignal]:
    """A cache of which 20 tokens were moved, which llama.cpp has yet to carry out."""
    lib, cache = attentive()
    signal = StopSignal()
    cache.watch(signal)
    cache.decode([1, 2, 3, *range(10, 30)])
    assert cache.settle([1, *range(10, 40)]) == Kept(n_tokens=21, n_moved=20)
    return lib, cache, signal


def holds(lib: RecurrentMemory, cache: KvCache, *, committed: list[int], forked: list[int]) -> bool:
    """Whether both branches hold these tokens, in the lists and in llama.cpp."""
    lists = [list(cache.committed), list(cache.forked)]
    return lists == [committed, forked] and sorted(lib.cells) == sorted(lists)


# Branches -------------------------------------------------------------------------------------------------------------


def test_a_fork_grows_beside_the_conversation() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3])
    assert cache.fork([1, 2, 3, 4, 5]) == Kept(n_tokens=3)
    cache.decode([4, 5])
    assert holds(lib, cache, committed=[1, 2, 3], forked=[1, 2, 3, 4, 5])


def test_a_fork_keeps_what_it_has_in_common_with_the_next_one() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3])
    cache.fork([1, 2, 3, 4, 5, 6])
    cache.decode([4, 5, 6])
    assert cache.fork([1, 2, 3, 4, 9, 9]) == Kept(n_tokens=4)
    assert holds(lib, cache, committed=[1, 2, 3], forked=[1, 2, 3, 4])
    assert cache.fork([1, 2, 7, 7]) == Kept(n_tokens=2)
    assert holds(lib, cache, committed=[1, 2, 3], forked=[1, 2])


def test_a_settled_fork_is_the_conversation() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3])
    cache.fork([1, 2, 3, 4, 5])
    cache.decode([4, 5])
    assert cache.settle([1, 2, 3, 4, 5, 6]) == Kept(n_tokens=5)
    cache.decode([6])
    assert holds(lib, cache, committed=[1, 2, 3, 4, 5, 6], forked=[])


def test_a_fork_that_is_not_settled_leaves_nothing_behind() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3])
    cache.fork([1, 2, 3, 4, 5])
    cache.decode([4, 5])
    assert cache.settle([1, 2, 3]) == Kept(n_tokens=3)
    assert holds(lib, cache, committed=[1, 2, 3], forked=[])


def test_what_stood_before_the_newest_words_is_taken_out_of_a_settled_fork() -> None:
    lib, cache = attentive()
    cache.decode([1, 2])
    cache.fork([1, 2, 50, 51, *range(10, 30)])
    cache.decode([50, 51, *range(10, 30)])
    assert cache.settle([1, 2, *range(10, 30), 5]) == Kept(n_tokens=22, n_moved=20)
    assert holds(lib, cache, committed=[1, 2, *range(10, 30)], forked=[])


def test_turns_that_left_the_prompt_leave_the_conversation_before_it_is_forked() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3, *range(10, 30)])
    assert cache.fork([1, *range(10, 30), 5, 6]) == Kept(n_tokens=21, n_moved=20)
    assert holds(lib, cache, committed=[1, *range(10, 30)], forked=[1, *range(10, 30)])


def test_where_both_do_not_fit_the_conversation_gives_way() -> None:
    lib, cache = attentive()
    cache.decode(range(60))
    cache.fork([*range(20), *range(200, 261)])
    cache.decode(range(200, 261))
    assert holds(lib, cache, committed=list(range(20)), forked=[*range(20), *range(200, 261)])
    assert not cache.is_full
    cache.decode(range(300, 319))
    assert cache.is_full


def test_a_recurrent_conversation_is_forked_whole() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    assert cache.fork([1, 2, 3, 4, 5]) == Kept(n_tokens=3)
    cache.decode([4, 5])
    assert cache.fork([1, 2, 3, 9]) == Kept(n_tokens=3)
    assert holds(lib, cache, committed=[1, 2, 3], forked=[1, 2, 3])


def test_a_fork_of_nothing_begins_with_nothing() -> None:
    for lib, cache in (recurrent(), attentive()):
        cache.decode([1, 2, 3])
        assert cache.fork([7, 8, 9]) == Kept(n_tokens=0)
        cache.decode([7, 8, 9])
        assert holds(lib, cache, committed=[1, 2, 3], forked=[7, 8, 9])


def test_what_loses_no_part_is_not_said_to_move() -> None:
    assert not recurrent()[1].can_shift
    assert attentive()[1].can_shift


def test_a_recurrent_conversation_computes_its_turn_anew_without_what_stood_before_it() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    cache.fork([1, 2, 3, 50, *range(10, 30)])
    cache.decode([50, *range(10, 30)])
    assert cache.settle([1, 2, 3, *range(10, 30)]) == Kept(n_tokens=3)
    assert holds(lib, cache, committed=[1, 2, 3], forked=[])


# Where llama.cpp cannot do it -----------------------------------------------------------------------------------------


def test_a_memory_that_only_grows_is_kept_while_the_prompt_grows() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    assert cache.settle([1, 2, 3, 4]) == Kept(n_tokens=3)
    cache.decode([4])
    assert holds(lib, cache, committed=[1, 2, 3, 4], forked=[])


def test_a_memory_that_loses_no_part_is_emptied() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    assert cache.settle([1, 2, 9]) == Kept(n_tokens=0)
    assert holds(lib, cache, committed=[], forked=[])


def test_what_an_aborted_batch_left_behind_is_removed() -> None:
    lib, cache = recurrent()
    lib.answers = [0, 2]
    assert not cache.decode(range(8))
    assert holds(lib, cache, committed=[], forked=[])


def test_an_aborted_fork_costs_the_conversation_nothing() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3])
    cache.fork([1, 2, 3, *range(10, 20)])
    lib.answers = [0, 2]
    assert not cache.decode(range(10, 20))
    assert holds(lib, cache, committed=[1, 2, 3], forked=[1, 2, 3, 10, 11, 12, 13])


def test_an_aborted_fork_of_a_recurrent_conversation_is_gone_alone() -> None:
    lib, cache = recurrent()
    cache.decode([1, 2, 3])
    cache.fork([1, 2, 3, *range(10, 20)])
    lib.answers = [0, 2]
    assert not cache.decode(range(10, 20))
    assert holds(lib, cache, committed=[1, 2, 3], forked=[])


def test_a_move_is_carried_out_once_also_when_it_is_stopped_meanwhile() -> None:
    lib, cache, signal = moved()
    lib.while_rotating = signal.set
    assert not cache.decode(range(30, 40))
    assert holds(lib, cache, committed=[1, *range(10, 31)], forked=[])
    cache.watch(StopSignal())
    assert cache.decode(range(31, 40))
    assert holds(lib, cache, committed=[1, *range(10, 40)], forked=[])
    assert lib.n_rotations == 1


def test_a_move_stopped_before_it_began_waits_for_the_next_request() -> None:
    lib, cache, signal = moved()
    signal.set()
    assert not cache.decode([30])
    assert cache.settle([1, *range(10, 40)]) == Kept(n_tokens=21)
    later = StopSignal()
    cache.watch(later)
    lib.while_rotating = later.set
    assert not cache.decode([30, 31])
    assert holds(lib, cache, committed=[1, *range(10, 31)], forked=[])
    assert lib.n_rotations == 1


def test_a_move_leaves_a_token_to_decode_that_carries_it_out() -> None:
    lib, cache = attentive()
    cache.decode([1, 2, 3, *range(10, 30)])
    assert cache.settle([1, *range(10, 30)]) == Kept(n_tokens=20, n_moved=19)
    assert holds(lib, cache, committed=[1, *range(10, 29)], forked=[])
    assert cache.decode([29])
    assert lib.n_rotations == 1


def test_a_move_that_was_stopped_leaves_a_token_to_the_next_request() -> None:
    _, cache, signal = moved()
    signal.set()
    assert not cache.decode(range(30, 40))
    assert cache.settle([1, *range(10, 30)]) == Kept(n_tokens=20)
    cache.watch(StopSignal())
    assert cache.decode([29])
    assert cache.settle([1, *range(10, 30)]) == Kept(n_tokens=21)


def test_a_move_that_fails_leaves_nothing_behind() -> None:
    lib, cache, _ = moved()
    lib.answers = [-3]
    with pytest.raises(ModelError, match="a reason"):
        cache.decode([30])
    assert holds(lib, cache, committed=[], forked=[])
    assert cache.decode([1, 2, 3])
    assert lib.n_rotations == 0


def test_a_failure_names_its_reason() -> None:
    lib, cache = recurrent()
    for answer, reason in ((-3, "a reason"), (1, "no room")):
        lib.answers = [answer]
        with pytest.raises(ModelError, match=reason):
            cache.decode([1])
        assert holds(lib, cache, committed=[], forked=[])


def test_the_abort_function_reads_the_flag_without_python() -> None:
    signal = StopSignal()
    read = ctypes.cast(abort_function(), ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p))
    assert not read(signal.address)
    signal.set()
    assert read(signal.address)
    assert signal.is_set()
