"""The memory that a process really takes, from the kernel's listing of its mappings."""

import mmap
import sys
from pathlib import Path

import pytest

from tools.process_memory import resident_kb, resident_without_models_mb

SMAPS = """\
55d0c0a00000-55d0c0b00000 r-xp 00000000 08:01 131 /usr/bin/python3.11
Size:               1024 kB
Rss:                 700 kB
Pss:                 350 kB
VmFlags: rd ex mr mw me sd
7f0000000000-7f0006000000 r--s 00000000 08:01 132 /state/models/llm/a model/model.gguf
Size:              98304 kB
Rss:               90000 kB
VmFlags: rd sh mr me ms sd
7f0010000000-7f0010100000 r--p 00000000 08:01 133 /state/models/tts/voice.onnx
Rss:                1000 kB
7f0020000000-7f0020100000 rw-p 00000000 00:00 0
Rss:                  50 kB
7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]
Rss:                  20 kB
"""


def test_every_mapping_counts_but_those_of_models() -> None:
    assert resident_kb(SMAPS) == 700 + 50 + 20


def test_a_model_ends_with_its_own_mapping() -> None:
    model, after = SMAPS.splitlines()[5:9], SMAPS.splitlines()[0:3]
    assert resident_kb("\n".join([*model, *after])) == 700


def test_a_process_without_mappings_has_no_memory() -> None:
    assert resident_kb("") == 0


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux lists the mappings of a process")
@pytest.mark.parametrize(("name", "counted"), [("model.gguf", False), ("other.dat", True)])
def test_this_process_is_measured(tmp_path: Path, name: str, counted: bool) -> None:
    size = 64 << 20
    with (tmp_path / name).open("w+b") as file:
        file.truncate(size)
        before_mb = resident_without_models_mb()
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as mapped:
            assert not any(mapped[at] for at in range(0, size, mmap.PAGESIZE))  # now all of it is resident
            grown_mb = resident_without_models_mb() - before_mb
    assert 5 < before_mb < 4000
    assert (grown_mb > 50) == counted
