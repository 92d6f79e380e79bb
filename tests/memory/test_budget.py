"""What goes into a prompt is the best of what fits, whole."""

from hypothesis import given
from hypothesis import strategies as st

from memory.budget import within_budget

TEXTS = st.lists(st.text(max_size=30), max_size=8)


@given(TEXTS, st.integers(0, 60))
def test_the_budget_is_kept_and_the_order_too(texts: list[str], most: int) -> None:
    chosen = within_budget(texts, most, len)
    assert sum(map(len, chosen)) <= most
    left = iter(texts)
    assert all(text in left for text in chosen)


@given(TEXTS, st.integers(0, 60))
def test_the_first_that_fits_is_always_there(texts: list[str], most: int) -> None:
    fitting = [text for text in texts if len(text) <= most]
    assert within_budget(texts, most, len)[:1] == tuple(fitting[:1])


def test_what_is_too_long_is_left_out_whole_for_a_shorter_one() -> None:
    assert within_budget(["abc", "defgh", "ij"], 5, len) == ("abc", "ij")
