"""The doctor's checks of the board itself: processor, memory, GPU, heat, llama.cpp's build, the benchmark.

Takes what `device.board` read, what `device.probes` answered and what `device.tuning_file` keeps; looks at nothing
itself but for that.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from device.board import Board
from device.checks import Check
from device.engines import llm_candidates
from device.packages import rebuild_line
from device.settings import Settings
from device.tuning import Measurement, choose, explain, judge, memory_budget_bytes
from models.store import ModelStore

_HOT_C = 80.0
"""From here on a Raspberry Pi lowers its clock; a Jetson does from 85 °C on, a PC above that."""

_LITTLE_MEMORY_BYTES = 500e6

# What Linux calls an instruction set, and what llama.cpp calls it. Each of them is worth a factor: prebuilt wheels
# leave them out.
_INSTRUCTION_SETS = (
    ("avx2", "AVX2"),
    ("avx512f", "AVX512"),
    ("avx512_vnni", "AVX512_VNNI"),
    ("f16c", "F16C"),
    ("asimddp", "DOTPROD"),
    ("i8mm", "MATMUL_INT8"),
    ("sve", "SVE"),
)
# Not "sve" alone: llama.cpp leaves it unused on purpose where its vectors are no longer than NEON's.
_WORTH_A_REBUILD = frozenset({"avx2", "avx512f", "asimddp", "i8mm"})


def board_checks(board: Board) -> list[Check]:
    """Board, memory, limits, heat."""
    checks = [Check(name="board", status="ok", what=f"{board.name}: {board.processor}, {_cores(board)}")]
    if sets := [theirs for ours, theirs in _INSTRUCTION_SETS if ours in board.features]:
        checks.append(Check(name="instruction sets", status="ok", what=", ".join(sets)))
    checks.append(_ram(board))
    if board.cpu_quota is not None:
        what = f"a control group allows {board.cpu_quota:g} of {board.n_cpus} processors"
        mend = "raise CPUQuota= in the unit; an engine that is put on hold at every token stutters"
        checks.append(Check(name="processor limit", status="warn", what=what, mend=mend))
    return [*checks, _heat(board)]


def gpu_check(board: Board, llama: Mapping[str, Any]) -> Check:
    """Whether there is a GPU that llama.cpp could use, and does."""
    name = "gpu"
    used = [device["description"] for device in llama["devices"] if device["kind"] == "gpu"]
    if used:
        return Check(name=name, status="ok", what=f"llama.cpp can use {', '.join(used)}")
    if not board.gpus:
        return Check(name=name, status="ok", what="none that llama.cpp could use")
    if llama["gpu_offload"]:
        what = f"{', '.join(board.gpus)}: llama.cpp was built for it, but cannot reach it"
        mend = "check the driver (nvidia-smi), and that this user may open its devices (groups video and render)"
        return Check(name=name, status="warn", what=what, mend=mend)
    what = f"{', '.join(board.gpus)}: llama.cpp was built without"
    options = "-DGGML_CUDA=ON" if board.cuda else "-DGGML_METAL=ON"
    if "Jetson" in board.name and "Orin" in board.name:
        options += " -DCMAKE_CUDA_ARCHITECTURES=87"
    mend = f'CMAKE_ARGS="{options}" {rebuild_line("llama-cpp-python")}'
    return Check(name=name, status="warn", what=what, mend=mend)


def build_checks(board: Board, llama: Mapping[str, Any]) -> list[Check]:
    """Whether llama.cpp was built for what this processor can do."""
    built_for = frozenset(llama["features"])
    unused = [
        theirs
        for ours, theirs in _INSTRUCTION_SETS
        if ours in board.features & _WORTH_A_REBUILD and theirs not in built_for
    ]
    if not unused:
        return []
    what = f"llama.cpp was built without {', '.join(unused)}, which this processor has"
    return [Check(name="llama.cpp build", status="warn", what=what, mend=rebuild_line("llama-cpp-python"))]


def bench_check(settings: Settings, store: ModelStore, board: Board, measurements: Sequence[Measurement]) -> Check:
    """Whether models were measured here, and what follows."""
    name = "benchmark"
    verdicts = judge(
        llm_candidates(store, measurements),
        measurements,
        n_ctx=settings.think.context_tokens,
        budget_bytes=memory_budget_bytes(board.ram.total_bytes),
    )
    best = choose(verdicts)
    if best is None:
        what = "not made yet for this machine and this build of llama.cpp: threads, batches and model are guesses"
        return Check(name=name, status="warn", what=what, mend="familiar models bench")
    what = " ".join(explain(best, verdicts))
    if doubts := {one.doubt for one in measurements if one.doubt}:
        mend = f"measure again when the machine is quiet ({'; '.join(sorted(doubts))}): familiar models bench"
        return Check(name=name, status="warn", what=what, mend=mend)
    if best.objection:
        mend = "a smaller context (think.context_tokens), a faster board, or patience"
        return Check(name=name, status="warn", what=what, mend=mend)
    return Check(name=name, status="ok", what=what)


def _cores(board: Board) -> str:
    if board.core_classes:
        classes = " and ".join(f"{n} of capacity {capacity}" for n, capacity in board.core_classes)
        return f"{board.n_cores} cores, {classes}"
    siblings = f" with {board.n_cpus} threads" if board.n_cpus != board.n_cores else ""
    return f"{board.n_cores} cores{siblings}"


def _ram(board: Board) -> Check:
    ram = board.ram
    what = f"{min(ram.available_bytes, ram.total_bytes) / 1e9:.1f} of {ram.total_bytes / 1e9:.1f} GB are free"
    if ram.limit_bytes is not None:
        what += ", which is the limit of a control group"
    if ram.available_bytes < _LITTLE_MEMORY_BYTES:
        mend = "close other programs; the starter model, an ear and a voice want about 0.5 GB"
        if ram.limit_bytes is not None:
            mend += "; or raise MemoryMax= in the unit"
        return Check(name="ram", status="warn", what=what, mend=mend)
    return Check(name="ram", status="ok", what=what)


def _heat(board: Board) -> Check:
    name, throttling = "heat and power", board.throttling
    hottest = max(board.temperatures_c, key=lambda zone: zone[1], default=None)
    degrees = f"{hottest[1]:.0f} °C ({hottest[0]})" if hottest else "no temperature can be read"
    now, before = "; ".join(throttling.now), "; ".join(throttling.since_boot)
    if now:
        return Check(name=name, status="warn", what=f"{degrees}; now: {now}", mend=_relief(board, now))
    if before:
        return Check(
            name=name, status="warn", what=f"{degrees}; since the start: {before}", mend=_relief(board, before)
        )
    if hottest and hottest[1] >= _HOT_C:
        return Check(name=name, status="warn", what=degrees, mend=_relief(board, "heat"))
    return Check(name=name, status="ok", what=f"{degrees}, never slowed down" if hottest else degrees)


def _relief(board: Board, trouble: str) -> str:
    """What helps against it, on this board."""
    if "under-voltage" in trouble:
        supply = "5 V and 5 A" if "Raspberry Pi 5" in board.name else "5.1 V and 3 A"
        return f"a power supply that holds {supply}, a short thick cable, and no hungry USB device on it"
    if "MHz" in trouble:
        if "Jetson" in board.name:
            return "sudo nvpmodel -q tells the power mode, `sudo nvpmodel -m 0` is mostly the fastest; else cool it"
        return "cool it, or lift the limit: cpupower frequency-set"
    return "a heat sink or a fan, and air around it"
