"""The micro-benchmark: one child for each model and back-end, what it found kept and shown, failures survived."""

import errno
import io
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from device.board import Board, read_board
from device.engines import Found, models_to_measure
from device.probes import ProbeError, run_child
from device.settings import Settings
from device.tuning_file import tuning_file
from models.engine import LlamaEngine
from models.errors import ModelError
from models.loading import EngineSettings, LoadedModel
from models.store import ModelStore
from tests.device.boards import orin_nano, pi_5, recorded
from tests.models.tiny_gguf import write_wandering_model
from tools import models_bench
from tools.models_bench import STAND_IN, Outcome, as_json, kept_outcome, run_models_bench, thread_candidates
from tools.models_probe import Meter, OtherWork, Request, measure
from tools.models_report import one_line, show
from tools.stand_in import stand_in

FIGURES: dict[str, Any] = {
    "threads": 3,
    "batch_tokens": 64,
    "n_ctx": 2048,
    "n_parameters": 134_515_008,
    "read_bytes": 96_576_768,
    "kv_bytes": 23_040,
    "empty": {"prefill_tps": 175.0, "decode_tps": 92.0},
    "full": {
        "f16": {"prefill_tps": 110.0, "decode_tps": 61.0},
        "f16 flash": {"prefill_tps": 60.0, "decode_tps": 40.0},
        "q8_0": {"prefill_tps": 43.0, "decode_tps": 41.0},
    },
    "noise": 0.04,
    "other_cpus": 0.1,
}
"""What a child says of SmolLM2-135M on a quiet machine."""

Child = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    """A store with the files of two models, without content."""
    store = ModelStore(tmp_path / "models")
    for name in ("smollm2-135m", "smollm2-360m"):
        entry = store.catalog.require(name)
        store.folder(entry).mkdir(parents=True)
        for file in entry.files:
            with (store.folder(entry) / file.name).open("wb") as out:
                out.truncate(file.size_bytes)
    return store


@pytest.fixture
def pi(tmp_path: Path) -> Board:
    return read_board(recorded(tmp_path / "pi", pi_5()), ask=lambda *_command: "")


def answering(child: Child, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Let the children answer so; returns what they were asked."""
    asked: list[dict[str, Any]] = []

    def run(module: str, argument: str, *, limit_s: float) -> dict[str, Any]:
        assert module == "tools.models_probe"
        assert limit_s > 60
        asked.append(json.loads(argument))
        return child(asked[-1])

    monkeypatch.setattr(models_bench, "run_child", run)
    return asked


def bench(store: ModelStore, board: Board, models: list[Found] | None = None) -> Outcome:
    said: list[str] = []
    models = models_to_measure(None, Settings(), store) if models is None else models
    found = run_models_bench(models, store, board, n_ctx=2048, say=said.append)
    assert said
    return found


def shown(found: Outcome) -> str:
    out = io.StringIO()
    show(Console(file=out, width=80), found)
    assert max(map(len, out.getvalue().splitlines())) <= 80
    return out.getvalue()


def test_every_model_that_is_here_is_measured_and_kept(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = answering(lambda _request: FIGURES, monkeypatch)
    found = bench(store, pi)
    assert [Path(request["path"]).parent.name for request in asked] == ["smollm2-135m", "smollm2-360m"]
    assert {(request["gpu_layers"], tuple(request["threads"])) for request in asked} == {(0, (1, 2, 3))}
    assert [one.model for one in found.measurements] == ["smollm2-135m", "smollm2-360m"]
    assert found.succeeded
    assert kept_outcome(store, pi, n_ctx=2048) == found


def test_one_model_measured_anew_leaves_the_others_figures(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(lambda _request: FIGURES, monkeypatch)
    bench(store, pi)
    answering(lambda _request: {**FIGURES, "threads": 2}, monkeypatch)
    found = bench(store, pi, models_to_measure("smollm2-360m", Settings(), store))
    assert {one.model: one.threads for one in found.measurements} == {"smollm2-360m": 2, "smollm2-135m": 3}


WIDE = {**FIGURES, "n_parameters": 290_000_000, "read_bytes": 170_000_000, "kv_bytes": 6_144}
"""What a child says of the stand-in: more weights, read as quickly."""


def test_larger_models_are_judged_by_a_stand_in_that_is_gone_afterwards(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = tmp_path / "made.gguf"

    @contextmanager
    def stand_in() -> Iterator[Path]:
        made.touch()
        os.truncate(made, 170_000_000)
        yield made
        made.unlink()

    asked = answering(lambda request: WIDE if request["path"] == str(made) else FIGURES, monkeypatch)
    models = models_to_measure("smollm2-135m", Settings(), store)
    found = run_models_bench(models, store, pi, n_ctx=2048, say=lambda _line: None, stand_in=stand_in)
    assert [Path(request["path"]).name for request in asked][1:] == ["made.gguf"]
    assert not made.exists()
    basis = {verdict.candidate.name: verdict.basis for verdict in found.verdicts}
    assert basis["smollm2-135m"] == "smollm2-135m"
    assert basis["qwen2.5-1.5b"] == STAND_IN
    assert STAND_IN not in basis, "nobody can talk with it"
    assert kept_outcome(store, pi, n_ctx=2048) == found
    assert STAND_IN in shown(found)


def test_a_stand_in_that_cannot_be_made_is_reported(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(lambda _request: FIGURES, monkeypatch)

    @contextmanager
    def stand_in() -> Iterator[Path]:
        raise OSError(errno.ENOSPC, "no room")
        yield Path()

    models = models_to_measure("smollm2-135m", Settings(), store)
    found = run_models_bench(models, store, pi, n_ctx=2048, say=lambda _line: None, stand_in=stand_in)
    assert [failure.model for failure in found.failures] == [STAND_IN]
    assert "no room" in shown(found)


def test_the_stand_in_runs_and_is_removed() -> None:
    with stand_in() as path, LlamaEngine(path, EngineSettings(n_ctx=256, threads=1)) as engine:
        assert engine.settle((5, 6, 7)) is not None
        assert 1e8 < path.stat().st_size < 3e8
    assert not path.parent.exists()


def test_damaged_figures_are_replaced(store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    tuning_file(store).write_text("{")
    answering(lambda _request: FIGURES, monkeypatch)
    assert kept_outcome(store, pi, n_ctx=2048).recommended is None
    bench(store, pi)
    assert len(kept_outcome(store, pi, n_ctx=2048).measurements) == 2


def test_a_model_that_hangs_or_crashes_is_reported_and_the_others_go_on(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(request: dict[str, Any]) -> dict[str, Any]:
        if "135m" in request["path"]:
            raise ProbeError("it crashed (signal 11)")
        return FIGURES

    answering(child, monkeypatch)
    found = bench(store, pi)
    assert [one.model for one in found.measurements] == ["smollm2-360m"]
    assert not found.succeeded
    assert "smollm2-135m could not be measured on the CPU: it crashed (signal 11)" in " ".join(shown(found).split())


def test_where_nothing_can_be_measured_that_is_said_and_nothing_is_kept(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(_request: dict[str, Any]) -> dict[str, Any]:
        raise ProbeError("no answer within 60 s")

    answering(child, monkeypatch)
    found = bench(store, pi)
    assert not found.succeeded
    assert not tuning_file(store).exists()
    assert "nothing could be measured (smollm2-135m: no answer" in one_line(found)
    assert json.loads(as_json(found))["recommended"] is None


def test_a_gpu_is_measured_too_and_may_fail_alone(
    store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def child(request: dict[str, Any]) -> dict[str, Any]:
        if request["gpu_layers"] and "360m" in request["path"]:
            raise ProbeError("CUDA error: out of memory")
        return {**FIGURES, "full": {**FIGURES["full"], "f16": {"prefill_tps": 900.0, "decode_tps": 150.0}}}

    answering(child, monkeypatch)
    monkeypatch.setattr(models_bench, "ask", lambda _question: {"gpu_offload": True})
    orin = read_board(recorded(tmp_path / "orin", orin_nano()), ask=lambda *_command: "")
    found = bench(store, orin)
    assert [(one.model, one.gpu_layers) for one in found.measurements] == [
        ("smollm2-135m", 0),
        ("smollm2-135m", -1),
        ("smollm2-360m", 0),
    ]
    assert found.succeeded
    assert "GPU" in shown(found)

    def hung(_question: str) -> dict[str, Any]:
        raise ProbeError("no answer within 30 s")

    monkeypatch.setattr(models_bench, "ask", hung)
    assert {one.gpu_layers for one in bench(store, orin, models_to_measure("starter", Settings(), store)).measurements}


def test_the_choice_is_told_in_words_and_figures(store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    answering(lambda _request: FIGURES, monkeypatch)
    found = bench(store, pi, models_to_measure("smollm2-135m", Settings(), store))
    text = " ".join(shown(found).split())
    assert "Raspberry Pi 5 Model B Rev 1.0: Cortex-A76, 4 cores, 8.4 GB" in text
    assert "is the largest that fits and speaks faster than people listen" in text
    assert "The next larger, " in text
    assert "Up to 3 threads were tried: one core is for ears and voice." in text
    assert "full context of 2048 tokens: " in text
    assert "What to expect with a full context of 2048 tokens, as `think.context_tokens` says" in text
    assert "smollm2-135m makes 61 tokens/s with 3 threads and 2048 tokens of context" in one_line(found)
    table = json.loads(as_json(found))
    assert table["recommended"] == found.recommended.candidate.name if found.recommended else None
    assert len(table["why"]) == 2
    assert table["measured"][0]["bandwidth_bytes_per_s"] == pytest.approx(96_576_768 * 92.0)
    assert {"model", "decode_tps", "first_clause_s", "memory_bytes", "objection"} <= set(table["models"][0])


def test_the_context_that_was_measured_is_told_from_the_one_that_is_asked_for(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(lambda request: {**FIGURES, "n_ctx": 1024 if "135m" in request["path"] else 4096}, monkeypatch)
    bench(store, pi)
    found = kept_outcome(store, pi, n_ctx=8192)
    text = " ".join(shown(found).split())
    assert "with an empty and a full context of 1024 to 4096 tokens" in text
    assert "What to expect with a full context of 8192 tokens" in text
    speeds = {verdict.candidate.name: verdict.speeds.decode_tps for verdict in found.verdicts}
    assert speeds["smollm2-135m"] < speeds["smollm2-360m"] < 61


def test_flash_attention_is_used_where_it_gains_something(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    flash = {"prefill_tps": 200.0, "decode_tps": 70.0}
    answering(lambda _request: {**FIGURES, "full": {**FIGURES["full"], "f16 flash": flash}}, monkeypatch)
    found = bench(store, pi)
    assert all(one.flash_attention for one in found.measurements)
    assert "Flash attention is the quicker way here" in shown(found)


def test_a_model_without_a_cache_is_as_fast_at_any_length(
    store: ModelStore, pi: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(lambda _request: {**FIGURES, "full": dict.fromkeys(FIGURES["full"])}, monkeypatch)
    one = bench(store, pi).measurements[0]
    assert one.full == one.empty
    assert one.full_q8 is None


@pytest.mark.parametrize(
    ("trouble", "doubt"),
    [({"noise": 0.5}, "repeats differed by 50%"), ({"other_cpus": 2.6}, "other programs kept 2.6 processors busy")],
)
def test_figures_of_a_busy_machine_are_called_doubtful(
    store: ModelStore, pi: Board, trouble: dict[str, Any], doubt: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering(lambda _request: {**FIGURES, **trouble}, monkeypatch)
    found = bench(store, pi)
    assert doubt in one_line(found)
    assert f"Doubtful, {doubt}" in " ".join(shown(found).split())


def test_one_core_is_kept_free(pi: Board) -> None:
    assert thread_candidates(pi) == [1, 2, 3]
    assert thread_candidates(replace(pi, n_cores=2, n_cpus=2)) == [1]
    assert thread_candidates(replace(pi, n_cores=12, n_cpus=24)) == [1, 2, 3, 4, 6, 8, 11]


# The child ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    write_wandering_model(path)
    return path


def test_a_model_is_measured(tiny: Path) -> None:
    found = measure(Request(path=str(tiny), n_ctx=2048, gpu_layers=0, threads=(1, 2), budget_s=0.3))
    assert found["threads"] in (1, 2)
    assert found["batch_tokens"] in (32, 64, 128, 256, 512)
    assert found["n_ctx"] == 512, "it was trained with no more"
    assert found["kv_bytes"] == 2 * 64 * 2
    speeds = [found["empty"], *found["full"].values()]
    assert all(speed > 0 for one in speeds if one for speed in one.values())
    assert found["full"]["f16"] is not None


def test_a_child_that_is_asked_answers(tiny: Path) -> None:
    request = {"path": str(tiny), "n_ctx": 256, "gpu_layers": 0, "threads": [1], "budget_s": 0.1}
    found = run_child("tools.models_probe", json.dumps(request), limit_s=60)
    assert found["threads"] == 1
    with pytest.raises(ProbeError, match="does not exist"):
        run_child("tools.models_probe", json.dumps({**request, "path": str(tiny.parent / "none.gguf")}), limit_s=60)


def test_a_context_is_filled_from_a_few_tokens(tiny: Path) -> None:
    loaded = LoadedModel(tiny, EngineSettings(n_ctx=512, threads=1, n_batch=64))
    try:
        meter = Meter(loaded)
        memory = loaded.lib.llama_get_memory(loaded.context)
        assert meter.fill(384, 16)
        assert loaded.lib.llama_memory_seq_pos_max(memory, 0) == 15
        assert loaded.lib.llama_memory_seq_pos_max(memory, 1) == -1
        for _ in range(512 - 384):  # so many cells are left, and no more
            meter.compute(1)
        with pytest.raises(ModelError, match="could not compute 1 tokens"):
            meter.compute(1)
    finally:
        loaded.close()


def test_the_work_of_others_is_told_from_our_own(tmp_path: Path) -> None:
    stat = tmp_path / "stat"
    ticks = os.sysconf("SC_CLK_TCK")
    stat.write_text("cpu  100 0 100 1000 10 0 0 0 0 0\ncpu0 1 2 3\n")
    others = OtherWork(stat)
    stat.write_text(f"cpu  {100 + 3600 * ticks} 0 100 1000 10 0 0 0 0 0\n")  # an hour's work since
    assert others.cpus() > 1000
    assert OtherWork(tmp_path / "none").cpus() == pytest.approx(0.0, abs=0.01)
