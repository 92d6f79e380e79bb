"""What the doctor says of boards, and what to do about it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device.board import Board, Throttling, read_board
from device.board_checks import bench_check, board_checks, build_checks, gpu_check
from device.checks import Check
from device.settings import Settings
from device.tuning import Speeds
from models.store import ModelStore
from tests.device.boards import big_and_little, orin_nano, pi_4, pi_5, recorded, virtual_machine
from tests.device.measured import measurement

LLAMA: dict[str, Any] = {
    "gpu_offload": False,
    "features": ["AVX2", "AVX512"],
    "devices": [{"kind": "cpu", "description": "AMD EPYC"}],
}


def board_of(root: Path, files: dict[str, str]) -> Board:
    return read_board(recorded(root, files), ask=lambda *_command: "throttled=0x50000")


def said(board: Board) -> dict[str, Check]:
    return {check.name: check for check in board_checks(board)}


def test_a_cool_board_is_well(tmp_path: Path) -> None:
    found = said(board_of(tmp_path, pi_5()))
    assert {check.status for check in found.values()} == {"ok"}
    assert found["board"].what == "Raspberry Pi 5 Model B Rev 1.0: Cortex-A76, 4 cores"
    assert found["instruction sets"].what == "DOTPROD"
    assert found["heat and power"].what == "61 °C (cpu-thermal), never slowed down"


def test_under_voltage_now_and_before_is_told_with_what_mends_it(tmp_path: Path) -> None:
    now = said(board_of(tmp_path / "5", pi_5("1")))["heat and power"]
    assert (now.status, "now: under-voltage" in now.what, "5 V and 5 A" in now.mend) == ("warn", True, True)
    before = said(board_of(tmp_path / "4", pi_4()))["heat and power"]
    assert "since the start: under-voltage; it is throttled" in before.what
    assert "5.1 V and 3 A" in before.mend


def test_a_power_mode_that_holds_a_jetson_back_is_told(tmp_path: Path) -> None:
    check = said(board_of(tmp_path, orin_nano()))["heat and power"]
    assert "1113 of 1510 MHz" in check.what
    assert "nvpmodel" in check.mend


def test_a_hot_board_wants_air(tmp_path: Path) -> None:
    board = replace(board_of(tmp_path, pi_5()), temperatures_c=(("cpu-thermal", 84.0), ("other", 30.0)))
    check = said(board)["heat and power"]
    assert (check.status, check.what) == ("warn", "84 °C (cpu-thermal)")
    assert "fan" in check.mend
    throttled = said(replace(board, throttling=Throttling(now=("the soft temperature limit is reached",))))
    assert "fan" in throttled["heat and power"].mend


def test_limits_of_a_control_group_are_told(tmp_path: Path) -> None:
    limits = {"sys/fs/cgroup/box/memory.max": "1000000000\n", "sys/fs/cgroup/box/memory.current": "700000000\n"}
    found = said(board_of(tmp_path, {**virtual_machine(), **limits}))
    assert found["processor limit"].what == "a control group allows 1.5 of 4 processors"
    assert found["ram"].what == "0.3 of 1.0 GB are free, which is the limit of a control group"
    assert "MemoryMax=" in found["ram"].mend
    assert found["board"].what.endswith("AMD EPYC, 2 cores with 4 threads")


def test_cores_of_two_kinds_are_told(tmp_path: Path) -> None:
    assert "4 of capacity 1024 and 4 of capacity 414" in said(board_of(tmp_path, big_and_little()))["board"].what


def test_a_gpu_that_llama_cpp_was_not_built_for_comes_with_the_line_that_builds_it(tmp_path: Path) -> None:
    check = gpu_check(board_of(tmp_path, orin_nano()), LLAMA)
    assert (check.status, "was built without" in check.what) == ("warn", True)
    assert check.mend.startswith('CMAKE_ARGS="-DGGML_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=87" ')


def test_a_gpu_in_use_or_out_of_reach_is_told(tmp_path: Path) -> None:
    board = board_of(tmp_path, orin_nano())
    there = {**LLAMA, "gpu_offload": True, "devices": [{"kind": "gpu", "description": "Orin"}]}
    assert gpu_check(board, there).what == "llama.cpp can use Orin"
    unreachable = gpu_check(board, {**LLAMA, "gpu_offload": True})
    assert (unreachable.status, "cannot reach" in unreachable.what) == ("warn", True)
    assert gpu_check(board_of(tmp_path / "pi", pi_5()), LLAMA).status == "ok"


def test_instruction_sets_left_unused_are_named(tmp_path: Path) -> None:
    board = board_of(tmp_path, virtual_machine())
    assert build_checks(board, LLAMA) == []
    (check,) = build_checks(board, {**LLAMA, "features": ["AVX2"]})
    assert "without AVX512," in check.what
    assert "--no-binary" in check.mend


@pytest.mark.parametrize(("doubt", "status"), [("", "ok"), ("it was busy", "warn")])
def test_the_benchmark_says_what_it_chose(tmp_path: Path, doubt: str, status: str) -> None:
    board, store = board_of(tmp_path, pi_5()), ModelStore(tmp_path / "models")
    check = bench_check(Settings(), store, board, [measurement("smollm2-135m", doubt=doubt)])
    assert check.status == status
    assert "is the largest that fits" in check.what
    assert (doubt in check.mend) == (status == "warn") or not doubt


def test_a_board_too_slow_for_any_is_told(tmp_path: Path) -> None:
    crawl = Speeds(prefill_tps=5.0, decode_tps=2.0)
    slow = [measurement("smollm2-135m", empty=crawl, full=crawl)]
    check = bench_check(Settings(), ModelStore(tmp_path), board_of(tmp_path, pi_4()), slow)
    assert (check.status, check.what.startswith("None of them will do")) == ("warn", True)
    assert "faster board" in check.mend


def test_a_benchmark_not_made_yet_is_asked_for(tmp_path: Path) -> None:
    check = bench_check(Settings(), ModelStore(tmp_path), board_of(tmp_path, pi_5()), [])
    assert (check.status, check.mend) == ("warn", "familiar models bench")
