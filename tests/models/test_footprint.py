"""What is predicted from a header is what llama.cpp really allocates, and never more."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import ModelError
from models.footprint import (
    CONTEXT_STEP,
    Footprint,
    footprint,
    kv_widths,
    largest_context,
    n_parameters,
    read_bytes_per_token,
)
from models.gguf import GgufHeader, GgufTensor, read_gguf_header
from models.loading import EngineSettings, LoadedModel
from models.ram import Ram
from tests.models.tiny_gguf import Matrix, Value, gguf_bytes

N_EMBD, N_FF, N_LAYERS, N_VOCAB, HEAD = 128, 192, 4, 320, 32
Shape = Callable[[int], tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]]


def ordinary(n_kv_heads: int) -> dict[str, tuple[int, ...]]:
    """The tensors of one Llama layer: rows, columns."""
    return {
        "attn_norm.weight": (N_EMBD,),
        "attn_q.weight": (4 * HEAD, N_EMBD),
        "attn_k.weight": (n_kv_heads * HEAD, N_EMBD),
        "attn_v.weight": (n_kv_heads * HEAD, N_EMBD),
        "attn_output.weight": (N_EMBD, 4 * HEAD),
        "ffn_norm.weight": (N_EMBD,),
        "ffn_gate.weight": (N_FF, N_EMBD),
        "ffn_up.weight": (N_FF, N_EMBD),
        "ffn_down.weight": (N_EMBD, N_FF),
    }


def grouped(_layer: int) -> tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]:
    return "llama", {"attention.head_count_kv": 2}, ordinary(2)


def heads_of_each_layer(layer: int) -> tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]:
    counts = [1, 2, 4, 2]
    return "deci", {"attention.head_count_kv": counts, "attention.head_count": [4] * 4}, ordinary(counts[layer])


def sliding_windows(_layer: int) -> tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]:
    norms = dict.fromkeys(("post_attention_norm.weight", "post_ffw_norm.weight"), (N_EMBD,))
    heads = dict.fromkeys(("attn_q_norm.weight", "attn_k_norm.weight"), (HEAD,))
    own: dict[str, Value] = {"attention.head_count_kv": 1, "attention.sliding_window": 64}
    return "gemma3", own, {**ordinary(1), **norms, **heads}


def fused(_layer: int) -> tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]:
    apart = ("attn_q.weight", "attn_k.weight", "attn_v.weight", "ffn_gate.weight", "ffn_up.weight")
    kept = {name: shape for name, shape in ordinary(2).items() if name not in apart}
    together = {"attn_qkv.weight": ((4 + 2 + 2) * HEAD, N_EMBD), "ffn_up.weight": (2 * N_FF, N_EMBD)}
    return "phi3", {"attention.head_count_kv": 2}, {**kept, **together}


def latent(_layer: int) -> tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]:
    rank, rope, nope = 64, 32, 32
    own: dict[str, Value] = {
        "attention.head_count_kv": 1,
        "attention.q_lora_rank": rank,
        "attention.kv_lora_rank": rank,
        "attention.key_length": rank + rope,
        "attention.value_length": rank,
        "attention.key_length_mla": nope + rope,
        "attention.value_length_mla": HEAD,
        "leading_dense_block_count": N_LAYERS,
        "expert_feed_forward_length": N_FF,
        "expert_shared_count": 1,
        "expert_count": 2,
        "expert_used_count": 1,
        "expert_weights_scale": 1.0,
        "rope.dimension_count": rope,
    }
    kept = {
        name: shape
        for name, shape in ordinary(1).items()
        if name not in ("attn_q.weight", "attn_k.weight", "attn_v.weight")
    }
    heads = {
        "attn_q_a.weight": (rank, N_EMBD),
        "attn_q_a_norm.weight": (rank,),
        "attn_q_b.weight": (4 * (nope + rope), rank),
        "attn_kv_a_mqa.weight": (rank + rope, N_EMBD),
        "attn_kv_a_norm.weight": (rank,),
        "attn_k_b.weight": (4, rank, nope),
        "attn_v_b.weight": (4, HEAD, rank),
        "attn_output.weight": (N_EMBD, 4 * HEAD),
    }
    return "deepseek2", own, {**kept, **heads}


def some_layers_without_attention(layer: int) -> tuple[str, dict[str, Value], dict[str, tuple[int, ...]]]:
    own: dict[str, Value] = {"attention.head_count_kv": [0, 2, 0, 2], "shortconv.l_cache": 3}
    parts = ordinary(2)
    if layer % 2 == 0:
        parts = {name: shape for name, shape in parts.items() if not name.startswith("attn_") or "norm" in name}
        parts |= {
            "shortconv.conv.weight": (N_EMBD, 3),
            "shortconv.in_proj.weight": (3 * N_EMBD, N_EMBD),
            "shortconv.out_proj.weight": (N_EMBD, N_EMBD),
        }
    else:
        parts |= {"attn_q_norm.weight": (HEAD,), "attn_k_norm.weight": (HEAD,)}
    return "lfm2", own, parts


SHAPES = (grouped, heads_of_each_layer, sliding_windows, fused, latent, some_layers_without_attention)


def write_model(path: Path, shape: Shape) -> Path:
    """A model of zeros in that shape, without a vocabulary."""
    architecture, own, _ = shape(0)
    norm = "token_embd_norm.weight" if architecture == "lfm2" else "output_norm.weight"
    tensors: dict[str, Matrix] = {"token_embd.weight": zeros((N_VOCAB, N_EMBD)), norm: zeros((N_EMBD,))}
    for layer in range(N_LAYERS):
        for name, dimensions in shape(layer)[2].items():
            tensors[f"blk.{layer}.{name}"] = zeros(dimensions)
    numbers: dict[str, Value] = {
        "context_length": 4096,
        "embedding_length": N_EMBD,
        "block_count": N_LAYERS,
        "feed_forward_length": N_FF,
        "attention.head_count": 4,
        "attention.key_length": HEAD,
        "attention.value_length": HEAD,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.dimension_count": HEAD,
        "vocab_size": N_VOCAB,
        **own,
    }
    metadata: dict[str, Value] = {f"{architecture}.{name}": value for name, value in numbers.items()}
    metadata |= {"general.architecture": architecture, "tokenizer.ggml.model": "none"}
    path.write_bytes(gguf_bytes(metadata, tensors))
    return path


def zeros(shape: tuple[int, ...]) -> Matrix:
    return np.zeros(shape, dtype=np.float32)


def allocated(path: Path, settings: EngineSettings, caplog: pytest.LogCaptureFixture) -> Mapping[str, float]:
    """The sizes in bytes that llama.cpp says it allocated, as it writes them: to a hundredth of a MiB."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, logger="models.native"):
        loaded = LoadedModel(path, settings)
    loaded.close()
    found = {"KV": 0.0, "compute": 0.0, "output": 0.0}
    for record in caplog.records:
        if sizes := re.search(r"CPU\s+(KV|compute|output) buffer size =\s+([\d.]+) MiB", record.getMessage()):
            found[sizes[1]] += float(sizes[2]) * 2**20
    return found


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape.__name__))
@pytest.mark.parametrize(
    "options", [{"n_ctx": 1000}, {"n_ctx": 4096, "n_batch": 256}, {"n_ctx": 2048, "kv_type": "q8_0"}]
)
def test_the_cache_is_as_large_as_predicted_and_the_rest_no_smaller(
    tmp_path: Path, shape: Shape, options: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    path = write_model(tmp_path / "m.gguf", shape)
    engine = EngineSettings(threads=1, gpu_layers=0, **options)
    real = allocated(path, engine, caplog)
    predicted = footprint(
        read_gguf_header(path),
        n_ctx=engine.n_ctx,
        n_batch=engine.n_batch or 64,
        kv_type=engine.kv_type,
        flash_attention=engine.kv_type != "f16",
    )
    rounding = 0.01 * 2**20
    assert predicted.kv_bytes == pytest.approx(real["KV"], abs=rounding)
    assert 0 < predicted.compute_bytes <= real["compute"] + real["output"] + rounding


def test_of_the_real_model_nothing_is_left_out(real_model: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = EngineSettings(threads=1, gpu_layers=0, n_ctx=8192, n_batch=512)
    real = allocated(real_model, engine, caplog)
    header = read_gguf_header(real_model)
    predicted = footprint(header, n_ctx=8192, n_batch=512, kv_type="f16", flash_attention=False)
    assert predicted.kv_bytes == real["KV"]
    assert 0.95 * (real["compute"] + real["output"]) < predicted.compute_bytes <= real["compute"] + real["output"]
    assert n_parameters(header) == pytest.approx(134.5e6, rel=0.001)
    assert read_bytes_per_token(header) == pytest.approx(header.file_bytes, rel=0.02)  # its embeddings are its output


# What a model reads ---------------------------------------------------------------------------------------------------


def header(tensors: Mapping[str, tuple[int, ...]], **hyperparameters: Any) -> GgufHeader:
    """A header with tensors of one byte for each element."""
    named = tuple(GgufTensor(name=name, shape=shape, n_bytes=int(np.prod(shape))) for name, shape in tensors.items())
    return GgufHeader(
        kind="model",
        architecture="llama",
        name="m",
        context_length=0,
        chat_template=None,
        quantisation="Q8_0",
        hyperparameters={name.replace("__", "."): value for name, value in hyperparameters.items()},
        tensors=named,
        n_tensors=len(named),
        file_bytes=0,
    )


def test_embeddings_are_not_read_whole_unless_they_are_the_output_too() -> None:
    assert read_bytes_per_token(header({"token_embd.weight": (8, 100), "output.weight": (8, 100)})) == 800
    assert read_bytes_per_token(header({"token_embd.weight": (8, 100), "blk.0.ffn_up.weight": (8, 8)})) == 864


def test_of_experts_only_those_in_use_are_read() -> None:
    tensors = {"blk.0.ffn_up_exps.weight": (8, 10, 4), "blk.0.attn_k.weight": (8, 2)}
    assert read_bytes_per_token(header(tensors, expert_count=4, expert_used_count=1)) == 80 + 16


def test_layers_that_share_a_cache_or_are_not_run_have_none() -> None:
    tensors = {f"blk.{n}.attn_{part}.weight": (64, 32) for n in range(4) for part in "kv"}
    assert kv_widths(header(tensors, attention__shared_kv_layers=1)) == [(32, 32)] * 3 + [(0, 0)]
    assert kv_widths(header({**tensors, "blk.3.nextn.eh_proj.weight": (64, 64)})) == [(32, 32)] * 3


def test_numbers_that_make_no_sense_count_for_nothing() -> None:
    odd = header({"blk.0.attn_k.weight": (64, 32)}, attention__head_count=float("inf"), embedding_length=-1)
    needs = footprint(odd, n_ctx=256, n_batch=1, kv_type="f16", flash_attention=False)
    assert needs == Footprint(weights_bytes=64 * 32, kv_bytes=32 * 2 * 256, compute_bytes=0)


@settings(deadline=None, max_examples=100)
@given(
    room=st.integers(0, 1 << 36),
    trained=st.integers(0, 1 << 20),
    n_batch=st.integers(1, 512),
    flash=st.booleans(),
    heads=st.integers(1, 64),
)
def test_the_largest_context_fits_and_one_step_more_does_not(
    room: int, trained: int, n_batch: int, flash: bool, heads: int
) -> None:
    model = replace(
        header(
            {f"blk.{n}.attn_{part}.weight": (64, 64) for n in range(8) for part in "kv"}, attention__head_count=heads
        ),
        context_length=trained,
    )

    def needed(n_ctx: int) -> int:
        return footprint(model, n_ctx=n_ctx, n_batch=n_batch, kv_type="f16", flash_attention=flash).context_bytes

    largest = largest_context(model, room, n_batch=n_batch, kv_type="f16", flash_attention=flash)
    assert largest == 0 or needed(largest) <= room
    assert largest + CONTEXT_STEP > (trained or 1 << 20) or needed(largest + CONTEXT_STEP) > room


# Refusing -------------------------------------------------------------------------------------------------------------


def with_free(amount_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.loading.read_ram", lambda: Ram(total_bytes=8 << 30, available_bytes=amount_bytes))


def test_a_context_larger_than_memory_is_refused_with_the_largest_that_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(tmp_path / "m.gguf", grouped)
    engine = EngineSettings(n_ctx=4096, threads=1, gpu_layers=0)
    header = read_gguf_header(path)
    needs = footprint(header, n_ctx=4096, n_batch=64, kv_type="f16", flash_attention=False)
    with_free(needs.context_bytes - 1, monkeypatch)
    monkeypatch.setattr("models.loading._load_model", lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(
        ModelError, match=r"m\.gguf with a context of 4096 tokens .* at most 3840 tokens fit$"
    ) as caught:
        LoadedModel(path, engine)
    assert "\n" not in str(caught.value)
    with_free(1000, monkeypatch)
    with pytest.raises(ModelError, match="not even 256 tokens fit"):
        LoadedModel(path, engine)


def test_a_context_that_just_fits_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "m.gguf", grouped)
    header = read_gguf_header(path)
    needs = footprint(header, n_ctx=4096, n_batch=64, kv_type="f16", flash_attention=False)
    with_free(needs.context_bytes, monkeypatch)
    LoadedModel(path, EngineSettings(n_ctx=4096, threads=1, gpu_layers=0)).close()
    with pytest.raises(ModelError, match="beside its weights"):
        LoadedModel(path, EngineSettings(n_ctx=4096, threads=1, gpu_layers=0, mmap=False))


def test_more_context_than_the_model_knows_is_not_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_model(tmp_path / "m.gguf", grouped)
    with_free(200 << 20, monkeypatch)
    LoadedModel(path, EngineSettings(n_ctx=100_000_000, threads=1, gpu_layers=0)).close()
