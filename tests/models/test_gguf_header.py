"""A GGUF file is checked before llama.cpp sees it: whole, of a known version, and bounded."""

import ctypes
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelFileError
from models.gguf import _TENSOR_BLOCKS, read_gguf_header
from tests.models.tiny_gguf import ARRAY, STRING, U32, Value, gguf_bytes, string

BASICS: dict[str, Value] = {
    "general.architecture": "llama",
    "general.name": "Tiny",
    "general.file_type": 7,
    "llama.context_length": 512,
}
TENSOR = {"output.weight": np.ones((4, 8), dtype=np.float32)}


def written(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        read_gguf_header(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_header_tells_what_the_file_is(tmp_path: Path) -> None:
    header = read_gguf_header(
        written(tmp_path, gguf_bytes({**BASICS, "tokenizer.chat_template": "{{ messages }}"}, TENSOR))
    )
    assert (header.kind, header.architecture, header.name, header.quantisation) == ("model", "llama", "Tiny", "Q8_0")
    assert (header.context_length, header.chat_template, header.n_tensors) == (512, "{{ messages }}", 1)
    assert header.file_bytes == (tmp_path / "model.gguf").stat().st_size


def test_what_the_file_does_not_say_has_a_default(tmp_path: Path) -> None:
    header = read_gguf_header(written(tmp_path, gguf_bytes({"general.architecture": "llama"})))
    assert (header.name, header.quantisation, header.chat_template) == ("model", "unknown", None)
    assert (header.context_length, header.n_tensors) == (0, 0)


def test_what_the_file_calls_itself_is_a_short_line_whatever_it_holds(tmp_path: Path) -> None:
    hostile: dict[str, Value] = {**BASICS, "general.name": "x\x1b[2J\nall is well " + "y" * 300}
    header = read_gguf_header(written(tmp_path, gguf_bytes(hostile, TENSOR)))
    assert header.name.startswith("x [2J all is well yyy")
    assert header.name.isprintable()
    assert len(header.name) == 80
    odd: dict[str, Value] = {**BASICS, "general.architecture": "ll\x1bama", "general.type": "\x07model"}
    header = read_gguf_header(written(tmp_path, gguf_bytes(odd, TENSOR)))
    assert (header.architecture, header.kind) == ("ll ama", "model")


def test_a_key_that_is_no_text_is_complained_of_in_a_short_line(tmp_path: Path) -> None:
    preamble = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + string("general.\x1b[2J" + "k" * 5_000)
    complaint = refusal(written(tmp_path, preamble + struct.pack("<I", 77) + bytes(64)))
    assert "general. [2Jkkk" in complaint
    assert complaint.removeprefix(str(tmp_path)).isprintable()
    assert len(complaint) < 500 + len(str(tmp_path))


def test_lists_are_skipped(tmp_path: Path) -> None:
    words: dict[str, Value] = {"tokenizer.ggml.tokens": ["a", "bc", ""], "tokenizer.ggml.scores": [1.0, 2.0, 3.0]}
    assert read_gguf_header(written(tmp_path, gguf_bytes({**words, **BASICS}, TENSOR))).name == "Tiny"


def test_missing_directory_and_empty_files_are_named(tmp_path: Path) -> None:
    assert "does not exist" in refusal(tmp_path / "absent.gguf")
    assert "is a directory" in refusal(tmp_path)
    assert "is empty" in refusal(written(tmp_path, b""))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.gguf")
    assert "no plain file" in refusal(tmp_path / "pipe.gguf")


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    assert "not a GGUF file" in refusal(written(tmp_path, b"PK\x03\x04" + bytes(100)))


@pytest.mark.parametrize(
    ("version", "reason"), [(1, "version 1"), (4, "version 4"), (0x03000000, "big-endian"), (0, "version 0")]
)
def test_unknown_versions_are_refused(tmp_path: Path, version: int, reason: str) -> None:
    assert reason in refusal(written(tmp_path, gguf_bytes(BASICS, TENSOR, version=version)))


def test_every_length_short_of_the_whole_is_refused(tmp_path: Path) -> None:
    whole = gguf_bytes(BASICS, TENSOR)
    read_gguf_header(written(tmp_path, whole))
    for length in range(4, len(whole)):
        assert "cut short" in refusal(written(tmp_path, whole[:length]))


def test_a_download_cut_short_says_how_much_is_there(tmp_path: Path) -> None:
    whole = gguf_bytes(BASICS, TENSOR)
    message = refusal(written(tmp_path, whole[:-28]))
    assert f"{len(whole) - 28} of {len(whole)} bytes" in message
    assert "familiar models pull" in message


def test_absurd_counts_are_refused_at_once(tmp_path: Path) -> None:
    absurd = 1 << 60
    preamble = b"GGUF" + struct.pack("<I", 3)
    cases = [
        preamble + struct.pack("<QQ", absurd, 1),
        preamble + struct.pack("<QQ", 1, absurd),
        preamble + struct.pack("<QQ", 0, 1) + struct.pack("<Q", absurd),
        preamble + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IQ", STRING, absurd),
        preamble + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", ARRAY, U32, absurd),
        preamble + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", ARRAY, STRING, absurd),
        preamble + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<IIQ", ARRAY, ARRAY, 1),
        preamble + struct.pack("<QQ", 0, 1) + string("k") + struct.pack("<I", 77),
    ]
    for data in cases:
        assert "damaged" in refusal(written(tmp_path, data + bytes(64)))


def test_damaged_values_are_refused(tmp_path: Path) -> None:
    without_architecture: dict[str, Value] = {"general.name": "x"}
    for metadata in (without_architecture, {**BASICS, "general.architecture": 3}, {**BASICS, "general.alignment": 3}):
        assert "damaged" in refusal(written(tmp_path, gguf_bytes(metadata, TENSOR)))


def test_a_tensor_of_an_unknown_type_or_shape_is_refused(tmp_path: Path) -> None:
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + string("general.architecture")
    head += struct.pack("<I", STRING) + string("llama") + string("t")
    assert "type 31" in refusal(written(tmp_path, head + struct.pack("<IQIQ", 1, 8, 31, 0) + bytes(64)))
    assert "dimensions" in refusal(written(tmp_path, head + struct.pack("<I", 9) + bytes(64)))
    assert "cut short" in refusal(written(tmp_path, head + struct.pack("<IQIQ", 1, 1 << 62, 0, 1 << 62) + bytes(64)))


def test_block_sizes_are_those_of_the_installed_llama_cpp() -> None:
    library = Path(pytest.importorskip("llama_cpp").__file__).parent / "lib" / "libggml-base.so"
    if not library.is_file():
        pytest.skip(f"{library} is not there")
    ggml = ctypes.CDLL(str(library))
    ggml.ggml_blck_size.restype, ggml.ggml_type_size.restype = ctypes.c_int64, ctypes.c_size_t
    for kind, (block, block_bytes) in _TENSOR_BLOCKS.items():
        assert (ggml.ggml_blck_size(kind), ggml.ggml_type_size(kind)) == (block, block_bytes), kind


def test_the_real_model_is_read(real_model: Path) -> None:
    header = read_gguf_header(real_model)
    assert (header.architecture, header.quantisation, header.context_length) == ("llama", "Q4_1", 8192)
    assert header.chat_template is not None
    assert "<|im_start|>" in header.chat_template
