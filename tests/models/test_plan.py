"""The plan for reusing a KV cache never keeps a wrong token, whatever the two prompts are."""

from hypothesis import given, settings
from hypothesis import strategies as st

from models.reuse import MIN_MOVED_RUN, Run, plan_reuse

LONG = list(range(100, 100 + 2 * MIN_MOVED_RUN))
OTHER = list(range(500, 500 + 2 * MIN_MOVED_RUN))


def kept(plan: tuple[Run, ...], cached: list[int]) -> list[int]:
    return [token for run in plan for token in cached[run.start : run.start + run.length]]


def test_a_growing_prompt_keeps_everything() -> None:
    assert plan_reuse([1, 2, 3], [1, 2, 3, 4, 5], can_shift=True) == (Run(start=0, length=3),)


def test_what_is_wanted_as_it_stands_keeps_everything() -> None:
    assert plan_reuse([1, 2, 3], [1, 2, 3], can_shift=True) == (Run(start=0, length=3),)


def test_nothing_in_common_keeps_nothing() -> None:
    assert plan_reuse([], [1, 2], can_shift=True) == ()
    assert plan_reuse([3, 4], [1, 2], can_shift=True) == ()


def test_a_turn_taken_out_of_the_middle_lets_the_rest_move_up() -> None:
    cached = [1, 2, 3, *range(40), *LONG]
    plan = plan_reuse(cached, [1, 2, 3, *LONG, 9], can_shift=True)
    assert plan == (Run(start=0, length=3), Run(start=43, length=len(LONG)))


def test_two_parts_taken_out_make_three_runs() -> None:
    cached = [1, 2, *range(40), *LONG, 7, 8, *OTHER]
    assert len(plan_reuse(cached, [1, 2, *LONG, *OTHER, 9], can_shift=True)) == 3


def test_a_short_match_is_not_worth_a_move() -> None:
    run = LONG[: MIN_MOVED_RUN - 1]
    assert plan_reuse([1, 2, 77, *run], [1, 2, *run, 9], can_shift=True) == (Run(start=0, length=2),)


def test_nothing_moves_behind_new_text() -> None:
    assert plan_reuse([1, 2, *LONG], [1, 2, 77, *LONG, 9], can_shift=True) == (Run(start=0, length=2),)


def test_a_memory_that_cannot_shift_keeps_its_prefix_only() -> None:
    assert plan_reuse([1, 2, 77, *LONG], [1, 2, *LONG, 9], can_shift=False) == (Run(start=0, length=2),)


def test_the_longest_of_several_matches_is_taken() -> None:
    cached = [1, 77, *LONG[:10], 78, *LONG]
    assert plan_reuse(cached, [1, *LONG, 9], can_shift=True)[1] == Run(start=13, length=len(LONG))


few = st.lists(st.integers(0, 2), max_size=80)
blocks = st.lists(st.sampled_from([LONG, OTHER, [1], [2, 3], [1] * 20]), max_size=6).map(
    lambda parts: [token for part in parts for token in part]
)


@given(cached=few | blocks, wanted=few | blocks, can_shift=st.booleans())
@settings(deadline=None, max_examples=300)
def test_a_plan_is_in_order_and_yields_a_beginning_of_what_is_wanted(
    cached: list[int], wanted: list[int], can_shift: bool
) -> None:
    plan = plan_reuse(cached, wanted, can_shift=can_shift)
    found = kept(plan, cached)
    assert found == wanted[: len(found)]
    end = 0
    for run in plan:
        assert run.start >= end
        assert run.length >= (MIN_MOVED_RUN if run.start else 1)
        end = run.start + run.length
    assert end <= len(cached)


@given(parts=st.lists(st.integers(16, 30), min_size=1, max_size=6), data=st.data())
@settings(deadline=None, max_examples=100)
def test_whatever_is_taken_out_of_distinct_text_costs_no_recomputing(parts: list[int], data: st.DataObject) -> None:
    numbers = iter(range(10_000))
    turns = [[next(numbers) for _ in range(size)] for size in parts]
    stays = data.draw(st.lists(st.booleans(), min_size=len(turns), max_size=len(turns)))
    cached = [token for turn in turns for token in turn]
    wanted = [token for turn, stay in zip(turns, stays, strict=True) if stay for token in turn] + [99_999]
    assert kept(plan_reuse(cached, wanted, can_shift=True), cached) == wanted[:-1]
