"""The report of a benchmark: its figures from turns made by hand, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tools.bare_engines import BareTurn
from tools.spoken_run import Spoken, Turn
from tools.turn_report import TARGETS, Report, as_json, as_text, report

BARE = BareTurn(asr_s=0.1, prefill_s=0.05, first_clause_s=0.2, synthesis_s=0.05)
FIRST_TOKENS_S = (0.5, 0.04, 0.05, 0.06, *[0.05] * 23, 0.06, 0.07, 0.08)


def turn(*, slower_s: float = 0.0) -> Turn:
    """Silence 0.5 s, recognition 20 ms late, prompt 10 ms, clause 200 ms, synthesis 50 ms, sound 10 ms."""
    return Turn(
        events={
            "speech_ended": 10.0,
            "turn_committed": 10.5,
            "asr_final": 10.52,
            "prompt_ready": 10.53,
            "first_token": 10.6,
            "first_clause": 10.73,
            "first_audio_queued": 10.78,
            "first_audio_heard": 10.79 + slower_s,
        },
        text="Hello.",
        reply="Hello!",
        asr_s=0.1,
        recall_s=0.001,
        prefill_s=0.04,
        n_reused=150,
        n_prefilled=12,
        n_first_clause=8,
    )


def reported(turns: Sequence[Turn], *, barge_in_s: Sequence[float] = (0.15, 0.2)) -> Report:
    spoken = Spoken(turns=tuple(turns), barge_in_s=tuple(barge_in_s), resident_mb=180.4, ears="sphinx", voice="espeak")
    return report(spoken, [BARE] * len(turns), FIRST_TOKENS_S, 1.9, {"model": "smollm2-135m"})


def test_the_ratio_compares_turn_by_turn_with_the_wait_and_the_bare_engines() -> None:
    # 790 ms, of an endpoint wait of 500 and engines of 400.
    assert reported([turn()] * 3).ratio == {"p50": 0.88, "p95": 0.88}


def test_the_overhead_is_what_no_engine_took() -> None:
    # After the end of the turn: 290 ms, less 20 + 10 waited for, less 200 + 50 that the engines take alone.
    assert reported([turn()] * 3).overhead_ms.p95_ms == pytest.approx(10, abs=0.01)
    assert reported([turn(slower_s=0.03)] * 3).overhead_ms.p95_ms == pytest.approx(40, abs=0.01)


def test_stages_add_up_to_the_whole() -> None:
    stages = reported([turn()]).stages_ms
    parts = ("endpoint_wait", "asr_wait", "prompt_wait", "first_token", "first_clause", "synthesis", "sound_device")
    assert sum(stages[name].p50_ms for name in parts) == pytest.approx(stages["total"].p50_ms, abs=0.1)


def test_growth_compares_the_end_of_a_conversation_with_its_beginning() -> None:
    first_token_ms = reported([turn()]).first_token_ms
    assert first_token_ms == pytest.approx({"early": 50, "turn_30": 70, "growth": 1.4})


def test_every_target_has_a_verdict() -> None:
    within = reported([turn()] * 2).within_target
    assert within == {
        "ratio_p50": True,
        "overhead_p95_ms": True,
        "barge_in_p95_ms": True,
        "first_token_growth": False,
        "first_answer_s": True,
        "resident_mb": True,
    }
    assert within.keys() == TARGETS.keys()


def test_what_was_not_measured_has_no_verdict() -> None:
    result = reported([turn()], barge_in_s=())
    assert "barge_in_p95_ms" not in result.within_target
    assert "not measured" in as_text(result)


def test_the_report_for_programs_is_json_without_nan() -> None:
    def refused(constant: str) -> float:
        raise AssertionError(f"{constant} is no JSON")

    parsed = json.loads(as_json(reported([turn()], barge_in_s=())), parse_constant=refused)
    assert parsed["barge_in_ms"] == {"p50_ms": None, "p95_ms": None, "n": 0}
    assert parsed["stages_ms"]["endpoint_wait"]["p50_ms"] == 500.0
    assert parsed["tokens"] == {"reused": [150], "prefilled": [12]}
    assert parsed["engines"] == {"model": "smollm2-135m", "ears": "sphinx", "voice": "espeak"}


@pytest.mark.parametrize("n_turns", [1, 10, 200])
def test_the_report_for_people_keeps_within_80_columns(n_turns: int) -> None:
    text = as_text(reported([replace(turn(), n_reused=1_950, n_prefilled=1_950)] * n_turns))
    assert max(map(len, text.splitlines())) <= 80
    assert f"{n_turns} turns" in text
    assert text.count("1950") == 2 * n_turns
    assert "ABOVE 1.3" in text
