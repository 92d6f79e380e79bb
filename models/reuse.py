"""What of the KV cache can stay when the prompt changes: a pure plan over two lists of tokens.

Between turns a prompt mostly grows at its end, but it also loses parts: the oldest turns when the context is full, the
volatile block (memories, mood, time) once its turn is over. What follows a removed part needs no recomputing: llama.cpp
moves it by rotating its keys (`llama_memory_seq_add`). Moved tokens still "remember" having seen what was removed,
the usual approximation of context shifting; so only removals are planned, never moves around new text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_MOVED_RUN = 8
"""Tokens worth a move: shorter matches are mostly template text and chance. (A move costs one pass over the keys,
some 10 ms for 2048 cells of SmolLM2-135M, whatever the length of the run; to compute so many tokens takes 50.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`length` cached tokens beginning at `start` stay. Runs are in rising order and do not overlap."""

    start: int
    length: int


def plan_reuse(cached: Sequence[int], wanted: Sequence[int], *, can_shift: bool) -> tuple[Run, ...]:
    """The runs of `cached` that, moved together, are the beginning of `wanted`; everything else is to be dropped.

    Without `can_shift` only the common prefix stays.
    """
    target = list(wanted)
    tokens = list(cached)
    prefix = common_prefix(tokens, target)
    runs = [Run(start=0, length=prefix)] if prefix else []
    n_covered, searched = prefix, prefix
    while can_shift and (run := _longest_run(tokens, searched, target, n_covered)):
        runs.append(run)
        n_covered += run.length
        searched = run.start + run.length
    return tuple(runs)


def covered(plan: tuple[Run, ...]) -> int:
    """How many tokens the runs of a plan have together."""
    return sum(run.length for run in plan)


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens at their beginning two sequences have in common."""
    n_common = 0
    for ours, theirs in zip(one, other, strict=False):
        if ours != theirs:
            break
        n_common += 1
    return n_common


def _longest_run(cached: list[int], start: int, target: list[int], at: int) -> Run | None:
    """The longest run of `cached[start:]` that matches `target[at:]`; the earliest of several as long."""
    best_start, best = 0, MIN_MOVED_RUN - 1
    while at + best < len(target):
        try:
            start = cached.index(target[at], start)
        except ValueError:
            break
        # A candidate must beat the best so far: one slice comparison settles most of them.
        if cached[start : start + best + 1] == target[at : at + best + 1]:
            best_start, best = start, common_prefix(cached[start:], target[at:])
        start += 1
    return Run(start=best_start, length=best) if best >= MIN_MOVED_RUN else None
