"""Recorded machines for tests: the small files of /proc, /sys and /dev that tell what a board is.

Processors and features as their kernels print them (hrw/arm-socs-table issue 96 for the Raspberry Pi 5,
fastfetch-cli/fastfetch issue 1529 for the 4); sizes and clocks are those of the boards' data sheets.
"""

from collections.abc import Mapping
from pathlib import Path

PI_5_FEATURES = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
PI_4_FEATURES = "fp asimd evtstrm crc32 cpuid"
ORIN_FEATURES = f"{PI_5_FEATURES} uscat ilrcpc flagm paca pacg"


def meminfo(total_kb: int, available_kb: int) -> str:
    return f"MemTotal: {total_kb} kB\nMemFree: 100000 kB\nMemAvailable: {available_kb} kB\nSwapFree: 0 kB\n"


def arm(n: int, part: str, features: str) -> str:
    """/proc/cpuinfo of `n` equal cores."""
    return "".join(
        f"processor\t: {cpu}\nBogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\n"
        f"CPU architecture: 8\nCPU part\t: {part}\n\n"
        for cpu in range(n)
    )


def pi_5(throttled: str = "0") -> dict[str, str]:
    return {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "proc/cpuinfo": arm(4, "0xd0b", PI_5_FEATURES),
        "proc/meminfo": meminfo(8_245_248, 7_400_000),
        "sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled": f"{throttled}\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "61250\n",
    }


def pi_4() -> dict[str, str]:
    """With a kernel that has no file for throttling, so that `vcgencmd` has to be asked."""
    return {
        "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.5\0",
        "proc/cpuinfo": arm(4, "0xd08", PI_4_FEATURES) + "Model\t\t: Raspberry Pi 4 Model B Rev 1.5\n",
        "proc/meminfo": meminfo(3_885_396, 3_300_000),
        "dev/vcio": "",
    }


def orin_nano() -> dict[str, str]:
    """In a power mode that holds the processor below what it can."""
    return {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        "proc/cpuinfo": arm(6, "0xd42", ORIN_FEATURES),
        "proc/meminfo": meminfo(7_802_072, 5_900_000),
        "dev/nvhost-gpu": "",
        "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "1510400\n",
        "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1113600\n",
        "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
        "sys/class/thermal/thermal_zone0/temp": "52000\n",
        "sys/class/thermal/thermal_zone1/type": "cv0-thermal\n",
    }


def virtual_machine() -> dict[str, str]:
    """Two cores of a server with four hardware threads, of which a control group allows one and a half."""
    cpus = "".join(
        f"processor\t: {cpu}\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx avx2 f16c fma avx512f avx512_vnni\n\n"
        for cpu in range(4)
    )
    siblings = {
        f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list": f"{cpu % 2},{cpu % 2 + 2}\n"
        for cpu in range(4)
    }
    return {
        **siblings,
        "proc/cpuinfo": cpus,
        "proc/meminfo": meminfo(24_684_096, 24_000_000),
        "proc/self/cgroup": "0::/box\n",
        "sys/fs/cgroup/box/cpu.max": "150000 100000\n",
        "sys/class/dmi/id/sys_vendor": "QEMU\n",
        "sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)\n",
    }


def big_and_little() -> dict[str, str]:
    """An RK3588: four Cortex-A55 and four Cortex-A76."""
    little, big = arm(4, "0xd05", PI_5_FEATURES), arm(4, "0xd0b", PI_5_FEATURES)
    for cpu in range(4):
        big = big.replace(f"processor\t: {cpu}\n", f"processor\t: {cpu + 4}\n")
    capacities = {f"sys/devices/system/cpu/cpu{cpu}/cpu_capacity": "414\n" if cpu < 4 else "1024\n" for cpu in range(8)}
    return {"proc/cpuinfo": little + big, "proc/meminfo": meminfo(16_000_000, 15_000_000), **capacities}


MAC_MINI = """\
hw.model: Mac14,3
hw.memsize: 17179869184
hw.logicalcpu: 8
hw.physicalcpu: 8
hw.perflevel0.physicalcpu: 4
hw.perflevel1.physicalcpu: 4
hw.optional.arm64: 1
hw.optional.arm.FEAT_DotProd: 1
hw.optional.arm.FEAT_I8MM: 1
hw.optional.arm.FEAT_SME: 0
machdep.cpu.brand_string: Apple M2
"""
"""What `sysctl hw machdep.cpu` prints on a Mac mini of 2023, the lines that matter."""


def recorded(root: Path, files: Mapping[str, str]) -> Path:
    """Write the files below `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
