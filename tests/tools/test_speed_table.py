"""The table and the plot of random-weight models."""

import shutil
import tempfile
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from device.errors import FamiliarError
from models.engine import EngineSettings
from tools import speed_table
from tools.random_gguf import ModelShape
from tools.speed_table import MEASURED_MIXES, SpeedTable, draw, measure_table, read_bandwidth_gb_s, table_lines

TINY = ModelShape(
    name="tiny",
    arch="llama",
    n_layers=2,
    n_embd=256,
    n_heads=4,
    n_kv_heads=2,
    head_dim=64,
    n_ffn=256,
    n_vocab=512,
)


@pytest.fixture(scope="module")
def table() -> SpeedTable:
    said: list[str] = []
    table = measure_table([TINY], EngineSettings(threads=1), repeats=1, say=said.append)
    assert len(said) == len(MEASURED_MIXES)
    return table


def test_every_mix_of_a_shape_is_measured(table: SpeedTable) -> None:
    assert [speed.mix for speed in table.speeds] == list(MEASURED_MIXES)
    for speed in table.speeds:
        assert speed.decode_tok_s > 0
        assert speed.prefill_tok_s > 0
        assert speed.weight_bytes < speed.file_bytes < speed.weight_bytes + 100_000
    assert table.bandwidth_gb_s > 0


def test_the_table_keeps_within_78_columns(table: SpeedTable) -> None:
    (largest, *_) = table.speeds
    wide = replace(largest, shape="llama-3.2-3b", file_bytes=3_420_000_000, prefill_tok_s=1e4, decode_tok_s=1e3)
    lines = table_lines(replace(table, speeds=(*table.speeds, wide)))
    assert max(map(len, lines)) <= 78
    assert len(lines) == 2 + 4


def test_the_plot_is_drawn_with_its_limit(table: SpeedTable, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (extra `bench`) is not installed")
    larger = replace(table.speeds[0], file_bytes=4 * table.speeds[0].file_bytes)
    png, svg = draw(replace(table, speeds=(*table.speeds, larger)), tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text(encoding="utf-8").rstrip().endswith("</svg>")


def test_bandwidth_is_that_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed_table, "_READ_BYTES", 64 << 20)
    assert 0.1 < read_bandwidth_gb_s(2) < 5_000


def test_a_full_disk_is_said_before_anything_is_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(1 << 20, 1 << 20, 0))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(FamiliarError, match="make room"):
        measure_table([TINY], EngineSettings(threads=1), repeats=1, say=lambda line: None)
    assert not list(tmp_path.iterdir())
