"""From measurements to a choice: the largest that fits and speaks faster than people listen, and why."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device.tuning import (
    LEAST_DECODE_TPS,
    MOST_FIRST_CLAUSE_S,
    RESERVED_BYTES,
    Candidate,
    EngineTuning,
    Speeds,
    Verdict,
    choose,
    explain,
    first_clause_s,
    judge,
    memory_budget_bytes,
    tuning_for,
)
from models.catalog import load_catalog
from tests.device.measured import candidate, measurement

GB = 1_000_000_000
SMALL = candidate("small")
MIDDLE = candidate("middle", path=None, size_bytes=400 * 10**6, n_parameters=360e6, kv_bytes=None)
LARGE = candidate("large", path=None, size_bytes=4 * GB, n_parameters=7e9, kv_bytes=None)


def verdicts(*candidates: Candidate, budget_bytes: int = 16 * GB) -> list[Verdict]:
    return judge(candidates, [measurement()], n_ctx=2048, budget_bytes=budget_bytes)


def test_a_measured_model_is_judged_by_its_own_figures() -> None:
    (verdict,) = verdicts(SMALL)
    assert verdict.measured
    assert verdict.speeds == measurement().full
    assert verdict.first_clause_s == pytest.approx(40 / 110 + 12 / 61)
    assert verdict.objection == ""
    assert verdict.tuning == EngineTuning(
        threads=1, batch_tokens=64, gpu_layers=0, kv_type="f16", flash_attention=False
    )


def test_a_model_twice_as_large_decodes_half_as_fast() -> None:
    twice = replace(
        SMALL, path=None, name="twice", size_bytes=2 * 96_576_768, n_parameters=2 * 134_515_008, kv_bytes=46_080
    )
    (verdict,) = verdicts(twice)
    assert not verdict.measured
    assert verdict.basis == "small"
    assert verdict.speeds.decode_tps == pytest.approx(61 / 2)
    # Attention's part of a prompt's token grows less than the weights' part.
    assert 110 / 2 < verdict.speeds.prefill_tps < 110


def test_what_a_full_context_adds_grows_with_its_length_of_a_measured_model_too() -> None:
    def decode_tps(one: Candidate, n_ctx: int) -> float:
        return judge([one], [measurement()], n_ctx=n_ctx, budget_bytes=16 * GB)[0].speeds.decode_tps

    weights_s, cache_s = 1 / 92, 1 / 61 - 1 / 92
    assert decode_tps(SMALL, 2048) == 61
    assert decode_tps(SMALL, 8192) == pytest.approx(1 / (weights_s + 4 * cache_s))
    assert decode_tps(SMALL, 1024) == pytest.approx(1 / (weights_s + cache_s / 2))
    twin = replace(SMALL, path=None, name="twin", size_bytes=96_576_768)
    for n_ctx in (512, 2048, 32_768):
        assert decode_tps(twin, n_ctx) == pytest.approx(decode_tps(SMALL, n_ctx)), "measured or estimated"


def test_a_prompt_waits_longer_in_a_longer_context() -> None:
    (short,), (long,) = (
        judge([SMALL], [measurement()], n_ctx=n_ctx, budget_bytes=16 * GB) for n_ctx in (2048, 131_072)
    )
    assert short.objection == ""
    assert long.speeds.prefill_tps == pytest.approx(1 / (1 / 175 + 64 * (1 / 110 - 1 / 175)))
    assert "its first clause would take" in long.objection


def test_of_two_back_ends_the_one_that_is_quicker_in_this_context_runs_the_model() -> None:
    """One that was measured in a shorter context is not quicker for that."""
    here = measurement(threads=2)
    shorter = measurement(threads=3, n_ctx=256, full=Speeds(prefill_tps=120.0, decode_tps=65.0))
    (verdict,) = judge([SMALL], [shorter, here], n_ctx=2048, budget_bytes=GB)
    assert verdict.tuning.threads == 2


def test_the_largest_that_will_do_is_chosen_and_the_next_is_explained() -> None:
    found = verdicts(SMALL, LARGE, MIDDLE)
    assert [verdict.candidate.name for verdict in found] == ["large", "middle", "small"]
    best = choose(found)
    assert best is not None
    assert best.candidate.name == "small"
    why, why_not = explain(best, found)
    assert why.startswith("small is the largest that fits and speaks faster than people listen: 61 tokens/s")
    assert "(measured)" in why
    assert why_not.startswith("The next larger, middle: its first clause would take")


def test_what_does_not_fit_into_memory_is_not_chosen() -> None:
    (verdict,) = verdicts(SMALL, budget_bytes=10**8)
    assert verdict.objection == "it needs 0.2 GB of memory where 0.1 GB are for it"


def test_a_cache_is_quantized_only_where_the_model_would_not_fit_otherwise() -> None:
    wide = replace(SMALL, kv_bytes=1_000_000)  # 2 GB of cache in f16, 1.1 in q8_0
    (roomy,), (tight,), (none,) = (verdicts(wide, budget_bytes=budget * 10**8) for budget in (25, 15, 11))
    assert (roomy.tuning.kv_type, tight.tuning.kv_type, none.tuning.kv_type) == ("f16", "q8_0", "f16")
    assert tight.speeds == measurement().full_q8
    assert tight.memory_bytes < roomy.memory_bytes
    assert none.objection.startswith("it needs")
    without = measurement(full_q8=None)
    assert judge([wide], [without], n_ctx=2048, budget_bytes=15 * 10**8)[0].tuning.kv_type == "f16"


def test_of_two_back_ends_the_quicker_runs_the_model() -> None:
    on_gpu = measurement(gpu_layers=-1, batch_tokens=512, full=Speeds(prefill_tps=900.0, decode_tps=200.0))
    (verdict,) = judge([SMALL], [measurement(), on_gpu], n_ctx=2048, budget_bytes=GB)
    assert (verdict.tuning.gpu_layers, verdict.tuning.batch_tokens) == (-1, 512)
    assert "200 tokens/s" in explain(verdict, [verdict])[0]


def test_an_estimate_rests_on_the_model_nearest_in_size() -> None:
    middle = measurement("middle", file_bytes=380 * 10**6, threads=3)
    tuning = tuning_for(MIDDLE, [measurement(), middle], n_ctx=2048, budget_bytes=GB)
    assert tuning is not None
    assert tuning.threads == 3


def test_where_none_will_do_the_smallest_is_taken_and_that_is_said() -> None:
    found = verdicts(LARGE, MIDDLE, budget_bytes=10**8)
    best = choose(found)
    assert best is not None
    assert best.candidate.name == "middle"
    (sentence,) = explain(best, found)
    assert sentence.startswith("None of them will do. middle comes nearest")


def test_without_a_measurement_nothing_is_said() -> None:
    assert judge([SMALL], [], n_ctx=2048, budget_bytes=GB) == []
    assert choose([]) is None
    assert tuning_for(SMALL, [], n_ctx=2048, budget_bytes=GB) is None


@pytest.mark.parametrize(("total_gb", "budget_gb"), [(0.5, 0.0), (1.0, 0.3), (2.0, 1.3), (4.0, 2.8), (8.0, 5.6)])
def test_ears_voice_and_system_keep_their_memory(total_gb: float, budget_gb: float) -> None:
    assert memory_budget_bytes(int(total_gb * GB)) == pytest.approx(budget_gb * GB, abs=10**6)
    assert memory_budget_bytes(int(total_gb * GB)) <= max(0, total_gb * GB - RESERVED_BYTES)


def test_every_model_of_the_catalogue_is_judged() -> None:
    entries = [entry for entry in load_catalog().entries if entry.kind == "llm"]
    found = judge(
        (
            candidate(
                entry.name,
                path=None,
                size_bytes=entry.size_bytes,
                n_parameters=(entry.parameters_b or 0) * 1e9,
                kv_bytes=entry.kv_bytes_per_token,
            )
            for entry in entries
        ),
        [measurement()],
        n_ctx=2048,
        budget_bytes=16 * GB,
    )
    best = choose(found)
    assert len(found) == len(entries)
    assert best is not None
    assert len(explain(best, found)) == 2


speeds = st.floats(0.5, 5000.0)
sizes = st.integers(10**7, 10**10)


@settings(deadline=None, max_examples=200)
@given(
    budget=st.integers(0, 10**11),
    empty=st.tuples(speeds, speeds),
    full=st.tuples(speeds, speeds),
    files=st.lists(sizes, min_size=1, max_size=6, unique=True),
)
def test_the_choice_meets_the_criteria_and_nothing_larger_does(
    budget: int, empty: tuple[float, float], full: tuple[float, float], files: list[int]
) -> None:
    measured = measurement(
        empty=Speeds(prefill_tps=empty[0], decode_tps=empty[1]), full=Speeds(prefill_tps=full[0], decode_tps=full[1])
    )
    models = [candidate(f"m{n}", path=None, size_bytes=n, n_parameters=n * 1.8, kv_bytes=None) for n in files]
    found = judge(models, [measured], n_ctx=2048, budget_bytes=budget)
    best = choose(found)
    assert best is not None

    def will_do(verdict: Verdict) -> bool:
        quick = verdict.speeds.decode_tps >= LEAST_DECODE_TPS
        return quick and first_clause_s(verdict.speeds) <= MOST_FIRST_CLAUSE_S and verdict.memory_bytes <= budget

    assert all(will_do(verdict) == (verdict.objection == "") for verdict in found)
    able = [verdict.candidate.size_bytes for verdict in found if will_do(verdict)]
    assert best.candidate.size_bytes == (max(able) if able else min(files))
    assert all(sentence.endswith((".", ")")) and sentence for sentence in explain(best, found))
