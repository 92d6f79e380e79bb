"""What the benchmark measured is kept for this machine and this build, and ignored anywhere else."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from device.board import Throttling, read_board
from device.tuning import Candidate, explain, judge
from device.tuning_file import (
    llama_build,
    machine_key,
    measurements_here,
    read_measurements,
    tuning_file,
    write_measurements,
)
from models.engine import EngineSettings
from models.ram import Ram
from models.store import ModelStore
from tests.device.boards import pi_5, recorded
from tests.device.measured import of_file
from tools.models_probe import _BATCHES


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    path.write_bytes(bytes(1000))
    return path


def test_what_is_written_is_read(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "models" / "bench.json"
    measured = [of_file(model), of_file(model, gpu_layers=-1, full_q8=None)]
    write_measurements(path, "key", measured)
    assert read_measurements(path, "key") == measured
    assert [file.name for file in path.parent.iterdir()] == ["bench.json"]


def test_figures_of_another_machine_or_build_are_ignored(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "bench.json"
    write_measurements(path, "key", [of_file(model)])
    assert read_measurements(path, "another") == []


def test_a_model_that_has_changed_loses_its_figures_only(tmp_path: Path, model: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(bytes(10))
    path = tmp_path / "bench.json"
    write_measurements(path, "key", [of_file(model), of_file(other)])
    model.write_bytes(bytes(1001))
    assert [one.model for one in read_measurements(path, "key")] == ["other"]
    other.unlink()
    assert read_measurements(path, "key") == []


def test_a_file_cut_short_anywhere_is_ignored(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "bench.json"
    write_measurements(path, "key", [of_file(model)])
    whole = path.read_bytes().rstrip()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert read_measurements(path, "key") == []
    write_measurements(path, "key", [of_file(model)])
    assert len(read_measurements(path, "key")) == 1


damage = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.integers(-(10**400), 10**400),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.none(), max_size=1),
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_values_never_come_out(tmp_path: Path, model: Path, data: st.DataObject) -> None:
    path = tmp_path / "bench.json"
    measured = of_file(model)
    write_measurements(path, "key", [measured])
    table = json.loads(path.read_text())
    row = table["measured"][0]
    name = data.draw(st.sampled_from(sorted(row)))
    row[name] = data.draw(damage)
    path.write_text(json.dumps(table))
    for one in read_measurements(path, "key"):
        assert type(getattr(one, name)) is type(getattr(measured, name)) or one.full_q8 is None
        own = Candidate(name=one.model, path=one.path, size_bytes=one.file_bytes, n_parameters=one.n_parameters)
        for candidate in (own, replace(own, path=None, size_bytes=4_000_000_000, n_parameters=7e9)):
            (verdict,) = judge([candidate], [one], n_ctx=131_072, budget_bytes=10**10)
            assert explain(verdict, [verdict])
            EngineSettings(n_batch=verdict.tuning.batch_tokens, threads=verdict.tuning.threads)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("threads", -3), ("threads", 0), ("threads", 10**6)),
        *(("batch_tokens", -1), ("batch_tokens", 0), ("batch_tokens", 10**11)),
        *(("gpu_layers", -2), ("gpu_layers", 10**9), ("kv_bytes", -1), ("kv_bytes", 10**18)),
        *(("n_ctx", 0), ("n_ctx", 10**400), ("n_parameters", 0), ("read_bytes", 0), ("read_bytes", 10**400)),
        *(("noise", -0.5), ("noise", float("nan")), ("noise", float("inf")), ("noise", 1)),
        *(("model", "x\x1b[2J"), ("doubt", "y" * 5_000), ("doubt", "two\nlines"), ("path", "z" * 5_000)),
        *(("full", {"prefill_tps": 10**400, "decode_tps": 1.0}), ("full", {"prefill_tps": 1.0, "decode_tps": True})),
        *(("empty", {"prefill_tps": 1e-300, "decode_tps": 1.0}), ("empty", {"prefill_tps": "1", "decode_tps": 1.0})),
        ("full_q8", {"prefill_tps": -1.0, "decode_tps": 1.0}),
    ],
)
def test_figures_that_no_benchmark_has_written_are_none(tmp_path: Path, model: Path, name: str, value: Any) -> None:
    path = tmp_path / "bench.json"
    write_measurements(path, "key", [of_file(model)])
    table = json.loads(path.read_text())
    table["measured"][0][name] = value
    path.write_text(json.dumps(table))
    assert read_measurements(path, "key") == []


def test_whatever_the_benchmark_tries_can_be_kept(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "bench.json"
    for n_tokens in _BATCHES:
        write_measurements(path, "key", [of_file(model, batch_tokens=n_tokens, kv_bytes=0, noise=0.0)])
        assert len(read_measurements(path, "key")) == 1


def test_other_json_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    junk: list[Any] = [[], {}, 3, {"format": 1, "machine": "key"}, {"format": 1, "machine": "key", "measured": [1]}]
    for table in junk:
        path.write_text(json.dumps(table))
        assert read_measurements(path, "key") == []
    path.write_text("[" * 100_000)
    assert read_measurements(path, "key") == []
    path.write_bytes(bytes(2 << 20))
    assert read_measurements(path, "key") == []


def test_the_key_names_what_figures_depend_on_and_nothing_else(tmp_path: Path) -> None:
    board = read_board(recorded(tmp_path, pi_5()), ask=lambda *_command: "")
    key = machine_key(board, "build")
    ram = Ram(total_bytes=board.ram.total_bytes - 4096, available_bytes=1)
    warm = replace(board, throttling=Throttling(now=("hot",)), temperatures_c=(), ram=ram)
    assert machine_key(warm, "build") == key
    assert machine_key(board, "another build") != key
    assert machine_key(replace(board, n_cpus=2), "build") != key
    assert machine_key(replace(board, processor="Cortex-A72"), "build") != key


def test_a_build_anew_is_another_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "llama_cpp" / "lib").mkdir(parents=True)
    (tmp_path / "llama_cpp" / "__init__.py").touch()
    library = tmp_path / "llama_cpp" / "lib" / "libllama.so"
    library.write_bytes(bytes(10))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "llama_cpp", raising=False)  # where another test has loaded it
    first = llama_build()
    assert "libllama.so" in first
    library.write_bytes(bytes(11))
    assert llama_build() != first


def test_a_store_without_figures_is_not_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("device.tuning_file.read_board", lambda: pytest.fail("there is nothing to compare with"))
    assert measurements_here(ModelStore(tmp_path)) == []


def test_figures_of_this_machine_are_found_beside_its_models(tmp_path: Path, model: Path) -> None:
    store = ModelStore(tmp_path / "models")
    write_measurements(tuning_file(store), machine_key(read_board(), llama_build()), [of_file(model)])
    assert [one.path for one in measurements_here(store)] == [str(model)]
