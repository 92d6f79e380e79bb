"""Loading with settings and files that make no sense."""

import logging
import os
import pty
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from models.loading import EngineSettings, LoadedModel
from models.native import llama_cpp
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


def test_batches_are_large_on_a_gpu_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.gguf"
    write_scripted_model(path, ["hi"])

    def n_batch(asked: int = 0, gpu_layers: int = -1) -> int:
        settings = EngineSettings(n_ctx=512, threads=1, n_batch=asked, gpu_layers=gpu_layers)
        loaded = LoadedModel(path, settings)
        try:
            return loaded.n_batch
        finally:
            loaded.close()

    for has_gpu, size in ((False, 64), (True, 512)):
        monkeypatch.setattr(llama_cpp().lib, "llama_supports_gpu_offload", lambda has_gpu=has_gpu: has_gpu)
        assert (n_batch(), n_batch(gpu_layers=0), n_batch(32)) == (size, 64, 32)


def write_absurd_model(path: Path) -> None:
    """A model at which llama.cpp aborts the process."""
    write_scripted_model(path, ["hi"])
    whole = path.read_bytes()
    layers = b"llama.block_count" + struct.pack("<I", 4)
    assert layers in whole
    path.write_bytes(whole.replace(layers + struct.pack("<I", 1), layers + struct.pack("<I", 0)))


def test_a_file_at_which_llama_cpp_gives_up_ends_the_program_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "absurd.gguf"
    write_absurd_model(path)
    done = subprocess.run([sys.executable, "-c", LOAD, path], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("llama.cpp had to give up: GGML_ASSERT")
    assert done.stderr.count("\n") == 1


def test_giving_up_shows_the_cursor_of_a_terminal_again(tmp_path: Path) -> None:
    path = tmp_path / "absurd.gguf"
    write_absurd_model(path)
    ours, theirs = pty.openpty()
    try:
        command = [sys.executable, "-c", LOAD, str(path)]
        assert subprocess.run(command, stderr=theirs, check=False, timeout=60).returncode == 1
        assert os.read(ours, 999).startswith(b"\x1b[?25hllama.cpp had to give up")
    finally:
        os.close(ours)
        os.close(theirs)
