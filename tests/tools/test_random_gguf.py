"""Models with random weights are what llama.cpp would have made of such a model, and run."""

import ctypes
from dataclasses import replace
from pathlib import Path

import gguf
import pytest

from models.engine import EngineSettings, LlamaEngine
from models.native import llama_cpp
from models.sampling import Sampling
from tools.llm_session import generated
from tools.llm_speed import prose
from tools.random_gguf import MIXES, SHAPES, Mix, ModelShape, tensor_plan, weight_bytes, write_random_gguf

WIDE = ModelShape(
    name="wide",
    arch="llama",
    n_layers=9,
    n_embd=256,
    n_heads=4,
    n_kv_heads=2,
    head_dim=64,
    n_ffn=512,
    n_vocab=512,
)
"""Every row is a multiple of 256 long, as in Llama 3.2 3B."""

ODD = replace(WIDE, name="odd", arch="qwen2", n_embd=192, n_heads=3, n_kv_heads=1, n_ffn=768)
"""Rows are no multiple of 256 but for the way down, as in Qwen2.5 0.5B."""


@pytest.mark.parametrize("shape", [WIDE, ODD], ids=lambda shape: shape.name)
@pytest.mark.parametrize("mix", MIXES)
def test_llama_cpp_loads_and_runs_every_mix(tmp_path: Path, shape: ModelShape, mix: Mix) -> None:
    path = tmp_path / "random.gguf"
    write_random_gguf(path, shape, mix)
    with LlamaEngine(path, EngineSettings(n_ctx=256, threads=1)) as engine:
        assert engine.vocabulary.n_tokens == shape.n_vocab
        engine.prefill(prose(engine, 20))
        tokens = generated(engine, Sampling(temperature=0.0, repeat_penalty=1.0), 8)
    assert len(tokens) == 8, "a model without an end of turn goes on, and weights of a sane size make no NaN"
    assert len(set(tokens)) > 1 or tokens[0] != 0


@pytest.mark.parametrize("shape", [WIDE, ODD], ids=lambda shape: shape.name)
@pytest.mark.parametrize("mix", [mix for mix in MIXES if mix != "F16"])
def test_the_types_are_those_of_the_quantizer(tmp_path: Path, shape: ModelShape, mix: Mix) -> None:
    whole, quantized, ours = (tmp_path / f"{name}.gguf" for name in ("whole", "quantized", "ours"))
    write_random_gguf(whole, shape, "F16")
    quantize(whole, quantized, mix)
    write_random_gguf(ours, shape, mix)
    assert tensor_types(ours) == tensor_types(quantized)


@pytest.mark.parametrize(
    ("name", "mix", "published_mb"),
    [("qwen2.5-0.5b", "Q4_K_M", 398), ("qwen2.5-1.5b", "Q4_K_M", 986), ("llama-3.2-3b", "Q8_0", 3422)],
)
def test_sizes_are_those_of_the_published_files(name: str, mix: Mix, published_mb: int) -> None:
    (shape,) = (shape for shape in SHAPES if shape.name == name)
    without_vocabulary_mb = weight_bytes(shape, mix) / 1e6
    assert 0 < published_mb - without_vocabulary_mb < 9


def test_the_file_holds_what_was_planned(tmp_path: Path) -> None:
    path = tmp_path / "random.gguf"
    write_random_gguf(path, ODD, "Q4_K_M")
    planned = {tensor.name: tensor.kind for tensor in tensor_plan(ODD, "Q4_K_M")}
    assert tensor_types(path) == planned
    assert 0 < path.stat().st_size - weight_bytes(ODD, "Q4_K_M") < 100_000


def test_the_same_seed_writes_the_same_file(tmp_path: Path) -> None:
    one, same, other = (tmp_path / name for name in ("one.gguf", "same.gguf", "other.gguf"))
    for path, seed in ((one, 3), (same, 3), (other, 4)):
        write_random_gguf(path, WIDE, "Q8_0", seed=seed)
    assert one.read_bytes() == same.read_bytes() != other.read_bytes()


def quantize(source: Path, target: Path, mix: Mix) -> None:
    lib = llama_cpp().lib
    params = lib.llama_model_quantize_default_params()
    params.ftype = {"Q4_0": 2, "Q8_0": 7, "Q4_K_M": 15}[mix]
    params.nthread = 1
    assert lib.llama_model_quantize(bytes(source), bytes(target), ctypes.byref(params)) == 0


def tensor_types(path: Path) -> dict[str, str]:
    return {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(path).tensors}
