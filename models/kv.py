"""Sequence 0 of a llama.cpp context, and the list of tokens that stand in it.

The list is the truth for everyone else: it is changed only after llama.cpp has done the same, and after an abort or an
error the cache is cut back to it. What to keep is decided by `models.reuse`.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

from models.errors import ModelError
from models.interrupt import StopSignal, abort_function
from models.loading import LoadedModel
from models.reuse import Run, plan_reuse

_SEQUENCE = 0
_DECODED, _NO_SLOT, _ABORTED = 0, 1, 2  # answers of llama_decode


class KvCache:
    """Blocking, used from one thread at a time. `n_ctx` tokens fit."""

    def __init__(self, loaded: LoadedModel, *, n_batch: int, may_shift: bool) -> None:
        """`n_batch` tokens are decoded at once. `may_shift` allows moving tokens where the model's memory can."""
        self._loaded = loaded
        self._lib = loaded.lib
        self._memory = self._lib.llama_get_memory(loaded.context)
        self._can_shift: bool = may_shift and self._lib.llama_memory_can_shift(self._memory)
        self._n_batch = n_batch
        self._buffer = (self._lib.llama_token * n_batch)()
        self._one = self._lib.llama_batch_get_one(self._buffer, 1)
        self._abort_callback = ctypes.cast(abort_function(), self._lib.ggml_abort_callback)
        self._stop = StopSignal()
        self._tokens: list[int] = []
        self._move_pending = False
        self.n_ctx: int = self._lib.llama_n_ctx(loaded.context)

    @property
    def tokens(self) -> tuple[int, ...]:
        """What stands in the cache, in order."""
        return tuple(self._tokens)

    @property
    def is_full(self) -> bool:
        return len(self._tokens) >= self.n_ctx

    def watch(self, stop: StopSignal) -> None:
        """From now on `stop` aborts decoding, within one node of the compute graph (on a GPU: within one batch)."""
        self._stop = stop  # llama.cpp keeps the address: the object must live as long
        self._lib.llama_set_abort_callback(self._loaded.context, self._abort_callback, stop.address)

    def keep_only(self, wanted: Sequence[int]) -> tuple[int, int]:
        """Drop everything but a beginning of `wanted`. Returns how many of its tokens stand in the cache now, and how
        many of these were moved."""
        plan = plan_reuse(self._tokens, wanted, can_shift=self._can_shift)
        kept = [token for run in plan for token in self._tokens[run.start : run.start + run.length]]
        if not self._drop_around(plan):
            return 0, 0
        position = n_moved = 0
        for run in plan:
            if run.start != position:
                end = run.start + run.length
                self._lib.llama_memory_seq_add(self._memory, _SEQUENCE, run.start, end, position - run.start)
                n_moved += run.length
            position += run.length
        self._tokens = kept
        self._move_pending = self._move_pending or n_moved > 0
        return len(kept), n_moved

    def decode(self, tokens: Sequence[int]) -> bool:
        """Append tokens, batch by batch; the logits of the last one are then ready. False when the watched signal
        stopped it, with the whole batches before that kept.

        Raises ModelError when llama.cpp fails.
        """
        n_done = 0
        if self._move_pending and tokens:
            if not self._finish_move(tokens[0]):
                return False
            n_done = 1
        for start in range(n_done, len(tokens), self._n_batch):
            batch = tokens[start : start + self._n_batch]
            self._buffer[: len(batch)] = batch
            if not self._submit(self._lib.llama_batch_get_one(self._buffer, len(batch))):
                return False
            self._tokens.extend(batch)
        return True

    def decode_one(self, token: int) -> bool:
        """`decode` for a single token, without its bookkeeping: the hot path of generation."""
        self._buffer[0] = token
        if not self._submit(self._one):
            return False
        self._tokens.append(token)
        return True

    def _finish_move(self, token: int) -> bool:
        """Append the token with which llama.cpp carries out a move: only now it rotates the keys, in place and layer by
        layer. Broken off there it would rotate all of them once more the next time, so nothing stops this one; a
        single token keeps the wait short (move and token: 16 ms for SmolLM2-135M, one thread, 400 tokens). False when
        the watched signal was set before."""
        stop = self._stop
        if stop.is_set():
            return False
        self.watch(StopSignal())
        try:
            done = self.decode_one(token)
        finally:
            self.watch(stop)
        self._move_pending = False
        return done

    def _submit(self, batch: Any) -> bool:
        if self._stop.is_set():
            return False
        answer = self._lib.llama_decode(self._loaded.context, batch)
        if answer == _DECODED:
            return True
        self._cut_back()
        if answer == _ABORTED:
            return False
        reason = "no room left in its context" if answer == _NO_SLOT else self._loaded.llama.take_complaints()
        raise ModelError(f"llama.cpp could not evaluate the text (code {answer}): {reason or 'no reason given'}")

    def _cut_back(self) -> None:
        """Remove what an unfinished batch left behind; everything where keys may be half moved."""
        if self._move_pending or not self._lib.llama_memory_seq_rm(self._memory, _SEQUENCE, len(self._tokens), -1):
            self._forget()

    def _drop_around(self, plan: tuple[Run, ...]) -> bool:
        """Remove everything between and after the runs. False when the memory cannot lose a part (a recurrent model)
        and was emptied instead."""
        gap_start = 0
        gaps = []
        for run in plan:
            gaps.append((gap_start, run.start))
            gap_start = run.start + run.length
        gaps.append((gap_start, len(self._tokens)))
        for start, end in gaps:
            if start < end and not self._lib.llama_memory_seq_rm(self._memory, _SEQUENCE, start, end):
                self._forget()
                return False
        return True

    def _forget(self) -> None:
        clear_data = True
        self._lib.llama_memory_clear(self._memory, clear_data)
        self._tokens = []
        self._move_pending = False
