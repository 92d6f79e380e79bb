"""Loading with settings and files that make no sense."""

import logging
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from models.loading import EngineSettings, LoadedModel
from tests.models.tiny_gguf import write_scripted_model

LOAD = """
import sys
from pathlib import Path
from models.loading import EngineSettings, LoadedModel
LoadedModel(Path(sys.argv[1]), EngineSettings(threads=1))
"""


def test_no_more_threads_run_than_there_are_processors(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "m.gguf"
    write_scripted_model(path, ["hi"])
    loaded = LoadedModel(path, EngineSettings(n_ctx=64, threads=4096))
    try:
        assert loaded.lib.llama_n_threads(loaded.context) == os.cpu_count()
    finally:
        loaded.close()
    assert [(record.levelno, record.message.partition(" are ")[0]) for record in caplog.records] == [
        (logging.WARNING, "4096 threads")
    ]


def test_a_file_at_which_llama_cpp_gives_up_ends_the_program_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "absurd.gguf"
    write_scripted_model(path, ["hi"])
    whole = path.read_bytes()
    layers = b"llama.block_count" + struct.pack("<I", 4)
    assert layers in whole
    path.write_bytes(whole.replace(layers + struct.pack("<I", 1), layers + struct.pack("<I", 0)))
    done = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("llama.cpp had to give up: GGML_ASSERT")
    assert done.stderr.count("\n") == 1
