"""Adapters and control vectors are laid over a running model, or refused and nothing has changed."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from models.errors import SteeringError
from models.gguf_contents import read_gguf_contents
from models.loading import EngineSettings, LoadedModel
from models.native import llama_cpp
from models.steerer import Steerer
from models.steering import UNSTEERED, Adapter, ControlVector, Steering, steering_digest
from tests.models.steering_gguf import (
    ADAPTER,
    LAYERS,
    VECTOR,
    WIDTH,
    lora_tensors,
    write_layered_model,
    write_lora,
    write_vector,
)
from tests.models.tiny_gguf import Matrix, Value, gguf_bytes, write_wandering_model

PROMPT = (1, 70, 90, 110)


class Model:
    """The layered model with a steerer, and the logits after a prompt."""

    def __init__(self, path: Path) -> None:
        self.loaded = LoadedModel(path, EngineSettings(n_ctx=64, threads=1))
        self.steerer = Steerer(self.loaded)

    def logits(self) -> list[float]:
        lib = self.loaded.lib
        clear_data = True
        lib.llama_memory_clear(lib.llama_get_memory(self.loaded.context), clear_data)
        tokens = (lib.llama_token * len(PROMPT))(*PROMPT)
        assert lib.llama_decode(self.loaded.context, lib.llama_batch_get_one(tokens, len(PROMPT))) == 0
        n_vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(self.loaded.model))
        return list(lib.llama_get_logits_ith(self.loaded.context, -1)[:n_vocab])

    def steered(self, *parts: Adapter | ControlVector) -> list[float]:
        self.steerer.apply(steering(*parts))
        return self.logits()


def steering(*parts: Adapter | ControlVector) -> Steering:
    return Steering(
        adapters=tuple(part for part in parts if isinstance(part, Adapter)),
        vectors=tuple(part for part in parts if isinstance(part, ControlVector)),
    )


@pytest.fixture(scope="module")
def layered_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layered") / "layered.gguf"
    write_layered_model(path)
    return path


@pytest.fixture
def model(layered_model: Path) -> Iterator[Model]:
    model = Model(layered_model)
    yield model
    model.loaded.close()


def merged(layered_model: Path, into: Path, tensors: dict[str, Matrix], weight: float) -> Path:
    """The layered model with the adapter worked into its weights."""
    data = bytearray(layered_model.read_bytes())
    for tensor in read_gguf_contents(llama_cpp(), layered_model).tensors:
        factors = [tensors.get(f"{tensor.name}.lora_{letter}") for letter in "ab"]
        if factors[0] is not None and factors[1] is not None:
            own = np.frombuffer(data, "<f4", tensor.n_bytes // 4, tensor.offset)
            changed = own.reshape(tensor.shape[1], tensor.shape[0]) + weight * factors[1] @ factors[0]
            data[tensor.offset : tensor.offset + tensor.n_bytes] = changed.astype("<f4").tobytes()
    into.write_bytes(data)
    return into


def test_an_adapter_computes_what_merged_weights_would(model: Model, layered_model: Path, tmp_path: Path) -> None:
    tensors = lora_tensors()
    lora = write_lora(tmp_path / "a.gguf", tensors)
    alpha_by_rank = 8.0 / 4
    whole = Model(merged(layered_model, tmp_path / "merged.gguf", tensors, 0.5 * alpha_by_rank))
    assert model.steered(Adapter(path=lora, scale=0.5)) == pytest.approx(whole.logits(), abs=1e-2)
    assert model.steered() != pytest.approx(whole.logits(), abs=1)
    whole.loaded.close()


def test_a_swap_and_back_changes_no_digit(model: Model, tmp_path: Path) -> None:
    one = Adapter(path=write_lora(tmp_path / "one.gguf"))
    other = Adapter(path=write_lora(tmp_path / "other.gguf", lora_tensors(seed=6)))
    vector = ControlVector(path=write_vector(tmp_path / "vector.gguf"), strength=2.0)
    sets = ((), (one,), (other,), (one, other), (vector,), (one, vector))
    first = [model.steered(*parts) for parts in sets]
    assert len({tuple(logits) for logits in first}) == len(sets)
    assert [model.steered(*parts) for parts in sets] == first


def test_apply_says_whether_anything_changed(model: Model, tmp_path: Path) -> None:
    lora, vector = write_lora(tmp_path / "a.gguf"), write_vector(tmp_path / "v.gguf")
    apply = model.steerer.apply
    both = steering(Adapter(path=lora), ControlVector(path=vector))
    assert [apply(Steering()), apply(both), apply(both)] == [False, True, False]
    assert apply(steering(Adapter(path=lora, scale=0.5), ControlVector(path=vector)))
    assert apply(Steering())
    assert not apply(steering(Adapter(path=lora, scale=0.0)))


def test_a_file_that_changed_is_another(model: Model, tmp_path: Path) -> None:
    lora = write_lora(tmp_path / "a.gguf")
    before = model.steered(Adapter(path=lora))
    write_lora(lora, lora_tensors(rank=5))
    assert model.steerer.apply(steering(Adapter(path=lora)))
    assert model.logits() != before


def test_weights_of_a_file_named_twice_add_up(model: Model, tmp_path: Path) -> None:
    lora, vector = write_lora(tmp_path / "a.gguf"), write_vector(tmp_path / "v.gguf")
    once = model.steered(Adapter(path=lora, scale=0.75), ControlVector(path=vector, strength=-1))
    halves = [Adapter(path=lora, scale=scale) for scale in (0.25, 0.5)]
    parts = [ControlVector(path=vector, strength=strength) for strength in (1, -2)]
    assert model.steered(*halves, *parts) == once


def test_vectors_add_up_and_reach_only_their_layers(model: Model, tmp_path: Path) -> None:
    low, high = (write_vector(tmp_path / f"{n}.gguf", layers) for n, layers in enumerate([(1,), (2, 3)]))
    together = model.steered(ControlVector(path=low, strength=0.5), ControlVector(path=high, strength=0.5))
    assert together != model.steered(ControlVector(path=low, strength=0.5))
    last = write_vector(tmp_path / "last.gguf", (LAYERS - 1,))
    assert model.steered(ControlVector(path=last)) != model.steered()


def test_many_adapters_in_turn_leave_the_newest_loaded(model: Model, tmp_path: Path) -> None:
    paths = [write_lora(tmp_path / f"{n}.gguf", lora_tensors(seed=n)) for n in range(8)]
    logits = [model.steered(Adapter(path=path)) for path in paths]
    assert [model.steered(Adapter(path=path)) for path in paths] == logits
    assert len(model.steerer._adapters) == 4
    assert model.steered(*[Adapter(path=path, scale=0.1) for path in paths]) != logits[0]
    assert len(model.steerer._adapters) == 8


def test_a_closed_model_is_not_steered(layered_model: Path, tmp_path: Path) -> None:
    model = Model(layered_model)
    paths = [write_lora(tmp_path / f"{n}.gguf", lora_tensors(seed=n)) for n in range(5)]
    model.steerer.apply(steering(*[Adapter(path=path) for path in paths]))
    model.loaded.close()
    for wanted in (Steering(), steering(Adapter(path=paths[0]))):
        with pytest.raises(RuntimeError, match="closed"):
            model.steerer.apply(wanted)


def with_kind(tensors: dict[str, Matrix], name: str, kind: int) -> bytes:
    """An adapter in which a tensor says that it is of another type, of no larger elements."""
    data = gguf_bytes(ADAPTER, tensors)
    at = data.index(name.encode()) + len(name) + 4 + 2 * 8
    return data[:at] + struct.pack("<I", kind) + data[at + 4 :]


def only(name: str, a: tuple[int, ...], b: tuple[int, ...]) -> dict[str, Matrix]:
    return {f"{name}.lora_a": np.ones(a, dtype=np.float32), f"{name}.lora_b": np.ones(b, dtype=np.float32)}


SPOILT = {**lora_tensors(), "blk.1.attn_q.weight.lora_b": np.full((WIDTH, 4), np.nan, dtype=np.float32)}
HALF = {name: tensor for name, tensor in lora_tensors().items() if name != "blk.1.attn_q.weight.lora_b"}
BAD_ADAPTERS: dict[str, tuple[bytes, str]] = {
    "a model": (gguf_bytes({"general.architecture": "llama"}, lora_tensors()), "is no adapter but a model"),
    "no LoRA": (gguf_bytes({**ADAPTER, "adapter.type": "ia3"}, lora_tensors()), "'ia3'"),
    "without type": (
        gguf_bytes({key: value for key, value in ADAPTER.items() if key != "adapter.type"}, lora_tensors()),
        "type None",
    ),
    "type no text": (gguf_bytes({**ADAPTER, "adapter.type": 3}, lora_tensors()), "type 3"),
    "another base": (gguf_bytes({**ADAPTER, "general.architecture": "qwen2"}, lora_tensors()), "'qwen2', this one"),
    "activated": (gguf_bytes({**ADAPTER, "adapter.alora.invocation_tokens": [1, 2]}, lora_tensors()), "activated"),
    "alpha an integer": (gguf_bytes({**ADAPTER, "adapter.lora.alpha": 8}, lora_tensors()), "adapter.lora.alpha"),
    "alpha infinite": (gguf_bytes({**ADAPTER, "adapter.lora.alpha": float("inf")}, lora_tensors()), "lora.alpha"),
    "empty": (gguf_bytes(ADAPTER, {}), "without weights"),
    "not a number": (gguf_bytes(ADAPTER, SPOILT), "not finite"),
    "half a pair": (gguf_bytes(ADAPTER, HALF), "missing one component"),
    "unknown tensor": (gguf_bytes(ADAPTER, {**lora_tensors(), "x": np.ones(4, dtype=np.float32)}), "unexpected suffix"),
    "deeper base": (gguf_bytes(ADAPTER, only("blk.9.attn_q.weight", (4, 64), (64, 4))), "does not exist in base model"),
    "wider base": (gguf_bytes(ADAPTER, only("blk.0.attn_q.weight", (4, 96), (96, 4))), "incorrect shape"),
    "ranks differ": (gguf_bytes(ADAPTER, only("blk.0.attn_q.weight", (4, 64), (64, 5))), "do not fit each other"),
    "rank 0": (gguf_bytes(ADAPTER, only("blk.0.attn_q.weight", (0, 64), (64, 0))), "do not fit each other"),
    "three dimensions": (gguf_bytes(ADAPTER, only("blk.0.attn_q.weight", (3, 4, 64), (3, 64, 4))), "no matrix"),
    "of integers": (with_kind(lora_tensors(), "blk.0.attn_q.weight.lora_a", 26), "no matrix of type F32"),
    "embedding": (gguf_bytes(ADAPTER, only("token_embd.weight", (320, 4), (64, 4))), "not supported"),
    "experts": (gguf_bytes(ADAPTER, only("blk.0.ffn_up_exps.weight", (4, 64), (32, 4))), "not supported"),
    "cut short": (gguf_bytes(ADAPTER, lora_tensors())[:-40], "cut short"),
    "no GGUF": (b"PK\x03\x04" + bytes(99), "not a GGUF file"),
}


@pytest.mark.parametrize("name", BAD_ADAPTERS)
def test_an_adapter_that_does_not_fit_changes_nothing(model: Model, tmp_path: Path, name: str) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(BAD_ADAPTERS[name][0])
    refused_without_effect(model, tmp_path, Adapter(path=bad), BAD_ADAPTERS[name][1])


def directions(*layers: int, width: int = WIDTH) -> dict[str, Matrix]:
    return {f"direction.{layer}": np.ones(width, dtype=np.float32) for layer in layers}


def vector_bytes(tensors: dict[str, Matrix], **metadata: Value) -> bytes:
    return gguf_bytes({**VECTOR, **{f"controlvector.{key}": value for key, value in metadata.items()}}, tensors)


BAD_VECTORS: dict[str, tuple[bytes, str]] = {
    "an adapter": (gguf_bytes(ADAPTER, lora_tensors()), "no control vector but of kind 'llama'"),
    "another kind of model": (vector_bytes(directions(1), model_hint="qwen2"), "'qwen2', this one"),
    "another width": (vector_bytes(directions(1, width=96)), "width 96, this one has 64"),
    "layer 0": (vector_bytes(directions(0)), "layer 0"),
    "a deeper model": (vector_bytes(directions(1, 2, 3, 4)), "layer 4; this model has layers 1 to 3"),
    "a matrix": (vector_bytes({"direction.1": np.ones((2, WIDTH), dtype=np.float32)}), "no vector of type"),
    "another tensor": (vector_bytes({"direction.x": np.ones(WIDTH, dtype=np.float32)}), "no part of a control vector"),
    "infinite": (vector_bytes({"direction.1": np.full(WIDTH, np.inf, dtype=np.float32)}), "not finite"),
    "too large": (vector_bytes({"direction.1": np.full(WIDTH, 3e38, dtype=np.float32)}), "lower their strengths"),
    "empty": (vector_bytes({}), "without directions"),
    "cut short": (vector_bytes(directions(1, 2))[:-40], "cut short"),
}


@pytest.mark.parametrize("name", BAD_VECTORS)
def test_a_vector_that_does_not_fit_changes_nothing(model: Model, tmp_path: Path, name: str) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(BAD_VECTORS[name][0])
    refused_without_effect(model, tmp_path, ControlVector(path=bad, strength=2.0), BAD_VECTORS[name][1])


def refused_without_effect(model: Model, tmp_path: Path, bad: Adapter | ControlVector, reason: str) -> None:
    good = (Adapter(path=write_lora(tmp_path / "a.gguf")), ControlVector(path=write_vector(tmp_path / "v.gguf")))
    before = model.steered(*good)
    fine = Adapter(path=write_lora(tmp_path / "fine.gguf", lora_tensors(seed=9)))
    with pytest.raises(SteeringError) as caught:
        model.steerer.apply(steering(fine, bad))
    assert str(bad.path) in str(caught.value) or "add up" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert model.logits() == before
    assert not model.steerer.apply(steering(*good))


def test_missing_files_are_named(model: Model, tmp_path: Path) -> None:
    for make in (Adapter, ControlVector):
        with pytest.raises(SteeringError, match=r"absent\.gguf cannot be read: No such file"):
            model.steerer.apply(steering(make(path=tmp_path / "absent.gguf")))


def test_a_model_of_one_layer_has_nothing_to_steer(tmp_path: Path) -> None:
    write_wandering_model(tmp_path / "one.gguf")
    model = Model(tmp_path / "one.gguf")
    with pytest.raises(SteeringError, match="layer 1"):
        model.steerer.apply(steering(ControlVector(path=write_vector(tmp_path / "v.gguf", (1,)))))
    model.loaded.close()


def test_every_length_short_of_the_whole_is_refused(model: Model, tmp_path: Path) -> None:
    whole = gguf_bytes(ADAPTER, only("blk.0.attn_q.weight", (1, 64), (64, 1)))
    path = tmp_path / "a.gguf"
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(SteeringError):
            model.steerer.apply(steering(Adapter(path=path)))
    path.write_bytes(whole)
    assert model.steerer.apply(steering(Adapter(path=path)))


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), 101.0, -101.0])
def test_absurd_weights_are_no_steering(weight: float) -> None:
    makers: tuple[Callable[[], object], ...] = (
        lambda: Adapter(path=Path("a"), scale=weight),
        lambda: ControlVector(path=Path("v"), strength=weight),
    )
    for make in makers:
        with pytest.raises(ValueError, match="between -100 and 100"):
            make()


def test_the_digest_depends_on_contents_and_weights_only(tmp_path: Path) -> None:
    lora, vector = write_lora(tmp_path / "a.gguf"), write_vector(tmp_path / "v.gguf")
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(lora.read_bytes())

    def digest(*parts: Adapter | ControlVector) -> str:
        return steering_digest(steering(*parts))

    assert digest() == digest(Adapter(path=lora, scale=0)) == UNSTEERED
    assert digest(Adapter(path=lora)) == digest(Adapter(path=copy))
    both = (Adapter(path=lora), ControlVector(path=vector))
    assert digest(*both) == digest(*reversed(both))
    distinct = [
        digest(Adapter(path=lora)),
        digest(Adapter(path=lora, scale=0.5)),
        digest(Adapter(path=vector)),
        digest(ControlVector(path=lora)),
        digest(*both),
        digest(Adapter(path=lora), ControlVector(path=vector, strength=-1)),
    ]
    assert len(set(distinct)) == len(distinct)
    write_lora(copy, lora_tensors(seed=1))
    assert digest(Adapter(path=copy)) != digest(Adapter(path=lora))
    with pytest.raises(SteeringError, match="absent"):
        digest(Adapter(path=tmp_path / "absent.gguf"))


def test_steering_is_a_value() -> None:
    one, same = (steering(Adapter(path=Path("a")), ControlVector(path=Path("v"), strength=2)) for _ in range(2))
    assert one == same
    assert len({one, same, Steering()}) == 2
