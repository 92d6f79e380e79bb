"""A key belongs to what was loaded, and costs hashing once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from models import fingerprint, loading
from models.engine import EngineSettings, LlamaEngine
from models.errors import ModelError, ModelFileError, SteeringError
from models.native import LlamaCpp
from models.steering import Adapter, ControlVector, Steering
from tests.models.steering_gguf import lora_tensors, write_layered_model, write_lora, write_vector
from tests.models.tiny_gguf import write_wandering_model


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LlamaEngine]:
    write_layered_model(tmp_path / "base.gguf")
    write_lora(tmp_path / "fox.gguf")
    write_vector(tmp_path / "happy.gguf")
    with LlamaEngine(tmp_path / "base.gguf", EngineSettings(n_ctx=64, threads=1)) as engine:
        engine.steer(
            Steering(
                adapters=(Adapter(path=tmp_path / "fox.gguf"),),
                vectors=(ControlVector(path=tmp_path / "happy.gguf", strength=2.0),),
            )
        )
        yield engine


def put_in_place(path: Path, write: Callable[[Path], object]) -> None:
    """As downloads do it: the old file lives on for whoever has it open."""
    write(path.with_name("new"))
    path.with_name("new").replace(path)


def same(path: Path) -> Callable[[Path], object]:
    return lambda new: new.write_bytes(path.read_bytes())


@pytest.mark.parametrize("asked_before", [False, True])
@pytest.mark.parametrize(
    ("name", "write", "error"),
    [
        ("base", write_layered_model, ModelFileError),
        ("fox", lambda path: write_lora(path, lora_tensors(seed=9)), SteeringError),
        ("happy", lambda path: write_vector(path, seed=9), SteeringError),
    ],
)
def test_what_was_computed_with_a_file_that_was_replaced_has_no_key(
    engine: LlamaEngine,
    tmp_path: Path,
    name: str,
    write: Callable[[Path], object],
    error: type[ModelError],
    asked_before: bool,
) -> None:
    if asked_before:
        engine.state_key("Pip")
    put_in_place(tmp_path / f"{name}.gguf", write)
    with pytest.raises(error, match=f"{name}.gguf is not what was loaded"):
        engine.state_key("Pip")


def test_a_model_that_was_replaced_while_it_loaded_has_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load = loading._load_model

    def replaced_meanwhile(llama: LlamaCpp, path: Path, settings: EngineSettings) -> Any:
        model = load(llama, path, settings)
        put_in_place(path, write_wandering_model)
        return model

    monkeypatch.setattr(loading, "_load_model", replaced_meanwhile)
    write_layered_model(tmp_path / "base.gguf")
    with (
        LlamaEngine(tmp_path / "base.gguf", EngineSettings(n_ctx=64, threads=1)) as engine,
        pytest.raises(ModelFileError, match="not what was loaded"),
    ):
        engine.state_key("Pip")


def test_another_adapter_under_the_same_name_is_another_character(engine: LlamaEngine, tmp_path: Path) -> None:
    lora = Steering(adapters=(Adapter(path=tmp_path / "fox.gguf"),))
    engine.steer(lora)
    before = engine.state_key("Pip")
    put_in_place(tmp_path / "fox.gguf", lambda path: write_lora(path, lora_tensors(seed=9)))
    engine.steer(lora)
    after = engine.state_key("Pip")
    assert (after.steering != before.steering, after.model_sha256) == (True, before.model_sha256)


def test_the_same_file_put_there_again_has_the_same_key(engine: LlamaEngine, tmp_path: Path) -> None:
    before = engine.state_key("Pip")
    put_in_place(tmp_path / "fox.gguf", same(tmp_path / "fox.gguf"))
    with pytest.raises(SteeringError):
        engine.state_key("Pip")
    engine.steer(
        Steering(
            adapters=(Adapter(path=tmp_path / "fox.gguf"),),
            vectors=(ControlVector(path=tmp_path / "happy.gguf", strength=2.0),),
        )
    )
    assert engine.state_key("Pip") == before


def test_nothing_is_hashed_twice(engine: LlamaEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = engine.state_key("Pip")
    monkeypatch.setattr(fingerprint, "file_sha256", lambda *_: pytest.fail("hashed again"))
    assert engine.state_key("Pip") == before
    engine.steer(Steering(adapters=(Adapter(path=tmp_path / "fox.gguf", scale=0.5),)))
    assert engine.state_key("Pip") != before


def test_an_origin_stays_that_of_its_moment(engine: LlamaEngine) -> None:
    steered = engine.origin()
    engine.steer(Steering())
    assert steered.key("Pip") != engine.state_key("Pip")
