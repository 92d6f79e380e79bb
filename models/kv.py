"""The KV cache of a llama.cpp context: the committed conversation, a fork of it for the reply, and their tokens.

The fork shares the cells of what it has in common with the conversation (`llama_memory_seq_cp`: nothing is copied), so
that a reply can be begun on words that may still change, and dropped without a trace. The lists of tokens are the truth
for everyone else: they are changed only after llama.cpp has done the same, and after an abort or an error the cache is
cut back to them. What to keep is planned by `models.reuse`, what belongs in is decided by `models.engine`.
"""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.batch import TokenBatch
from models.errors import ModelError
from models.interrupt import StopSignal, abort_function
from models.loading import LoadedModel
from models.reuse import MIN_MOVED_RUN, Run, common_prefix, covered, plan_reuse

_DECODED, _NO_SLOT, _ABORTED = 0, 1, 2  # answers of llama_decode
_TO_THE_END = -1


@dataclass(slots=True)
class _Branch:
    """One of llama.cpp's sequences, and what stands in it."""

    number: int
    tokens: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """How many of the wanted tokens stand in the cache, and how many of these were moved there."""

    n_tokens: int
    n_moved: int = 0


class KvCache:
    """Blocking, used from one thread at a time. `n_ctx` tokens fit, those that both branches share counted once."""

    def __init__(self, loaded: LoadedModel, *, n_batch: int, may_shift: bool) -> None:
        """`n_batch` tokens are decoded at once. `may_shift` allows moving tokens where the model's memory can."""
        self._loaded = loaded
        self._lib = loaded.lib
        self._memory = self._lib.llama_get_memory(loaded.context)
        # The state of a recurrent layer is one whole: it can be copied, but no part of its past can be taken out.
        self._can_cut = not (
            self._lib.llama_model_is_recurrent(loaded.model) or self._lib.llama_model_is_hybrid(loaded.model)
        )
        self.can_shift: bool = may_shift and self._can_cut and self._lib.llama_memory_can_shift(self._memory)
        self._n_batch = n_batch
        self._batch = TokenBatch(self._lib, n_batch)
        self._abort_callback = ctypes.cast(abort_function(), self._lib.ggml_abort_callback)
        self._stop = StopSignal()
        self._committed, self._fork = _Branch(0), _Branch(1)
        self._active = self._committed
        self._n_shared = 0
        """Tokens at the beginning of the fork whose cells are those of the conversation."""
        self._move_pending = False
        self.n_ctx: int = self._lib.llama_n_ctx(loaded.context)

    @property
    def committed(self) -> tuple[int, ...]:
        """The conversation, in order."""
        return tuple(self._committed.tokens)

    @property
    def forked(self) -> tuple[int, ...]:
        """The fork, what it shares with the conversation included."""
        return tuple(self._fork.tokens)

    @property
    def n_free(self) -> int:
        """Tokens that fit beside the conversation."""
        return self.n_ctx - len(self._committed.tokens)

    @property
    def is_full(self) -> bool:
        """Whether the branch that is being written holds all tokens that fit."""
        return len(self._active.tokens) >= self.n_ctx

    def watch(self, stop: StopSignal) -> None:
        """From now on `stop` aborts decoding, within one node of the compute graph (on a GPU: within one batch)."""
        self._stop = stop  # llama.cpp keeps the address: the object must live as long
        self._lib.llama_set_abort_callback(self._loaded.context, self._abort_callback, stop.address)

    # Branches ---------------------------------------------------------------------------------------------------------

    def settle(self, wanted: Sequence[int]) -> Kept:
        """Make the conversation a beginning of `wanted`, from itself or from the fork, whichever holds more of it; the
        other is gone. Parts that are not wanted any more are taken out, and what follows them is moved up. `decode`
        then goes on with it; after a move at least one token is left to it, which carries the move out."""
        plans = [self._plan(branch, wanted) for branch in (self._committed, self._fork)]
        if covered(plans[1]) > covered(plans[0]):
            self._committed, self._fork = self._fork, self._committed
            plans.reverse()
        self._drop_fork()
        self._active = self._committed
        kept = self._apply(plans[0])
        if self._move_pending and 0 < kept.n_tokens == len(wanted):
            kept = Kept(n_tokens=kept.n_tokens - 1, n_moved=max(0, kept.n_moved - 1))
            self._cut(self._committed, kept.n_tokens)
        return kept

    def fork(self, wanted: Sequence[int], *, aside: bool = False) -> Kept:
        """Make the fork a beginning of `wanted`, without its last token: decoding that gives the logits to sample from.
        The conversation stays as it is, unless turns have left it; then they leave it here too. `aside`: `wanted` has
        nothing to do with the conversation, which stays as it is in any case. `decode` then goes on with the fork."""
        wanted = wanted[:-1]
        plan = () if aside else self._plan(self._committed, wanted)
        n_fork = self._common(self._fork, wanted)
        n_moved = 0
        if covered(plan) >= max(n_fork, self._common(self._committed, wanted)) + MIN_MOVED_RUN:
            self._drop_fork()
            n_fork = 0
            n_moved = self._apply(plan).n_moved
        n_committed = self._common(self._committed, wanted)
        if n_fork and n_fork >= n_committed:
            self._cut(self._fork, n_fork)
            self._n_shared = min(self._n_shared, n_fork)
        else:
            self._drop_fork()
            if n_committed:  # where nothing can be cut, a copy is of all that there is
                copy = (self._memory, self._committed.number, self._fork.number)
                self._lib.llama_memory_seq_cp(*copy, 0, n_committed if self._can_cut else _TO_THE_END)
            self._fork.tokens = self._committed.tokens[:n_committed]
            self._n_shared = n_committed
        self._active = self._fork
        return Kept(n_tokens=len(self._fork.tokens), n_moved=n_moved)

    def forget(self) -> None:
        """Empty the cache."""
        clear_data = True
        self._lib.llama_memory_clear(self._memory, clear_data)
        self._committed.tokens, self._fork.tokens = [], []
        self._n_shared = 0
        self._move_pending = False

    def snapshot(self, n_tokens: int, *, most_bytes: int) -> bytearray | None:
        """What llama.cpp keeps of the first `n_tokens` of the conversation, or of all of it if it has no more; 23 kB a
        token for SmolLM2-135M in f16. Of a part it costs the fork. None where it is larger than `most_bytes`, and where
        it cannot be had: before the first token, of a part of a recurrent conversation, and while a move is pending
        that was stopped before it began."""
        n_tokens = min(n_tokens, len(self._committed.tokens))
        if not n_tokens or self._move_pending or not (self._can_cut or n_tokens == len(self._committed.tokens)):
            return None
        whole = n_tokens == len(self._committed.tokens)
        source = self._committed.number if whole else self._fork.number
        if not whole:
            self._drop_fork()
            self._lib.llama_memory_seq_cp(self._memory, self._committed.number, source, 0, n_tokens)
        context = self._loaded.context
        n_wanted = self._lib.llama_state_seq_get_size(context, source)
        n_bytes, state = 0, bytearray(n_wanted if n_wanted <= most_bytes else 0)
        if state:
            native = (ctypes.c_uint8 * n_wanted).from_buffer(state)
            n_bytes = self._lib.llama_state_seq_get_data(context, native, n_wanted, source)
        if not whole:
            self._remove(self._fork, 0, _TO_THE_END)
        return state if n_bytes == n_wanted else None

    def restore(self, tokens: Sequence[int], state: "ctypes.Array[ctypes.c_uint8]") -> bool:
        """Make the conversation what a snapshot of `tokens` holds; it must come from this very model and these
        settings. False, and an empty cache, where llama.cpp does not take it."""
        self.forget()
        n_bytes = self._lib.llama_state_seq_set_data(self._loaded.context, state, len(state), self._committed.number)
        if n_bytes != len(state):
            self.forget()
            return False
        self._committed.tokens = list(tokens)
        return True

    # Decoding ---------------------------------------------------------------------------------------------------------

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
            part = tokens[start : start + self._n_batch]
            self._batch.fill(part)
            if not self._submit(len(part)):
                return False
            self._active.tokens.extend(part)
        return True

    def decode_one(self, token: int) -> bool:
        """`decode` for a single token, without its bookkeeping: the hot path of generation."""
        self._batch.fill_one(token)
        if not self._submit(1):
            return False
        self._active.tokens.append(token)
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

    def _submit(self, n_tokens: int) -> bool:
        if self._stop.is_set():
            return False
        self._make_room(n_tokens)
        answer = self._batch.decode(self._loaded.context, n_tokens, self._active.number)
        if answer == _DECODED:
            return True
        self._cut_back()
        if answer == _ABORTED:
            return False
        reason = "no room left in its context" if answer == _NO_SLOT else self._loaded.llama.take_complaints()
        raise ModelError(f"llama.cpp could not evaluate the text (code {answer}): {reason or 'no reason given'}")

    def _make_room(self, n_tokens: int) -> None:
        """Where both branches do not fit any more, the conversation loses what it does not share with the fork."""
        own = len(self._fork.tokens) - self._n_shared
        if len(self._committed.tokens) + own + n_tokens > self.n_ctx and self._active is self._fork:
            self._cut(self._committed, self._n_shared)

    def _cut_back(self) -> None:
        """Remove what an unfinished batch left behind: of a memory that cannot lose a part, the fork as a whole;
        everything where keys may be half moved."""
        if self._move_pending:
            self.forget()
        elif not self._remove(self._active, len(self._active.tokens), _TO_THE_END):
            if self._active is self._fork and self._remove(self._fork, 0, _TO_THE_END):
                self._fork.tokens, self._n_shared = [], 0
            else:
                self.forget()

    # Parts of branches ------------------------------------------------------------------------------------------------

    def _plan(self, branch: _Branch, wanted: Sequence[int]) -> tuple[Run, ...]:
        if self._can_cut:
            return plan_reuse(branch.tokens, wanted, can_shift=self.can_shift)
        n_common = self._common(branch, wanted)
        return (Run(start=0, length=n_common),) if n_common else ()

    def _common(self, branch: _Branch, wanted: Sequence[int]) -> int:
        """Tokens at the beginning that can stay."""
        n_common = common_prefix(branch.tokens, wanted)
        return n_common if self._can_cut or n_common == len(branch.tokens) else 0

    def _apply(self, plan: tuple[Run, ...]) -> Kept:
        """Reduce the conversation, now the only branch, to the runs of the plan, moved together."""
        tokens = self._committed.tokens
        kept = [token for run in plan for token in tokens[run.start : run.start + run.length]]
        if not self._drop_around(plan):
            return Kept(n_tokens=0)
        position = n_moved = 0
        for run in plan:
            if run.start != position:
                end = run.start + run.length
                number = self._committed.number
                self._lib.llama_memory_seq_add(self._memory, number, run.start, end, position - run.start)
                n_moved += run.length
            position += run.length
        self._committed.tokens = kept
        self._move_pending = self._move_pending or n_moved > 0
        return Kept(n_tokens=len(kept), n_moved=n_moved)

    def _drop_around(self, plan: tuple[Run, ...]) -> bool:
        """Remove everything between and after the runs. False when the memory could not lose a part and was emptied
        instead."""
        gap_start = 0
        gaps = []
        for run in plan:
            gaps.append((gap_start, run.start))
            gap_start = run.start + run.length
        gaps.append((gap_start, len(self._committed.tokens)))
        for start, end in gaps:
            if start < end and not self._remove(self._committed, start, end):
                self.forget()
                return False
        return True

    def _drop_fork(self) -> None:
        self._cut(self._fork, 0)
        self._n_shared = 0

    def _cut(self, branch: _Branch, n_tokens: int) -> None:
        """Leave the first `n_tokens` of a branch. What a whole sequence loses, every kind of memory can lose."""
        if n_tokens < len(branch.tokens):
            self._remove(branch, n_tokens, _TO_THE_END)
            del branch.tokens[n_tokens:]

    def _remove(self, branch: _Branch, start: int, end: int) -> bool:
        removed: bool = self._lib.llama_memory_seq_rm(self._memory, branch.number, start, end)
        return removed
