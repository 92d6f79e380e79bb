"""What speaks for an utterance raises its score, and nothing else changes it."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.messages import Strategy
from memory.scoring import (
    N_EMOTIONS,
    USUAL,
    Candidates,
    Weights,
    congruence,
    evidence,
    is_relevant,
    rarity,
    scores,
    word_scores,
)

STRATEGIES: tuple[Strategy, ...] = ("none", "c-a", "c-m", "s-c", "s-s")
PLACES = {"joy": 17, "sadness": 25, "anger": 2, "curiosity": 7, "neutral": 27}
GAINS = ["words", "meaning", "is_by_asked", "is_statement", "holds_answer", "is_in_time", "importance"]

_SHARE = st.floats(0, 1, width=32)
_AGE_S = st.floats(-1e6, 1e9)
_ROW = st.fixed_dictionaries(
    {
        "words": _SHARE,
        "meaning": st.floats(-1, 1, width=32) | st.just(float("nan")),
        "is_by_asked": st.booleans(),
        "is_statement": st.booleans(),
        "holds_answer": st.booleans(),
        "is_in_time": st.booleans(),
        "age_s": _AGE_S,
        "importance": _SHARE,
        "feeling": _SHARE,
        "n_recalls": st.integers(0, 1000),
        "told_s": st.floats(0, 1e9) | st.just(float("inf")),
    }
)
_ROWS = st.lists(_ROW, min_size=1, max_size=12)
_TYPES = {
    **dict.fromkeys(("words", "meaning", "importance", "feeling"), np.float32),
    **dict.fromkeys(("is_by_asked", "is_statement", "holds_answer", "is_in_time"), np.bool_),
    **dict.fromkeys(("age_s", "told_s"), np.float64),
    "n_recalls": np.int64,
}


def candidates(rows: list[dict[str, float]]) -> Candidates:
    return Candidates(**{name: np.array([row[name] for row in rows], kind) for name, kind in _TYPES.items()})


def feelings(**shares: float) -> np.ndarray:
    result = np.zeros(N_EMOTIONS, np.float32)
    for name, share in shares.items():
        result[PLACES[name]] = share
    return result


@settings(deadline=None, max_examples=150)
@given(rows=_ROWS, strategy=st.sampled_from(STRATEGIES), limit=st.integers(1, 5))
def test_scores_are_finite_and_not_negative(rows: list[dict[str, float]], strategy: Strategy, limit: int) -> None:
    found = scores(candidates(rows), USUAL, strategy, limit)
    assert found.shape == (len(rows),)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


@settings(deadline=None, max_examples=150)
@given(row=_ROW, older_by=st.floats(0, 1e9), strategy=st.sampled_from(["none", "c-a", "c-m"]))
def test_the_newer_of_two_equals_never_scores_lower(row: dict[str, float], older_by: float, strategy: Strategy) -> None:
    older = {**row, "age_s": row["age_s"] + older_by}
    newer_score, older_score = scores(candidates([row, older]), USUAL, strategy, 5)
    assert newer_score >= older_score


@settings(deadline=None, max_examples=150)
@given(
    row=_ROW,
    better=st.sampled_from(
        ["words", "meaning", "is_by_asked", "is_statement", "holds_answer", "is_in_time", "importance"]
    ),
    strategy=st.sampled_from(["none", "c-a", "c-m"]),
)
def test_more_of_anything_that_speaks_for_it_never_scores_lower(
    row: dict[str, float], better: str, strategy: Strategy
) -> None:
    worse_score, better_score = scores(candidates([{**row, better: 0}, {**row, better: 1}]), USUAL, strategy, 5)
    assert better_score >= worse_score


@settings(deadline=None, max_examples=100)
@given(rows=_ROWS, strategy=st.sampled_from(STRATEGIES), limit=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_order_in_which_utterances_come_changes_nothing(
    rows: list[dict[str, float]], strategy: Strategy, limit: int, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = scores(candidates([rows[place] for place in order]), USUAL, strategy, limit)
    assert np.array_equal(shuffled, scores(candidates(rows), USUAL, strategy, limit)[order])


@settings(deadline=None, max_examples=100)
@given(rows=_ROWS, other=_ROW, strategy=st.sampled_from(["none", "c-a", "c-m"]))
def test_another_memory_changes_no_score(
    rows: list[dict[str, float]], other: dict[str, float], strategy: Strategy
) -> None:
    with_other = scores(candidates([*rows, other]), USUAL, strategy, 5)
    assert np.array_equal(with_other[:-1], scores(candidates(rows), USUAL, strategy, 5))


@settings(deadline=None, max_examples=100)
@given(rows=_ROWS, felt=st.lists(_SHARE, min_size=12, max_size=12))
def test_without_a_strategy_feelings_are_ignored(rows: list[dict[str, float]], felt: list[float]) -> None:
    others = [{**row, "feeling": feeling} for row, feeling in zip(rows, felt, strict=False)]
    assert np.array_equal(scores(candidates(rows), USUAL, "none", 5), scores(candidates(others), USUAL, "none", 5))


@settings(deadline=None, max_examples=100)
@given(rows=_ROWS, strategy=st.sampled_from(STRATEGIES), limit=st.integers(1, 5))
def test_where_nothing_is_felt_every_strategy_keeps_the_order(
    rows: list[dict[str, float]], strategy: Strategy, limit: int
) -> None:
    calm = candidates([{**row, "feeling": 0} for row in rows])
    plain = scores(calm, USUAL, "none", limit)
    felt = scores(calm, USUAL, strategy, limit)
    best = int(np.argmax(plain * is_relevant(calm, USUAL)))
    if strategy in ("none", "c-a", "c-m"):
        assert np.array_equal(np.argsort(plain, kind="stable"), np.argsort(felt, kind="stable"))
    else:
        assert felt[best] >= felt.max() - 1e-4


@pytest.mark.parametrize("strategy", ["c-a", "c-m", "s-c", "s-s"])
def test_of_two_alike_the_one_in_the_same_mood_comes_first(strategy: Strategy) -> None:
    row = {
        "words": 0.5,
        "meaning": 0.5,
        "is_by_asked": False,
        "is_statement": True,
        "holds_answer": False,
        "is_in_time": False,
        "age_s": 0.0,
        "importance": 0.5,
        "n_recalls": 0,
        "told_s": float("inf"),
    }
    sad, glad = scores(candidates([{**row, "feeling": 0.8}, {**row, "feeling": 0.0}]), USUAL, strategy, 3)
    assert sad > glad


def test_what_is_alike_in_feeling_only_does_not_come_first_in_a_sequence() -> None:
    row = {
        "is_by_asked": False,
        "is_statement": True,
        "holds_answer": False,
        "is_in_time": False,
        "age_s": 0.0,
        "importance": 0.5,
        "n_recalls": 0,
        "told_s": float("inf"),
    }
    about_it = {**row, "words": 1.0, "meaning": 0.8, "feeling": 0.0}
    about_else = {**row, "words": 0.0, "meaning": 0.1, "feeling": 1.0}
    for strategy in ("s-c", "s-s"):
        first, second = scores(candidates([about_it, about_else]), USUAL, strategy, 1)
        assert first > second


def test_what_was_just_told_is_held_back_for_a_while_and_often_recalled_fades_later() -> None:
    row = {
        "words": 0.5,
        "meaning": 0.5,
        "is_by_asked": False,
        "is_statement": True,
        "holds_answer": False,
        "is_in_time": False,
        "age_s": 3e7,
        "importance": 1.0,
        "feeling": 0.0,
        "n_recalls": 0,
    }
    rows = [{**row, "told_s": told_s} for told_s in (0.0, 600.0, 86400.0, float("inf"))]
    found = scores(candidates(rows), USUAL, "none", 4)
    assert found[0] < found[1] < found[2]
    assert found[3] - found[2] < 1e-6
    seldom, often = scores(
        candidates([{**row, "told_s": float("inf")}, {**row, "told_s": float("inf"), "n_recalls": 9}]), USUAL, "none", 2
    )
    assert often > seldom


def test_nothing_is_worth_nothing_without_weights() -> None:
    nothing = Weights(**dict.fromkeys((each.name for each in fields(Weights)), 0.0))
    rows = [dict.fromkeys(_TYPES, 1.0)]
    assert scores(candidates([{**rows[0], "told_s": float("inf")}]), nothing, "c-a", 1) == 0
    assert evidence(candidates(rows), nothing) == 0


def test_a_mood_is_compared_and_curiosity_is_not() -> None:
    sad, angry, glad, curious = (feelings(**{name: 0.9}) for name in ("sadness", "anger", "joy", "curiosity"))
    alike = congruence(sad, np.stack([sad, angry, glad, curious, feelings(neutral=1.0)]))
    assert alike[0] > alike[1] > 0
    assert np.array_equal(alike[2:], [0, 0, 0])
    assert not congruence(curious, np.stack([curious, sad, glad])).any()


@settings(deadline=None, max_examples=100)
@given(
    asked=st.lists(_SHARE, min_size=N_EMOTIONS, max_size=N_EMOTIONS),
    said=st.lists(st.lists(_SHARE, min_size=N_EMOTIONS, max_size=N_EMOTIONS), min_size=1, max_size=4),
)
def test_congruence_is_a_share(asked: list[float], said: list[list[float]]) -> None:
    found = congruence(np.array(asked, np.float32), np.array(said, np.float32))
    assert ((found >= 0) & (found <= 1 + 1e-5)).all()


def test_a_rare_word_weighs_more_and_none_weighs_less_than_nothing() -> None:
    weights = [rarity(n, 1000) for n in (0, 1, 10, 500, 1000, 1200)]
    assert weights == sorted(weights, reverse=True)
    assert weights[-1] > 0


_PLACES = st.lists(st.integers(0, 19), max_size=8, unique=True).map(sorted)


@settings(deadline=None, max_examples=150)
@given(words=st.lists(_PLACES, min_size=1, max_size=4), questions=st.lists(st.booleans(), min_size=20, max_size=20))
def test_word_scores_are_what_a_count_place_by_place_gives(words: list[list[int]], questions: list[bool]) -> None:
    rarities = [1.0 + number for number in range(len(words))]
    shares, beside = word_scores([np.array(each, np.intp) for each in words], rarities, np.array(questions), USUAL)
    for place in range(20):
        expected, near = 0.0, 0.0
        for said_in, weight in zip(words, rarities, strict=True):
            worth = [
                1.0 if other == place
                else USUAL.answered if other == place - 1 and questions[other]
                else USUAL.beside if abs(other - place) == 1
                else USUAL.near if abs(other - place) == 2
                else 0.0
                for other in said_in
            ]  # fmt: skip
            expected += weight / sum(rarities) * max(worth, default=0.0)
            near += weight / sum(rarities) * any(abs(other - place) <= 1 for other in said_in)
        assert shares[place] == pytest.approx(expected, abs=1e-5)
        assert beside[place] == pytest.approx(near, abs=1e-5)


@settings(deadline=None, max_examples=100)
@given(words=st.lists(_PLACES, min_size=1, max_size=4), place=st.integers(0, 19), word=st.integers(0, 3))
def test_one_more_word_never_scores_lower(words: list[list[int]], place: int, word: int) -> None:
    more = [sorted({*each, place}) if number == word else each for number, each in enumerate(words)]
    rarities, questions = [1.0] * len(words), np.zeros(20, np.bool_)
    before, _ = word_scores([np.array(each, np.intp) for each in words], rarities, questions, USUAL)
    after, _ = word_scores([np.array(each, np.intp) for each in more], rarities, questions, USUAL)
    assert (after >= before - 1e-6).all()


def test_no_word_says_nothing() -> None:
    shares, beside = word_scores([], [], np.zeros(3, np.bool_), replace(USUAL, words=0))
    assert not shares.any()
    assert not beside.any()
