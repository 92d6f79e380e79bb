"""What a board is, read from recorded machines."""

from pathlib import Path

import pytest

from device.board import Throttling, ask_system, read_board
from tests.device.boards import MAC_MINI, big_and_little, orin_nano, pi_4, pi_5, recorded, virtual_machine


def silent(*_command: str) -> str:
    return ""


def test_a_raspberry_pi_5(tmp_path: Path) -> None:
    board = read_board(recorded(tmp_path, pi_5()), ask=silent)
    assert (board.name, board.processor) == ("Raspberry Pi 5 Model B Rev 1.0", "Cortex-A76")
    assert (board.n_cpus, board.n_cores, board.core_classes, board.n_engine_threads) == (4, 4, (), 3)
    assert board.features == {"asimd", "asimdhp", "asimddp"}
    assert board.ram.total_bytes == 8_245_248 * 1024
    assert board.temperatures_c == (("cpu-thermal", 61.25),)
    assert board.throttling == Throttling()
    assert (board.gpus, board.cuda, board.metal, board.cpu_quota) == ((), False, False, None)


def test_a_raspberry_pi_4_is_asked_by_its_program_where_the_kernel_has_no_file(tmp_path: Path) -> None:
    asked = []

    def answer(*command: str) -> str:
        asked.append(command)
        return "throttled=0x50005"

    board = read_board(recorded(tmp_path, pi_4()), ask=answer)
    assert (board.processor, board.features) == ("Cortex-A72", frozenset({"asimd"}))
    assert asked == [("vcgencmd", "get_throttled")]
    assert board.throttling.now == ("under-voltage", "it is throttled")
    assert board.throttling.since_boot == ("under-voltage", "it is throttled")


def test_a_jetson_orin_nano(tmp_path: Path) -> None:
    board = read_board(recorded(tmp_path, orin_nano()), ask=silent)
    assert (board.processor, board.n_cores, board.n_engine_threads) == ("Cortex-A78AE", 6, 5)
    assert (len(board.gpus), board.cuda) == (1, True)
    assert board.throttling.now == ("policy0 is held at 1113 of 1510 MHz",)
    assert board.temperatures_c == (("cpu-thermal", 52.0),)


def test_a_virtual_machine_with_a_limit(tmp_path: Path) -> None:
    board = read_board(recorded(tmp_path, virtual_machine()), ask=silent)
    assert (board.name, board.processor) == ("QEMU Standard PC (Q35 + ICH9, 2009)", "AMD EPYC")
    assert (board.n_cpus, board.n_cores, board.cpu_quota, board.n_engine_threads) == (4, 2, 1.5, 1)
    assert {"avx2", "f16c", "avx512_vnni"} <= board.features


def test_slow_cores_are_not_given_to_the_engine(tmp_path: Path) -> None:
    board = read_board(recorded(tmp_path, big_and_little()), ask=silent)
    assert board.processor == "Cortex-A55 and Cortex-A76"
    assert (board.core_classes, board.n_engine_threads) == (((4, 1024), (4, 414)), 3)


def test_a_mac(tmp_path: Path) -> None:
    board = read_board(tmp_path, ask=lambda *_command: MAC_MINI.strip())
    assert (board.name, board.processor) == ("Mac14,3", "Apple M2")
    assert (board.n_cores, board.core_classes, board.n_engine_threads) == (8, ((4, 2), (4, 1)), 3)
    assert (board.features, board.metal, board.cuda) == (frozenset({"asimddp", "i8mm"}), True, False)
    assert board.ram.total_bytes == 16 << 30


def test_a_graphics_card_is_named(tmp_path: Path) -> None:
    card = {"proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t NVIDIA GeForce RTX 4060\nIRQ: 5\n"}
    board = read_board(recorded(tmp_path, {**virtual_machine(), **card}), ask=silent)
    assert (board.gpus, board.cuda) == (("NVIDIA GeForce RTX 4060",), True)


def test_heat_counted_by_a_pc_is_told(tmp_path: Path) -> None:
    counts = {
        "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": "0\n",
        "sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count": "17\n",
    }
    board = read_board(recorded(tmp_path, {**virtual_machine(), **counts}), ask=silent)
    assert board.throttling.since_boot == ("it was slowed down by heat 17 times",)


@pytest.mark.parametrize(
    ("bits", "now", "since_boot"),
    [
        ("0", 0, 0),
        ("50000", 0, 2),
        ("80008", 1, 1),
        ("f000f", 4, 4),
        ("nonsense", 0, 0),
    ],
)
def test_throttling_bits(tmp_path: Path, bits: str, now: int, since_boot: int) -> None:
    throttling = read_board(recorded(tmp_path, pi_5(bits)), ask=silent).throttling
    assert (len(throttling.now), len(throttling.since_boot)) == (now, since_boot)


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    board = read_board(recorded(tmp_path, {"proc/cpuinfo": "\n", "proc/meminfo": "MemTotal: 1 kB\n"}), ask=silent)
    assert (board.n_cpus, board.n_cores, board.n_engine_threads) == (1, 1, 1)
    assert board.processor == "unknown processor"
    assert board.name.endswith("machine")


def test_a_program_that_is_not_there_or_fails_says_nothing() -> None:
    assert ask_system("no-such-program-anywhere") == ""
    assert ask_system("false") == ""
    assert ask_system("echo", "hello") == "hello"


def test_this_machine_is_read() -> None:
    board = read_board()
    assert 1 <= board.n_engine_threads <= board.n_cores <= board.n_cpus
    assert board.ram.total_bytes > 0
