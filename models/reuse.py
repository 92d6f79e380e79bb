"""What of the KV cache can stay when the prompt changes: a pure plan over two lists of tokens.

Between turns a prompt mostly grows at its end, but it also loses parts: the oldest turns when the context is full, the
volatile block (memories, mood, time) once its turn is over. What follows a removed part needs no recomputing: llama.cpp
moves it by rotating its keys (`llama_memory_seq_add`). Moved tokens still "remember" having seen what was removed,
the usual approximation of context shifting; so only removals are planned, never moves around new text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

MIN_MOVED_RUN = 16
"""Tokens worth a move: shorter matches are mostly template text and chance. (A move costs one pass over the keys,
some 10 ms for 2048 cells of SmolLM2-135M, whatever the length of the run.)"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """`length` cached tokens beginning at `start` stay. Runs are in rising order and do not overlap."""

    start: int
    length: int


def plan_reuse(cached: Sequence[int], wanted: Sequence[int], *, can_shift: bool) -> tuple[Run, ...]:
    """The runs of `cached` that, moved together, are the beginning of `wanted`; everything else is to be dropped.

    Without `can_shift` only the common prefix stays. The last wanted token is never covered: decoding it gives the
    logits to sample from.
    """
    target = list(wanted[:-1])
    tokens = list(cached)
    prefix = _match_length(tokens, 0, target, 0)
    runs = [Run(start=0, length=prefix)] if prefix else []
    covered, searched = prefix, prefix
    while can_shift and (run := _longest_run(tokens, searched, target, covered)):
        runs.append(run)
        covered += run.length
        searched = run.start + run.length
    return tuple(runs)


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
            best_start, best = start, _match_length(cached, start, target, at)
        start += 1
    return Run(start=best_start, length=best) if best >= MIN_MOVED_RUN else None


def _match_length(cached: list[int], start: int, target: list[int], at: int) -> int:
    length = 0
    for ours, theirs in zip(cached[start:], target[at:], strict=False):
        if ours != theirs:
            break
        length += 1
    return length
