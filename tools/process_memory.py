"""How much memory this process really takes: resident, without the model files it maps.

Mapped model files are page cache that the kernel may drop at any time; what counts on a small board is the rest.
"""

import re
from pathlib import Path

_HEADER = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")
_MODEL_SUFFIXES = (".gguf", ".onnx", ".bin")


def resident_without_models_mb() -> float:
    """Resident megabytes (10^6 bytes) of this process less its mapped model files. Linux only (`/proc/self/smaps`)."""
    # Names of mapped files are bytes of any kind.
    smaps = Path("/proc/self/smaps").read_text(encoding="utf-8", errors="replace")
    return round(resident_kb(smaps) * 1024 / 1e6, 1)


def resident_kb(smaps: str) -> int:
    """Resident KiB of the mappings in a text of the form of `/proc/PID/smaps`, those of model files left out. Pure."""
    total_kb = 0
    mapped_model = False
    for line in smaps.splitlines():
        header = _HEADER.match(line)
        if header:
            mapped_model = header.group(1).endswith(_MODEL_SUFFIXES)
        elif line.startswith("Rss:") and not mapped_model:
            total_kb += int(line.split()[1])
    return total_kb
