"""The raw loop does the engine's work: the same tokens from the same prompt, and as many through `llama_decode`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.character import Character
from models.engine import EngineSettings, LlamaEngine
from models.errors import ModelError
from models.sampling import Sampling
from tests.models.tiny_gguf import write_wandering_model
from tools.decode_meter import DecodeMeter
from tools.llm_session import BenchModel, generated
from tools.llm_speed import prose, run_speed
from tools.raw_loop import RawLoop

SETTINGS = EngineSettings(n_ctx=256, n_batch=16, threads=1)
GREEDY = Sampling(temperature=0.0, repeat_penalty=1.0)
CHANCE = Sampling(temperature=0.9, top_k=20, min_p=0.02, repeat_penalty=1.0, seed=11)


@pytest.fixture(scope="module")
def wandering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("raw") / "wandering.gguf"
    write_wandering_model(path)
    return path


@pytest.fixture
def engine(wandering: Path) -> Iterator[LlamaEngine]:
    with LlamaEngine(wandering, SETTINGS) as engine:
        yield engine


@pytest.mark.parametrize("sampling", [GREEDY, CHANCE], ids=["greedy", "chance"])
def test_both_say_the_same_token_for_token(wandering: Path, engine: LlamaEngine, sampling: Sampling) -> None:
    prompt = prose(engine, 45)
    engine.prefill(prompt)
    ours = generated(engine, sampling, 40)
    with RawLoop(wandering, SETTINGS, sampling) as raw:
        for _ in range(2):
            raw.clear()
            raw.prefill(prompt)
            assert raw.decode(len(ours)) == ours
    assert len(ours) > 30


def test_the_meter_counts_both_sides_alike(wandering: Path) -> None:
    with DecodeMeter() as meter:
        with LlamaEngine(wandering, SETTINGS) as engine:
            prompt = prose(engine, 40)
            engine.prefill(prompt)
            assert (meter.n_tokens, meter.n_alone) == (40, 0)
            n_said = len(generated(engine, GREEDY, 5))
        assert (meter.n_tokens, meter.n_alone) == (40 + n_said, n_said)
        with RawLoop(wandering, SETTINGS, GREEDY) as raw:
            raw.prefill(prompt)
            raw.decode(n_said)
        assert (meter.n_tokens, meter.n_alone) == (2 * (40 + n_said), 2 * n_said)


def test_the_meter_leaves_nothing_behind(wandering: Path) -> None:
    with DecodeMeter() as meter:
        pass
    with RawLoop(wandering, SETTINGS, GREEDY) as raw:
        raw.prefill([5, 6, 7])
    assert meter.n_tokens == 0


def test_a_prompt_that_does_not_fit_is_an_error(wandering: Path) -> None:
    with RawLoop(wandering, SETTINGS, GREEDY) as raw, pytest.raises(ModelError):
        raw.prefill([5] * 300)


def test_speeds_are_measured_in_pairs(wandering: Path) -> None:
    model = BenchModel(
        path=wandering, character=Character(name="Nobody", persona="Be kind."), settings=SETTINGS, sampling=GREEDY
    )
    run = run_speed(model, repeats=4, say=lambda line: None)
    assert len(run.prefill) == len(run.decode) >= 4
    assert all(pair.ours_tok_s > 0 and pair.raw_tok_s > 0 for pair in (*run.prefill, *run.decode))
