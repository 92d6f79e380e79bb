"""How much memory this process may use: the machine's, less what a control group allows.

Read from /proc and /sys below a root folder, so that a recorded machine can be looked at too. What a model needs of it
is worked out in `models.footprint`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ram:
    """Bytes. `total` is what the machine or the tightest control group has (`limit` is that group's, None without
    one); `available` is what may be had now without anything being killed, swap included."""

    total_bytes: int
    available_bytes: int
    limit_bytes: int | None = None


def read_ram(root: Path = _ROOT) -> Ram:
    """The memory of the machine below `root`. Without /proc (macOS) all of the memory counts as available."""
    meminfo = root / "proc/meminfo"
    if not meminfo.is_file():
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return Ram(total_bytes=total, available_bytes=total)
    amounts = _table(meminfo, unit_bytes=1024)
    total, swap = amounts.get("MemTotal", 0), amounts.get("SwapFree", 0)
    available = amounts.get("MemAvailable", total) + swap
    limit = None
    for group in control_groups("memory", root):
        group_limit = read_number(group / "memory.max", group / "memory.limit_in_bytes")
        if group_limit is None or group_limit >= total:  # version 1 writes "none" as a huge number
            continue
        limit = min(group_limit, limit or group_limit)
        pages = _table(group / "memory.stat", unit_bytes=1)
        # The group's page cache goes when memory is wanted.
        cache = pages.get("inactive_file", 0) + pages.get("active_file", 0)
        used = max(0, (read_number(group / "memory.current", group / "memory.usage_in_bytes") or 0) - cache)
        available = min(available, max(0, group_limit - used) + swap)
    return Ram(total_bytes=min(total, limit or total), available_bytes=available, limit_bytes=limit)


def control_groups(controller: str, root: Path = _ROOT) -> list[Path]:
    """The control group of this process for `controller` ("memory", "cpu") and those it lies in, innermost first: of
    version 1 where the controller is mounted as such, else of version 2."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    mounts = root / "sys/fs/cgroup"
    own = {name: path for _, names, path in (line.split(":", 2) for line in lines) for name in names.split(",")}
    top = mounts / controller if controller in own else mounts
    path = own.get(controller, own.get("", "/")).strip("/")
    # A container sees its own group as the top, whatever the path says.
    group = top / path if ".." not in path and (top / path).is_dir() else top
    return [group, *(parent for parent in group.parents if parent == top or top in parent.parents)]


def read_number(*paths: Path) -> int | None:
    """The number in the first of these files that exists; None for "max" and where there is none."""
    for path in paths:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        return int(text) if text.isdigit() else None
    return None


def _table(path: Path, *, unit_bytes: int) -> dict[str, int]:
    """The amounts in lines such as "MemTotal:  8131480 kB" and "inactive_file 4096"."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    words = (line.replace(":", " ").split() for line in lines)
    return {row[0]: int(row[1]) * unit_bytes for row in words if len(row) > 1 and row[1].isdigit()}
