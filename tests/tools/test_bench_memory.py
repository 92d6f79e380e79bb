"""`familiar bench memory`: the talk it makes up, what it measures, and what it says of it."""

import json
from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from typer.testing import CliRunner

from device.cli import app
from device.errors import FamiliarError
from memory.store import MemoryStore
from tools import bench_memory
from tools.bench_memory import BenchRequest, run_bench
from tools.bench_memory_report import growth_part, rivals_part, size_part
from tools.bench_memory_rivals import RivalRun, measure_json
from tools.bench_memory_store import Sample, StoreRun, fill, measure
from tools.bench_memory_talk import N_DIMENSIONS, PAIRS, QUERY_KINDS, Talk
from tools.llm_report import Part, Report, as_text

FEW = Sample(commits=5, queries=2, steps=5)
RUN = StoreRun(
    n_turns=100_000,
    n_asked=90_000,
    open_s=0.003,
    first_recall_s=0.7,
    commit_s=(0.001,) * 99 + (0.004,),
    sync_s=(0.0004,) * 100,
    commit_bytes=50_000,
    describe_s=(0.001,),
    recall_s={"a name": (0.002,) * 99, "long": (0.02,)},
    lexical_s={"a name": (0.001,), "long": (0.001,)},
    asleep_s=(0.003,) * 20,
    file_bytes=150_000_000,
    ram_bytes=13_000_000.0,
)


def test_the_same_seed_makes_the_same_talk_of_any_length() -> None:
    said = list(Talk(3).turns(1_010))
    assert said == list(Talk(3).turns(1_010))
    assert said[:20] != list(Talk(4).turns(20))
    assert {each.pair for each in said} <= set(PAIRS)
    assert [each.said_at for each in said] == sorted(each.said_at for each in said)
    assert all(len(embedding) == N_DIMENSIONS for each in said for embedding in each.embeddings)


def test_common_words_are_common_and_most_words_are_rare() -> None:
    words = [word.strip(".").lower() for each in Talk().turns(400) for word in each.reply_text.split()]
    assert 0.015 < words.count("the") / len(words) < 0.15
    assert len(set(words)) > len(words) / 8


def test_every_kind_of_question_can_be_asked_and_no_other() -> None:
    talk = Talk()
    asked = [talk.query(kind, at_s=1.7e9, limit=5) for kind in QUERY_KINDS]
    assert all(query.text and query.embedding and query.feelings for query in asked)
    with pytest.raises(ValueError, match="no kind of query"):
        talk.query("odd", at_s=1.7e9, limit=5)


def test_a_filled_memory_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "memory.db"
    fill(path, 300, 1)
    with MemoryStore(path) as store:
        n_before = sum(len(store.last_turns(*pair, 1_000)) for pair in PAIRS)
    run = measure(path, FEW, 1)
    assert n_before == run.n_turns == 300
    assert 200 < run.n_asked <= 300
    assert len(run.commit_s) == len(run.sync_s) == len(run.describe_s) == FEW.commits
    assert set(run.recall_s) == set(run.lexical_s) == set(QUERY_KINDS)
    assert run.commit_bytes > 4096
    assert [path.name for path in tmp_path.iterdir() if path.name == "bare"] == []


def test_figures_stand_beside_their_targets() -> None:
    text = as_text(Report(about={}, parts=(size_part(RUN),)))
    assert "recall: p99" in text
    assert _within(size_part(RUN)) == {
        "commit_p99_ms": True,
        "recall_p50_ms": True,
        "recall_p99_ms": True,
        "step_p95_ms": True,
    }
    slow = replace(RUN, commit_s=(0.006,) * 100, recall_s={"long": (0.02,)}, asleep_s=(0.02,))
    assert set(_within(size_part(slow)).values()) == {False}


def test_what_was_not_measured_has_no_verdict() -> None:
    assert _within(size_part(replace(RUN, asleep_s=())))["step_p95_ms"] is None
    assert "-" in as_text(Report(about={}, parts=(size_part(replace(RUN, ram_bytes=nan)),)))


def test_growth_is_held_against_the_logarithm_and_the_slope() -> None:
    small = replace(RUN, n_turns=1_000, recall_s={"long": (0.001,)}, lexical_s={"long": (0.0008,)})
    part = growth_part([small, replace(RUN, recall_s={"long": (0.003,)})])
    values = {figure.name: figure.value for figure in part.figures}
    assert values["lexical_growth"] == pytest.approx(1.25)
    assert values["lexical_over_logarithmic"] == pytest.approx(1.25 / (5 / 3))
    assert values["recall_slope"] == pytest.approx(2 / 9.9)
    assert _within(part) == {"lexical_over_logarithmic": True, "recall_slope": True}
    linear = replace(RUN, lexical_s={"long": (0.08,)}, recall_s={"long": (0.1,)})
    assert set(_within(growth_part([small, linear])).values()) == {False}


def test_others_stand_beside_ours_at_the_same_size() -> None:
    rival = RivalRun(name="JSON file", n_turns=100_000, commit_s=(1.0,), recall_s=(0.2,), file_bytes=10**9)
    part = rivals_part([RUN], [rival], "no other")
    assert {figure.name: figure.value for figure in part.figures} == {
        "commit_JSON_100000": pytest.approx(1000),
        "recall_JSON_100000": pytest.approx(100),
    }
    assert part.lines[-1] == "no other"
    assert all(len(line) <= 78 for line in part.lines)


def test_the_json_file_takes_turns_and_finds_them(tmp_path: Path) -> None:
    run = measure_json(tmp_path, 20, 1)
    assert run.n_turns == 20
    assert len(run.commit_s) == len(run.recall_s) == 50
    assert len(json.loads((tmp_path / "memory.json").read_text())) == 70


def test_a_run_writes_report_and_plot_and_leaves_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAMILIAR_STATE", str(tmp_path / "state"))
    monkeypatch.setattr(bench_memory, "mem0_name", lambda: None)
    said: list[str] = []
    report = run_bench(BenchRequest(turns=(100,), sample=FEW, out=tmp_path / "out"), said.append)
    assert [part.name for part in report.parts] == ["100", "others"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "memory.json",
        "memory.txt",
        "memory.png",
        "memory.svg",
    }
    assert json.loads((tmp_path / "out" / "memory.json").read_text())["parts"]["100"]["measured"]["n_turns"] == 100
    assert list((tmp_path / "state").iterdir()) == []
    assert said


def test_missing_room_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAMILIAR_STATE", str(tmp_path))
    monkeypatch.setattr(bench_memory, "_BYTES_PER_TURN", 10**12)
    with pytest.raises(FamiliarError, match="make room, or name fewer with --turns"):
        run_bench(BenchRequest(turns=(1_000,), sample=FEW), lambda _: None)


@pytest.mark.parametrize("turns", ["many", "1000,", "7", "1000;2000", "2000000"])
def test_sizes_that_are_none_are_refused(turns: str) -> None:
    result = CliRunner().invoke(app, ["bench", "memory", "--turns", turns])
    assert result.exit_code == 2
    assert "such as" in result.output


def _within(part: Part) -> dict[str, bool | None]:
    return {figure.name: figure.within for figure in part.figures if figure.at_most is not None}
