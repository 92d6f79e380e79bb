"""Measurements for tests, as a benchmark would have taken them."""

from pathlib import Path
from typing import Any

from device.tuning import Candidate, Measurement, Speeds


def measurement(model: str = "small", **changes: Any) -> Measurement:
    """SmolLM2-135M on two quiet cores of a server, unless changed."""
    figures: dict[str, Any] = {
        "model": model,
        "path": f"/models/{model}.gguf",
        "file_bytes": 98_362_432,
        "file_mtime_ns": 1,
        "n_parameters": 134_515_008,
        "read_bytes": 96_576_768,
        "kv_bytes": 23_040,
        "n_ctx": 2048,
        "gpu_layers": 0,
        "threads": 1,
        "batch_tokens": 64,
        "flash_attention": False,
        "empty": Speeds(prefill_tps=175.0, decode_tps=92.0),
        "full": Speeds(prefill_tps=110.0, decode_tps=61.0),
        "full_q8": Speeds(prefill_tps=43.0, decode_tps=41.0),
        "noise": 0.04,
        "doubt": "",
    }
    return Measurement(**{**figures, **changes})


def of_file(path: Path, **changes: Any) -> Measurement:
    """The same for a file that exists, as it is now."""
    now = path.stat()
    given = {"path": str(path), "file_bytes": now.st_size, "file_mtime_ns": now.st_mtime_ns, **changes}
    return measurement(given.pop("model", path.stem), **given)


def candidate(name: str = "small", **changes: Any) -> Candidate:
    figures: dict[str, Any] = {
        "name": name,
        "path": f"/models/{name}.gguf",
        "size_bytes": 98_362_432,
        "n_parameters": 134_515_008,
        "kv_bytes": 23_040,
    }
    return Candidate(**{**figures, **changes})
