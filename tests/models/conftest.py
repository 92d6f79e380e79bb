"""The models that the tests run: a real small chat model where one is installed, and two tiny ones that always are."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from models.engine import EngineSettings, LlamaEngine
from models.store import ModelStore
from tests.models.tiny_gguf import write_scripted_model, write_wandering_model

REAL_MODEL = "smollm2-135m"

SCRIPT = ("Hi", " the", "re ", "<0xF0>", "<0x9F>", "<0xA6>", "<0x8A>", "\nUs", "er", ": no")
"""What the scripted model says: "Hi there 🦊\\nUser: no", the fox in four tokens."""


@pytest.fixture(scope="session")
def real_model() -> Path:
    """SmolLM2-135M-Instruct, from the model store of this machine."""
    state = os.environ.get("FAMILIAR_STATE") or Path.home() / ".local" / "share" / "familiar"
    path = ModelStore(Path(state) / "models").find(REAL_MODEL)
    if path is None:
        pytest.skip(f"{REAL_MODEL} is not in {state}/models: familiar models pull starter")
    return path


@pytest.fixture(scope="session")
def real_engine(real_model: Path) -> Iterator[LlamaEngine]:
    """The real model with one thread. Tests share its KV cache: each begins with its own prefill."""
    with LlamaEngine(real_model, EngineSettings(n_ctx=1024, threads=1)) as engine:
        yield engine


@pytest.fixture(scope="session")
def scripted_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scripted") / "scripted.gguf"
    write_scripted_model(path, SCRIPT)
    return path


@pytest.fixture(scope="session")
def wandering_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wandering") / "wandering.gguf"
    write_wandering_model(path)
    return path
