"""The report on the engine: figures, targets and verdicts from what was measured."""

import json
from dataclasses import replace
from math import nan

import pytest

from tools.library_chat import LibraryTurn
from tools.llm_abort import AbortRun, Stop
from tools.llm_conversation import ConversationRun, OurTurn
from tools.llm_leaks import LeakRun
from tools.llm_report import (
    Figure,
    Part,
    Report,
    abort_part,
    as_json,
    as_text,
    conversation_part,
    restart_part,
    shapes_part,
    speculation_part,
    speed_part,
)
from tools.llm_restart import RestartRun
from tools.llm_speculation import SpeculationRun
from tools.llm_speed import SpeedPair, SpeedRun
from tools.speed_table import ShapeSpeed, SpeedTable

ABOUT = {"model": "smollm2-135m", "threads": "1"}

SPEED = SpeedRun(
    prefill=tuple(SpeedPair(ours_tok_s=170, raw_tok_s=raw) for raw in (170, 172, 90)),
    decode=tuple(SpeedPair(ours_tok_s=ours, raw_tok_s=85) for ours in (80, 82, 20)),
    n_prompt=193,
)
USUAL = OurTurn(n_new=16, n_settled=5, n_prefilled=11, first_token_s=0.1, evicted=False)
CONVERSATION = ConversationRun(
    ours=(USUAL, USUAL, replace(USUAL, n_prefilled=100, first_token_s=0.14, evicted=True)),
    library=tuple(LibraryTurn(n_prefilled=n, first_token_s=n / 160, n_dropped=0) for n in (16, 16, 1600)),
    n_ctx=2048,
)
RESTART = RestartRun(
    n_tokens=1500,
    file_bytes=34_500_000,
    save_s=0.1,
    warm_s=(0.1, 0.1, 0.2),
    restored_s=(0.11, 0.1, 0.2),
    read_s=(0.04, 0.04, 0.04),
    restore_s=(0.01, 0.01, 0.01),
    cold_s=(10.0, 10.0),
)
SPECULATION = SpeculationRun(unchanged_s=(0.0001,) * 9 + (0.3,), changed_s=(0.1,))
LEAKS = LeakRun(
    n_runs=1000,
    n_dropped=2000,
    n_evictions=800,
    n_states=1000,
    n_other_replies=0,
    n_other_tokens=0,
    n_other_states=0,
)
ABORT = AbortRun(
    prefill=(Stop(n_tokens_after=0, quiet_after_s=0.002),),
    reply=(Stop(n_tokens_after=1, quiet_after_s=0.001),),
    early_turn=50,
    last_turn=500,
    early_mb=100.0,
    last_mb=101.0,
)
TABLE = SpeedTable(
    speeds=(
        ShapeSpeed(
            shape="llama-3.2-3b",
            mix="Q4_K_M",
            file_bytes=2_015_000_000,
            weight_bytes=2_000_000_000,
            prefill_tok_s=1234.5,
            decode_tok_s=5.0,
        ),
    ),
    bandwidth_gb_s=20.0,
    threads=4,
)


def values(part: Part) -> dict[str, float]:
    return {figure.name: figure.value for figure in part.figures}


def verdicts(part: Part) -> dict[str, bool | None]:
    return {f.name: f.within for f in part.figures if f.at_most is not None or f.at_least is not None}


def whole_report() -> Report:
    parts = (
        speed_part(SPEED),
        conversation_part(CONVERSATION),
        restart_part(RESTART),
        speculation_part(SPECULATION, LEAKS),
        abort_part(ABORT),
        shapes_part(TABLE),
    )
    return Report(about=ABOUT, parts=parts)


def test_speed_is_compared_pair_by_pair_so_that_a_neighbour_hits_both() -> None:
    part = speed_part(SPEED)
    assert values(part)["prefill_ratio"] == 1.0
    assert values(part)["decode_ratio"] == pytest.approx(80 / 85)
    assert verdicts(part) == {"prefill_ratio": True, "decode_ratio": False}


def test_what_is_computed_while_idle_counts_for_the_turn() -> None:
    part = conversation_part(CONVERSATION)
    assert values(part)["ratio_p50"] == 1.0
    assert values(part)["computed_ours"] == 16 + 16 + 105
    assert values(part)["computed_library"] == 1632
    assert values(part)["computed_over_library"] == pytest.approx(137 / 1632)


def test_an_eviction_has_a_target_of_its_own() -> None:
    part = conversation_part(CONVERSATION)
    assert values(part)["ratio_max"] == 1.0, "the turn that evicted is not among them"
    assert values(part)["eviction_ratio"] == pytest.approx(1.4)
    assert verdicts(part)["eviction_ratio"] is True
    slow = replace(CONVERSATION, ours=(USUAL, replace(USUAL, first_token_s=0.2, evicted=True)))
    assert verdicts(conversation_part(slow))["eviction_ratio"] is False


def test_a_conversation_without_eviction_has_no_verdict_on_it() -> None:
    part = conversation_part(replace(CONVERSATION, ours=(USUAL,)))
    assert verdicts(part)["eviction_ratio"] is None
    assert "not measured" in as_text(Report(about=ABOUT, parts=(part,)))


def test_a_restart_is_told_with_and_without_its_file() -> None:
    figures = values(restart_part(RESTART))
    assert figures["over_warm"] == 1.0
    assert figures["with_file_over_warm"] == pytest.approx(1.6)
    assert figures["over_cold"] == pytest.approx(0.011)
    assert figures["with_file_over_cold"] == pytest.approx(0.016)


def test_replies_count_as_ready_up_to_20_ms() -> None:
    part = speculation_part(SPECULATION, LEAKS)
    assert values(part)["ready"] == 90
    assert verdicts(part)["ready"] is True
    assert "a word every 0.15 s" in as_text(Report(about=ABOUT, parts=(part,))), "how the words came is said"


@pytest.mark.parametrize("kind", ["replies", "tokens", "states"])
def test_one_leak_is_too_many(kind: str) -> None:
    leaking = replace(LEAKS, **{f"n_other_{kind}": 1})
    assert verdicts(speculation_part(SPECULATION, leaking))[f"other_{kind}"] is False


def test_stops_and_memory_have_targets() -> None:
    assert verdicts(abort_part(ABORT)) == {"tokens_after": True, "memory_growth": True}
    late = replace(ABORT, reply=(Stop(n_tokens_after=2, quiet_after_s=0.1),), last_mb=103.0)
    assert verdicts(abort_part(late)) == {"tokens_after": False, "memory_growth": False}


def test_what_was_missed_is_named() -> None:
    report = whole_report()
    assert report.missed == ("speed.decode_ratio",)
    assert "missed: speed.decode_ratio" in as_text(report)
    assert "MISSED >= 0.98" in as_text(report)


def test_the_bandwidth_used_is_that_of_the_weights() -> None:
    assert values(shapes_part(TABLE)) == {"bandwidth_gb_s": 20.0, "bandwidth_used": 50.0}
    (line,) = (line for line in shapes_part(TABLE).lines if line.startswith("llama"))
    assert line.split() == ["llama-3.2-3b", "Q4_K_M", "2015", "MB", "1234.5", "tok/s", "5.00", "tok/s", "10.0", "GB/s"]


def test_the_report_for_people_keeps_within_80_columns() -> None:
    huge = Figure(name="huge", label="x" * 40, value=123_456_789.0, unit="tok/s", at_most=123_456.0)
    part = Part(name="long", title="a title " * 20, figures=(huge,), lines=("y" * 100,))
    report = replace(whole_report(), about={"model": "m" * 100}, parts=(*whole_report().parts, part))
    assert max(map(len, as_text(report).splitlines())) <= 80


def test_the_report_for_programs_is_json_without_nan() -> None:
    def refused(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    report = replace(whole_report(), parts=(*whole_report().parts, Part(name="none", title="", figures=(NOTHING,))))
    parsed = json.loads(as_json(report), parse_constant=refused)
    assert parsed["about"] == ABOUT
    assert parsed["missed"] == ["speed.decode_ratio"]
    assert parsed["parts"]["none"]["figures"] == {"nothing": None}
    assert parsed["parts"]["none"]["targets"]["nothing"] == {"at_most": 1.0, "at_least": None, "within": None}
    assert parsed["parts"]["speed"]["measured"]["decode"][0] == {"ours_tok_s": 80, "raw_tok_s": 85}
    assert parsed["parts"]["shapes"]["measured"]["speeds"][0]["mix"] == "Q4_K_M"


NOTHING = Figure(name="nothing", label="nothing", value=nan, at_most=1.0)


def test_a_target_holds_at_its_edge_and_not_beyond() -> None:
    assert Figure(name="f", label="f", value=1.05, at_most=1.05).within is True
    assert Figure(name="f", label="f", value=0.97, at_least=0.98).within is False
    assert Figure(name="f", label="f", value=3.0).within is None
