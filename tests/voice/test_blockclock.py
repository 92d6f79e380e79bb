"""The block clock: positions against time, across gaps, jumps and more blocks than it remembers."""

from hypothesis import given, settings
from hypothesis import strategies as st

from voice.blockclock import BlockClock


def test_nothing_has_passed_before_the_first_block() -> None:
    clock = BlockClock(16_000)

    assert clock.passed(1e6) == 0
    assert clock.time_of(0) is None


def test_samples_pass_one_by_one_at_the_rate() -> None:
    clock = BlockClock(1_000)
    clock.log(0, 10, 5.0)

    assert [clock.passed(now_s) for now_s in (4.9, 5.0, 5.001, 5.0049, 5.010, 6.0)] == [0, 0, 1, 4, 10, 10]
    assert clock.time_of(3) == 5.003


def test_a_gap_between_blocks_passes_nothing() -> None:
    clock = BlockClock(1_000)
    clock.log(0, 10, 5.0)
    clock.log(10, 10, 6.0)  # silence from 5.01 to 6.0
    clock.log(20, 10, 6.01)

    assert [clock.passed(now_s) for now_s in (5.005, 5.5, 6.0, 6.004, 6.015)] == [5, 10, 10, 14, 25]
    assert clock.time_of(9) == 5.009
    assert clock.time_of(10) == 6.0


def test_what_is_older_than_the_log_passed_long_ago() -> None:
    clock = BlockClock(1_000)
    for block in range(5_000):
        clock.log(block * 10, 10, 100 + block * 0.01)

    assert clock.passed(149.9995) == 49_999
    assert abs((clock.time_of(0) or 0) - 100) < 1e-6


@settings(deadline=None, max_examples=100)
@given(
    blocks=st.lists(st.tuples(st.integers(1, 200), st.floats(-0.05, 0.2)), min_size=1, max_size=30),
    steps=st.lists(st.floats(0, 0.1), min_size=1, max_size=50),
)
def test_the_count_never_falls_however_the_device_guesses_its_delay(
    blocks: list[tuple[int, float]], steps: list[float]
) -> None:
    clock = BlockClock(16_000)
    coming = iter(blocks)
    first, now_s, last = 0, 0.0, 0
    for step_s in steps:
        now_s += step_s
        if (block := next(coming, None)) is not None:
            clock.log(first, block[0], now_s + block[1])
            first += block[0]
        passed = clock.passed(now_s)
        assert last <= passed <= first
        last = passed
