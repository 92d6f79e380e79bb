"""Control vectors are found where two sides of prompts differ, written whole, and steer the way they should."""

import ctypes
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.errors import ModelError, SteeringError
from models.loading import EngineSettings, LoadedModel
from models.native import llama_cpp
from models.steerer import Steerer
from models.steering import ControlVector, Steering
from models.steering_files import read_control_vector
from models.vocabulary import Vocabulary
from tests.models.conftest import real_model
from tests.models.steering_gguf import LAYERS, WIDTH, write_layered_model
from tests.models.tiny_gguf import write_wandering_model
from tools.control_vector import (
    STEMS,
    LayerDirection,
    Pair,
    States,
    capture,
    find_directions,
    pairs_from_files,
    persona_pairs,
    write_control_vector,
)
from tools.hidden_states import MOST_TOKENS, HiddenStates, Opening

__all__ = ["real_model"]

N_PAIRS, N_LAYERS = 16, 3


def nobody(_done: int, _total: int) -> None:
    """Watches no progress."""


@pytest.fixture(scope="module")
def layered_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("layered") / "layered.gguf"
    write_layered_model(path)
    return path


@pytest.fixture(scope="module")
def states(layered_model: Path) -> Iterator[HiddenStates]:
    with HiddenStates(layered_model, threads=1) as states:
        yield states


def planted(direction: States, *, gap: float = 4.0, noise: float = 0.2) -> tuple[States, States]:
    """States of two sides that differ along a direction only, and by noise."""
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(N_PAIRS, N_LAYERS, WIDTH))
    sides = [shared + noise * rng.normal(size=shared.shape) for _ in range(2)]
    sides[0] += gap * direction
    return sides[0].astype(np.float32), sides[1].astype(np.float32)


def unit(seed: int) -> States:
    vector = np.random.default_rng(seed).normal(size=WIDTH)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def test_the_direction_that_differs_is_found() -> None:
    direction = unit(2)
    found = find_directions(*planted(direction))
    assert [layer.layer for layer in found] == [1, 2, 3]
    for layer in found:
        assert layer.accuracy == 1.0
        assert layer.vector @ direction / np.linalg.norm(layer.vector) > 0.98
        assert set(layer.separation) == {"mean", "pca"}
        assert layer.separation[layer.chosen] == max(layer.separation.values())
    # The shares of all layers add up to the distance between the sides.
    assert sum(layer.vector for layer in found) @ direction == pytest.approx(4.0, rel=0.1)


def test_swapped_sides_point_the_other_way() -> None:
    positive, negative = planted(unit(2))
    for there, back in zip(find_directions(positive, negative), find_directions(negative, positive), strict=True):
        assert np.allclose(there.vector, -back.vector, atol=1e-5)


def test_layers_in_which_nothing_differs_are_left_out() -> None:
    positive, negative = planted(unit(2))
    negative[:, 0] = positive[:, 0]
    assert [layer.layer for layer in find_directions(positive, negative)] == [2, 3]
    with pytest.raises(SteeringError, match="told apart"):
        find_directions(positive, positive)


def test_personas_make_pairs_that_begin_alike() -> None:
    pairs = persona_pairs("very happy.", " sad")
    assert len(pairs) == len(STEMS) == len(set(STEMS))
    assert pairs[0] == (
        Opening(said="Act as if you are very happy.", begun=STEMS[0]),
        Opening(said="Act as if you are sad.", begun=STEMS[0]),
    )


def test_files_make_pairs_line_by_line(tmp_path: Path) -> None:
    (tmp_path / "p").write_text("\ufeffone\n\n two \n")
    (tmp_path / "n").write_text("eins\nzwei")
    assert pairs_from_files(tmp_path / "p", tmp_path / "n") == (
        (Opening(said="one"), Opening(said="eins")),
        (Opening(said="two"), Opening(said="zwei")),
    )
    (tmp_path / "n").write_text("eins")
    with pytest.raises(SteeringError, match=r"2 prompts and .* has 1"):
        pairs_from_files(tmp_path / "p", tmp_path / "n")
    (tmp_path / "n").write_bytes(b"\xff")
    with pytest.raises(SteeringError, match="no UTF-8"):
        pairs_from_files(tmp_path / "p", tmp_path / "n")
    with pytest.raises(SteeringError, match="cannot be read"):
        pairs_from_files(tmp_path / "p", tmp_path / "absent")
    (tmp_path / "n").write_bytes(b"a" * ((1 << 20) + 1))
    with pytest.raises(SteeringError, match="larger than"):
        pairs_from_files(tmp_path / "p", tmp_path / "n")


def test_states_are_those_that_a_vector_is_added_to(layered_model: Path, states: HiddenStates, tmp_path: Path) -> None:
    """A direction written for layer 1 and set on a model moves what layer 1 gives by exactly that."""
    opening = Opening(said="who are you", begun="i am")
    before = states.of(opening)
    assert before.shape == (LAYERS - 1, WIDTH)
    assert np.array_equal(states.of(opening), before)
    assert not np.array_equal(states.of(Opening(said="who are you", begun="i was")), before)
    step = unit(5)
    written = tmp_path / "v.gguf"
    direction = LayerDirection(layer=1, chosen="mean", separation={"mean": 1.0}, accuracy=1.0, vector=step)
    write_control_vector(written, [direction], "llama")
    with HiddenStates(layered_model, threads=1) as steered:
        vector = read_control_vector(
            llama_cpp(), written, architecture=steered.architecture, n_embd=WIDTH, n_layers=LAYERS
        )
        assert np.array_equal(vector, np.outer((1, 0, 0), step))
        data = np.ascontiguousarray(3 * vector)
        pointer = data.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        set_vector = llama_cpp().lib.llama_set_adapter_cvec
        assert set_vector(steered._context, pointer, data.size, WIDTH, 1, LAYERS - 1) == 0
        after = steered.of(opening)
    assert np.allclose(after[0] - before[0], 3 * step, atol=1e-4)
    assert not np.allclose(after[1], before[1], atol=1e-2)


def test_too_few_pairs_and_too_long_prompts_are_refused(states: HiddenStates) -> None:
    pair: Pair = (Opening(said="a"), Opening(said="b"))
    with pytest.raises(SteeringError, match="7 pairs of prompts are too few"):
        capture(states, [pair] * 7, nobody)
    with pytest.raises(SteeringError, match=f"at most {MOST_TOKENS}"):
        states.of(Opening(said="a b " * MOST_TOKENS))


def test_progress_is_told(states: HiddenStates) -> None:
    told: list[tuple[int, int]] = []
    positive, negative = capture(states, persona_pairs("happy", "sad")[:8], lambda *step: told.append(step))
    assert told == [(done, 8) for done in range(1, 9)]
    assert positive.shape == negative.shape == (8, LAYERS - 1, WIDTH)


def test_a_model_of_one_layer_cannot_be_looked_into(tmp_path: Path) -> None:
    write_wandering_model(tmp_path / "one.gguf")
    with (
        HiddenStates(tmp_path / "one.gguf", threads=1) as states,
        pytest.raises(ModelError, match="0 of 0 layers"),
    ):
        states.of(Opening(said="a"))


def test_a_vector_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    found = find_directions(*planted(unit(2)))
    with pytest.raises(SteeringError, match="cannot be written"):
        write_control_vector(tmp_path / "file" / "v.gguf", found, "llama")
    write_control_vector(tmp_path / "new" / "v.gguf", found, "llama")
    write_control_vector(tmp_path / "new" / "v.gguf", found, "llama")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["v.gguf"]


def test_a_happy_vector_makes_a_real_model_say_happier_words(real_model: Path, tmp_path: Path) -> None:
    """Each step of strength makes it likelier that the model goes on with a happy word than with a sad one."""
    with HiddenStates(real_model, threads=1) as states:
        pairs = persona_pairs("extremely happy and full of joy", "extremely sad and full of sorrow")
        found = find_directions(*capture(states, pairs[::3], nobody))
        write_control_vector(tmp_path / "happy.gguf", found, states.architecture)
    assert all(layer.accuracy > 0.5 for layer in found)

    loaded = LoadedModel(real_model, EngineSettings(n_ctx=64, threads=1))
    try:
        steerer = Steerer(loaded)
        odds = []
        for strength in (-2.0, -1.0, 0.0, 1.0, 2.0):
            steerer.apply(Steering(vectors=(ControlVector(path=tmp_path / "happy.gguf", strength=strength),)))
            odds.append(happy_odds(loaded))
    finally:
        loaded.close()
    steps = [after - before for before, after in itertools.pairwise(odds)]
    assert min(steps) > 0.5


def happy_odds(loaded: LoadedModel) -> float:
    """The logarithm of how much likelier happy words are than sad ones after "I feel", asked how one is."""
    lib, vocabulary = loaded.lib, Vocabulary(loaded)
    said = "<|im_start|>user\nHow are you today?<|im_end|>\n<|im_start|>assistant\nI feel"
    prompt = vocabulary.tokenize(said, parse_special=True)
    clear_data = True
    lib.llama_memory_clear(lib.llama_get_memory(loaded.context), clear_data)
    tokens = (lib.llama_token * len(prompt))(*prompt)
    assert lib.llama_decode(loaded.context, lib.llama_batch_get_one(tokens, len(prompt))) == 0
    logits = lib.llama_get_logits_ith(loaded.context, -1)

    def weight(words: str) -> float:
        ids = [vocabulary.tokenize(f" {word}", parse_special=False, continues=True)[0] for word in words.split()]
        return math.log(sum(math.exp(logits[token]) for token in ids))

    return weight("happy joy wonderful great excited love") - weight("sad sorrow terrible awful lonely cry")
