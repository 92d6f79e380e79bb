"""How much memory there is, on recorded machines with and without control groups."""

from pathlib import Path

from models.ram import Ram, read_ram

GIB = 1 << 30


def machine(root: Path, files: dict[str, str]) -> Path:
    meminfo = "MemTotal: 8388608 kB\nMemFree: 1048576 kB\nMemAvailable: 4194304 kB\nSwapFree: 1048576 kB\n"
    for name, text in {"proc/meminfo": meminfo, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_without_limits_the_machine_counts(tmp_path: Path) -> None:
    assert read_ram(machine(tmp_path, {})) == Ram(total_bytes=8 * GIB, available_bytes=5 * GIB)
    unlimited = {
        "proc/self/cgroup": "0::/system.slice/x.service\n",
        "sys/fs/cgroup/system.slice/x.service/memory.max": "max\n",
    }
    assert read_ram(machine(tmp_path, unlimited)).limit_bytes is None


def test_the_tightest_of_the_groups_counts_less_what_is_used(tmp_path: Path) -> None:
    group = "sys/fs/cgroup/toys.slice"
    ram = read_ram(
        machine(
            tmp_path,
            {
                "proc/self/cgroup": "0::/toys.slice/familiar.service\n",
                f"{group}/memory.max": f"{2 * GIB}\n",
                f"{group}/memory.current": f"{GIB}\n",
                f"{group}/memory.stat": f"anon 1\nactive_file {GIB // 4}\ninactive_file {GIB // 4}\n",
                f"{group}/familiar.service/memory.max": f"{4 * GIB}\n",
                f"{group}/familiar.service/memory.current": "0\n",
            },
        )
    )
    swap = GIB
    assert ram == Ram(total_bytes=2 * GIB, available_bytes=2 * GIB - GIB // 2 + swap, limit_bytes=2 * GIB)


def test_a_container_sees_its_own_group_at_the_top(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/../outside\n", "sys/fs/cgroup/memory.max": f"{GIB}\n"}
    assert read_ram(machine(tmp_path, files)).total_bytes == GIB


def test_groups_of_version_1_count_too(tmp_path: Path) -> None:
    files = {
        "proc/self/cgroup": "5:cpu,cpuacct:/box\n4:memory:/box\n0::/\n",
        "sys/fs/cgroup/memory/box/memory.limit_in_bytes": f"{GIB}\n",
        "sys/fs/cgroup/memory/box/memory.usage_in_bytes": f"{GIB // 2}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    ram = read_ram(machine(tmp_path, files))
    assert (ram.limit_bytes, ram.available_bytes) == (GIB, GIB // 2 + GIB)


def test_files_that_make_no_sense_are_passed_over(tmp_path: Path) -> None:
    files = {"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "lots\n", "sys/fs/cgroup/memory.stat": "\n\nx\n"}
    assert read_ram(machine(tmp_path, files)).total_bytes == 8 * GIB


def test_this_machine_has_memory() -> None:
    ram = read_ram()
    assert ram.available_bytes > 0
    assert 0 < ram.total_bytes < 1 << 50
