"""One base, several characters: what is swapped, what the cache then holds, and that a failure costs nothing."""

from pathlib import Path

import pytest

from models.engine import EngineSettings, LlamaEngine
from models.errors import SteeringError
from models.messages import Piece
from models.sampling import Sampling
from models.state_file import StateKey
from models.steering import Adapter, ControlVector, Steering
from models.stops import ReplyLimits
from tests.models.steering_gguf import write_layered_model, write_lora, write_vector


def answer(engine: LlamaEngine) -> tuple[int, ...]:
    engine.prefill(engine.vocabulary.tokenize("tell me of the fox", parse_special=False))
    events = engine.generate(Sampling(temperature=0, repeat_penalty=1), ReplyLimits(max_tokens=8))
    return tuple(token for event in events if isinstance(event, Piece) for token in event.tokens)


def test_a_character_is_swapped_and_swapped_back(tmp_path: Path) -> None:
    write_layered_model(tmp_path / "base.gguf")
    lora = Steering(adapters=(Adapter(path=write_lora(tmp_path / "fox.gguf")),))
    vector = Steering(vectors=(ControlVector(path=write_vector(tmp_path / "happy.gguf"), strength=2.0),))
    with LlamaEngine(tmp_path / "base.gguf", EngineSettings(n_ctx=256, threads=1)) as engine:
        replies: list[tuple[int, ...]] = []
        keys: list[StateKey] = []
        for steering in (Steering(), lora, vector, Steering(), lora):
            engine.steer(steering)
            assert engine.conversation == engine.draft == (), "what another character computed is gone"
            replies.append(answer(engine))
            keys.append(engine.state_key("Pip"))
        assert replies[0] == replies[3] != replies[1] == replies[4] != replies[2]
        assert keys[0] == keys[3] != keys[1] == keys[4] != keys[2]


def test_what_does_not_fit_leaves_the_running_character_running(tmp_path: Path) -> None:
    write_layered_model(tmp_path / "base.gguf")
    lora = Steering(adapters=(Adapter(path=write_lora(tmp_path / "fox.gguf")),))
    narrow = ControlVector(path=write_vector(tmp_path / "narrow.gguf", width=32))
    with LlamaEngine(tmp_path / "base.gguf", EngineSettings(n_ctx=256, threads=1)) as engine:
        engine.steer(lora)
        expected = answer(engine)
        held, key = engine.draft, engine.state_key("Pip")
        with pytest.raises(SteeringError, match="narrow"):
            engine.steer(Steering(vectors=(narrow,)))
        assert (engine.draft, engine.state_key("Pip")) == (held, key)
        assert answer(engine) == expected


def test_the_same_steering_again_costs_nothing(tmp_path: Path) -> None:
    write_layered_model(tmp_path / "base.gguf")
    lora = Steering(adapters=(Adapter(path=write_lora(tmp_path / "fox.gguf")),))
    with LlamaEngine(tmp_path / "base.gguf", EngineSettings(n_ctx=256, threads=1)) as engine:
        engine.steer(lora)
        answer(engine)
        held = engine.draft
        engine.steer(lora)
        assert engine.draft == held != ()
