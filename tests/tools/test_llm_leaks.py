"""Dropped words leave no trace, and if they did, the search for leaks would find it."""

import random

import pytest

from models.messages import Message
from tools.llm_leaks import Side, run_leaks

RUNS = 60


def test_dropped_words_leave_no_trace() -> None:
    run = run_leaks(runs=RUNS, say=lambda line: None, seed=5)
    assert (run.n_other_replies, run.n_other_tokens, run.n_other_states) == (0, 0, 0)
    assert run.n_runs == run.n_states == RUNS
    assert run.n_dropped > RUNS
    assert run.n_evictions > 0, "also while the oldest turns leave"


def test_words_that_stay_in_the_history_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = Side.guess

    def leaking(side: Side, words: str, volatile: str, chance: random.Random) -> int:
        side.session.history.append(Message(role="user", text="psst"))
        return dropped(side, words, volatile, chance)

    monkeypatch.setattr(Side, "guess", leaking)
    run = run_leaks(runs=6, say=lambda line: None)
    assert run.n_other_tokens == run.n_other_states == 6


def test_a_cache_that_was_computed_after_other_words_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    dropped = Side.guess

    def leaking(side: Side, words: str, volatile: str, chance: random.Random) -> int:
        n_guesses = dropped(side, words, volatile, chance)
        if not side.session.history:  # as if the words between two kept parts had been seen by the second
            whole = side.prompts.build_idle([]).tokens
            side.engine.settle((*whole[:20], *whole[40:60], *whole[20:]))
            side.engine.settle(whole)
        return n_guesses

    monkeypatch.setattr(Side, "guess", leaking)
    run = run_leaks(runs=1, say=lambda line: None)
    assert (run.n_other_tokens, run.n_other_states) == (0, 1), "the tokens are the same, what llama.cpp keeps is not"
