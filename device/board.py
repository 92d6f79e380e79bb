"""The board: what this machine is, how many processors of what kind it has, its memory, GPU and heat.

Reads small files of /proc, /sys and /dev below a root folder, so that recorded machines can be looked at as well, and
asks `sysctl` on a Mac and `vcgencmd` on a Raspberry Pi whose kernel has no file for it. Takes milliseconds, changes
nothing, fails for nothing: what cannot be read is left out. What follows from it for the models is worked out in
`device.tuning`, and what a person should do about it in `device.doctor`.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.ram import Ram, control_groups, read_number, read_ram

_ROOT = Path("/")
_ASK_LIMIT_S = 2.0

Ask = Callable[..., str]
"""Runs a small system program and returns what it printed, "" where that failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """Why the processor is slower than it could be, in words: now, and at some time since the machine was started."""

    now: tuple[str, ...] = ()
    since_boot: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """`n_cpus` are the processors this process may use, `n_cores` the physical cores among them, siblings of a
    hyper-threaded core counted once. `core_classes` are (number, capacity) of the kinds of processors where they
    differ (big.LITTLE), fastest first. `features` are the instruction sets that llama.cpp can make use of, as Linux
    names them. `cpu_quota` is how many processors a control group allows, None without a limit. `gpus` are names;
    `cuda` and `metal` say what could use them.
    """

    name: str
    processor: str
    n_cpus: int
    n_cores: int
    core_classes: tuple[tuple[int, int], ...]
    features: frozenset[str]
    ram: Ram
    cpu_quota: float | None
    gpus: tuple[str, ...]
    cuda: bool
    metal: bool
    temperatures_c: tuple[tuple[str, float], ...]
    throttling: Throttling

    @property
    def n_engine_threads(self) -> int:
        """Most threads that a companion's engine can have: one of the fast cores stays free for ears and voice, and
        slow cores would keep the others waiting at every barrier."""
        fast = self.core_classes[0][0] if self.core_classes else self.n_cores
        allowed = int(self.cpu_quota) if self.cpu_quota is not None else fast
        return max(1, min(fast, self.n_cores, allowed) - 1)


def ask_system(*command: str) -> str:
    """What the program prints; "" where there is none, or it fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_ASK_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def read_board(root: Path = _ROOT, *, ask: Ask = ask_system) -> Board:
    """The machine below `root`."""
    if not (root / "proc/cpuinfo").is_file():
        return _read_mac(root, ask)
    cpuinfo = _text(root / "proc/cpuinfo")
    cpus = _usable_cpus(root, cpuinfo)
    machine = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    gpus = _nvidia_gpus(root)
    return Board(
        name=_board_name(root),
        processor=_processor_name(cpuinfo),
        n_cpus=len(cpus),
        n_cores=len({_text(root / f"{_CPU}{cpu}/topology/thread_siblings_list") or str(cpu) for cpu in cpus}),
        core_classes=_core_classes(root, cpus),
        features=_FEATURES.intersection(machine[1].split() if machine else ()),
        ram=read_ram(root),
        cpu_quota=_cpu_quota(root),
        gpus=gpus,
        cuda=bool(gpus),
        metal=False,
        temperatures_c=_temperatures_c(root),
        throttling=_throttling(root, ask),
    )


_CPU = "sys/devices/system/cpu/cpu"

# The processors of boards that companions run on: /proc/cpuinfo of ARM has numbers in place of names. From the "Main ID
# Register" sections of Arm's reference manuals.
_ARM_PARTS = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse N1", "0xd40": "Neoverse V1",
    "0xd41": "Cortex-A78", "0xd42": "Cortex-A78AE", "0xd44": "Cortex-X1", "0xd46": "Cortex-A510",
    "0xd47": "Cortex-A710", "0xd49": "Neoverse N2", "0xd4f": "Neoverse V2",
}  # fmt: skip

_FEATURES = frozenset({
    "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme",
    "avx", "avx2", "f16c", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8",
})  # fmt: skip

# https://www.raspberrypi.com/documentation/computers/os.html#get_throttled; 16 bits higher: the same, since boot.
_PI_BITS = ("under-voltage", "its frequency is capped", "it is throttled", "the soft temperature limit is reached")


def _usable_cpus(root: Path, cpuinfo: str) -> list[int]:
    there = [int(number) for number in re.findall(r"^processor\s*:\s*(\d+)", cpuinfo, re.MULTILINE)]
    if root == _ROOT:
        allowed = os.sched_getaffinity(0)
        there = [cpu for cpu in there if cpu in allowed]
    return there or [0]


def _board_name(root: Path) -> str:
    """From the device tree of a board, else from the BIOS of a PC, else from what the machine says it is."""
    for tree in ("proc/device-tree/model", "sys/firmware/devicetree/base/model"):
        if name := _text(root / tree).rstrip("\0\n"):  # the device tree ends its strings with a NUL
            return name
    dmi = [_text(root / f"sys/class/dmi/id/{part}") for part in ("sys_vendor", "product_name")]
    return " ".join(part for part in dmi if part) or f"{os.uname().machine} machine"


def _processor_name(cpuinfo: str) -> str:
    parts = dict.fromkeys(re.findall(r"^CPU part\s*:\s*(\w+)", cpuinfo, re.MULTILINE))
    if known := [_ARM_PARTS[part] for part in parts if part in _ARM_PARTS]:
        return " and ".join(known)
    name = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return name[1].strip() if name else "unknown processor"


def _core_classes(root: Path, cpus: list[int]) -> tuple[tuple[int, int], ...]:
    capacities = [read_number(root / f"{_CPU}{cpu}/cpu_capacity") for cpu in cpus]
    counted = Counter(capacity for capacity in capacities if capacity is not None)
    if len(counted) < 2:
        return ()
    return tuple((n, capacity) for capacity, n in sorted(counted.items(), reverse=True))


def _cpu_quota(root: Path) -> float | None:
    quotas = []
    for group in control_groups("cpu", root):
        quota, period = read_number(group / "cpu.cfs_quota_us"), read_number(group / "cpu.cfs_period_us")
        if words := _text(group / "cpu.max").split():
            quota, period = (int(word) if word.isdigit() else None for word in words[:2])
        if quota is not None and period:
            quotas.append(quota / period)
    return min(quotas, default=None)


def _nvidia_gpus(root: Path) -> tuple[str, ...]:
    cards = sorted((root / "proc/driver/nvidia/gpus").glob("*/information"))
    if cards:
        named = (re.search(r"^Model:\s*(.+)$", _text(card), re.MULTILINE) for card in cards)
        return tuple(name[1].strip() if name else "NVIDIA GPU" for name in named)
    if (root / "dev/nvhost-gpu").exists() or (root / "dev/nvgpu/igpu0").exists():
        return ("Jetson's GPU, which shares the memory",)
    return ("NVIDIA GPU",) if (root / "dev/nvidia0").exists() else ()


def _temperatures_c(root: Path) -> tuple[tuple[str, float], ...]:
    found = []
    for zone in sorted((root / "sys/class/thermal").glob("thermal_zone*")):
        millidegrees = read_number(zone / "temp")
        if millidegrees is not None:  # some zones of a Jetson cannot be read while what they measure is switched off
            found.append((_text(zone / "type") or zone.name, millidegrees / 1000))
    return tuple(found)


def _throttling(root: Path, ask: Ask) -> Throttling:
    now, since_boot = _pi_throttling(root, ask)
    for policy in sorted((root / "sys/devices/system/cpu/cpufreq").glob("policy*")):
        most, allowed = read_number(policy / "cpuinfo_max_freq"), read_number(policy / "scaling_max_freq")
        if most and allowed and allowed < most:
            now.append(f"{policy.name} is held at {allowed // 1000} of {most // 1000} MHz")
    times = [
        read_number(count) or 0
        for kind in ("core", "package")
        for count in (root / "sys/devices/system/cpu").glob(f"cpu*/thermal_throttle/{kind}_throttle_count")
    ]
    if most_times := max(times, default=0):
        since_boot.append(f"it was slowed down by heat {most_times} times")
    return Throttling(now=tuple(now), since_boot=tuple(since_boot))


def _pi_throttling(root: Path, ask: Ask) -> tuple[list[str], list[str]]:
    devices = root / "sys/devices/platform"
    files = [*devices.glob("*/*firmware/get_throttled"), *devices.glob("*firmware/get_throttled")]
    text = _text(files[0]) if files else ""
    if not text and (root / "dev/vcio").exists():
        text = ask("vcgencmd", "get_throttled").partition("=")[2]
    try:
        bits = int(text or "0", 16)
    except ValueError:
        bits = 0
    now = [what for bit, what in enumerate(_PI_BITS) if bits >> bit & 1]
    return now, [what for bit, what in enumerate(_PI_BITS) if bits >> (bit + 16) & 1]


def _read_mac(root: Path, ask: Ask) -> Board:
    """macOS has no /proc; `sysctl` knows. Apple's chips have fast and slow cores, and Metal."""
    values = dict(line.split(": ", 1) for line in ask("sysctl", "hw", "machdep.cpu").splitlines() if ": " in line)

    def number(name: str) -> int:
        return int(values[name]) if values.get(name, "").isdigit() else 0

    classes = [(number(f"hw.perflevel{level}.physicalcpu"), 2 - level) for level in range(2)]
    apple_names = {"FEAT_DotProd": "asimddp", "FEAT_I8MM": "i8mm", "FEAT_SME": "sme", "FEAT_BF16": "bf16"}
    features = {linux for apple, linux in apple_names.items() if number(f"hw.optional.arm.{apple}")}
    intel_names = {"avx2_0": "avx2", "avx512f": "avx512f"}
    features |= {linux for name, linux in intel_names.items() if number(f"hw.optional.{name}")}
    memory = number("hw.memsize")
    apple = number("hw.optional.arm64") == 1
    return Board(
        name=values.get("hw.model", f"{os.uname().machine} machine"),
        processor=values.get("machdep.cpu.brand_string", "unknown processor"),
        n_cpus=number("hw.logicalcpu") or os.cpu_count() or 1,
        n_cores=number("hw.physicalcpu") or os.cpu_count() or 1,
        core_classes=tuple(classes) if all(n for n, _ in classes) else (),
        features=frozenset(features),
        ram=Ram(total_bytes=memory, available_bytes=memory) if memory else read_ram(root),
        cpu_quota=None,
        gpus=("Apple's GPU, which shares the memory",) if apple else (),
        cuda=False,
        metal=apple,
        temperatures_c=(),
        throttling=Throttling(),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
