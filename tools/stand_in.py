"""A stand-in for the models that are not here yet: random weights in the shape and types of a 1.5B, cut to some layers.

How fast a model runs on a board depends on its shapes and types, and the starter is a poor guide to larger ones: its
rows are too narrow for the types and kernels that those use (on one x86-64 core it reads its weights at 9 GB/s, a real
1.5B in Q4_K_M at 20). So `tools.models_bench` measures this one beside it, and throws it away.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.random_gguf import Mix, ModelShape, weight_bytes, write_random_gguf

SHAPE = ModelShape(
    name="stand-in",
    arch="qwen2",
    n_layers=6,
    n_embd=1536,
    n_heads=12,
    n_kv_heads=2,
    head_dim=128,
    n_ffn=8960,
    n_vocab=4096,
)
"""Of Qwen2.5-1.5B, with six of its 28 layers and few of its words: a file of 170 MB."""

_MIX: Mix = "Q4_K_M"
_IN_MEMORY = Path("/dev/shm")  # noqa: S108  a folder of its own in it, which spares the card the writing


@contextmanager
def stand_in() -> Iterator[Path]:
    """Make the file, in memory where that has room for it, and remove it at the end. Takes about a second.

    Raises OSError where there is no room.
    """
    with tempfile.TemporaryDirectory(prefix="familiar-", dir=_roomy_folder(2 * weight_bytes(SHAPE, _MIX))) as folder:
        path = Path(folder) / "stand-in.gguf"
        write_random_gguf(path, SHAPE, _MIX)
        yield path


def _roomy_folder(needed_bytes: int) -> Path | None:
    """None for the usual one."""
    try:
        return _IN_MEMORY if shutil.disk_usage(_IN_MEMORY).free > needed_bytes else None
    except OSError:
        return None
