"""Every sampler does what it is there for, and the same seed gives the same words."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from models.engine import EngineSettings, LlamaEngine
from models.errors import ModelError
from models.messages import Piece
from models.sampling import Sampling
from models.stops import ReplyLimits
from tests.models.tiny_gguf import write_scripted_model

OFF: dict[str, Any] = {"top_k": 0, "min_p": 0.0, "repeat_penalty": 1.0}
GREEDY = Sampling(temperature=0, repeat_penalty=1)

SAMPLERS: dict[str, dict[str, Any]] = {
    "temperature": {"temperature": 5.0},
    "top_k": {"top_k": 2},
    "top_p": {"top_p": 0.8},
    "min_p": {"min_p": 0.1},
    "typical_p": {"typical_p": 0.2},
    "top_n_sigma": {"top_n_sigma": 0.5},
    "repeat_penalty": {"repeat_penalty": 3.0},
    "presence_penalty": {"presence_penalty": 2.0},
    "frequency_penalty": {"frequency_penalty": 2.0},
    "dry": {"dry_multiplier": 5.0, "dry_allowed_length": 0, "dry_breakers": ()},
    "xtc": {"xtc_probability": 1.0, "xtc_threshold": 0.005},
    "logit_bias": {"logit_bias": (("a", 8.0),)},
}


@pytest.fixture(scope="module")
def wandering(wandering_model: Path) -> Iterator[LlamaEngine]:
    with LlamaEngine(wandering_model, EngineSettings(n_ctx=256, threads=1)) as engine:
        yield engine


@pytest.fixture(scope="module")
def looping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlamaEngine]:
    """A model that says "ab cd ef" for ever once it has begun."""
    path = tmp_path_factory.mktemp("looping") / "looping.gguf"
    write_scripted_model(path, ("Hi",), asides=[("ab", "cd", "ef", "ab"), (" cd",)])
    with LlamaEngine(path, EngineSettings(n_ctx=256, threads=1)) as engine:
        yield engine


def said(engine: LlamaEngine, prompt: str, sampling: Sampling, n_tokens: int = 24) -> str:
    engine.prefill(engine.vocabulary.tokenize(prompt, parse_special=True, continues=True))
    events = engine.generate(sampling, ReplyLimits(max_tokens=n_tokens))
    return "".join(event.text for event in events if isinstance(event, Piece))


@pytest.mark.parametrize("options", SAMPLERS.values(), ids=SAMPLERS.keys())
def test_the_same_seed_gives_the_same_words_with_every_sampler(wandering: LlamaEngine, options: dict[str, Any]) -> None:
    """The prompt is long, so that the model is of several minds."""
    with_it = Sampling(**{"temperature": 8.0, "seed": 11, **OFF, **options})
    first = said(wandering, "the quick brown fox", with_it)
    without = said(wandering, "the quick brown fox", Sampling(temperature=8.0, seed=11, **OFF))
    assert first != without, "the sampler does something"
    assert said(wandering, "the quick brown fox", with_it) == first
    other = Sampling(**{"temperature": 8.0, "seed": 12, **OFF, **options})
    assert said(wandering, "the quick brown fox", other) != first


def test_without_a_seed_no_two_replies_are_the_same(wandering: LlamaEngine) -> None:
    sampling = Sampling(temperature=8.0, **OFF)
    assert said(wandering, "the quick", sampling) != said(wandering, "the quick", sampling)


def test_dry_ends_a_loop_that_a_greedy_model_never_leaves(looping: LlamaEngine) -> None:
    assert said(looping, "ab", GREEDY, 9) == "cdefabcdefabcdefab"
    dry = Sampling(temperature=0, repeat_penalty=1, dry_multiplier=200)
    assert not said(looping, "ab", dry, 9).startswith("cdefabcdefab")
    assert said(looping, "ab", dry, 9) == said(looping, "ab", dry, 9), "what was said is forgotten between replies"


def test_penalties_see_the_reply_and_not_the_prompt(looping: LlamaEngine) -> None:
    harsh = Sampling(temperature=0, repeat_penalty=100, presence_penalty=2, frequency_penalty=2, dry_multiplier=50)
    assert said(looping, "abcdefabcdefab", harsh, 2) == "cdef"


def test_a_bias_on_a_text_holds_for_each_of_its_tokens(looping: LlamaEngine) -> None:
    """With the space before it and without."""
    never = Sampling(temperature=0, repeat_penalty=1, logit_bias=(("cd", -math.inf),))
    assert "cd" not in said(looping, "ab", never, 9)
    token = looping.vocabulary.tokenize("ef", parse_special=False, continues=True)[-1]
    always = Sampling(temperature=0, repeat_penalty=1, logit_bias=((token, 1000.0),))
    assert said(looping, "ab", always, 3) == "efefef"


@pytest.mark.parametrize("wanted", ["no such token", -1, 10**6])
def test_a_bias_on_what_is_no_token_is_refused_and_the_next_reply_is_well(
    looping: LlamaEngine, wanted: int | str
) -> None:
    with pytest.raises(ModelError, match="no token of this model"):
        said(looping, "ab", Sampling(logit_bias=((wanted, 1.0),)))
    assert said(looping, "ab", GREEDY, 2) == "cdef"


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": -0.1},
        {"temperature": math.nan},
        {"top_k": -1},
        {"top_p": 0},
        {"min_p": 1},
        {"typical_p": 0},
        {"top_n_sigma": -1},
        {"repeat_penalty": 0},
        {"repeat_last_n": -1},
        {"presence_penalty": math.inf},
        {"frequency_penalty": math.nan},
        {"dry_multiplier": -1},
        {"dry_base": 0.5},
        {"dry_allowed_length": -1},
        {"dry_last_n": -1},
        {"dry_breakers": ("",)},
        {"xtc_probability": 1.5},
        {"xtc_threshold": 0.6},
        {"logit_bias": (("", 1.0),)},
        {"logit_bias": ((3, math.nan),)},
        {"seed": -1},
        {"seed": 2**32 - 1},
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        Sampling(**wrong)


def test_the_real_model_keeps_to_its_seed_with_everything_on(real_engine: LlamaEngine) -> None:
    everything = Sampling(
        temperature=0.9,
        top_p=0.95,
        typical_p=0.95,
        top_n_sigma=2.0,
        presence_penalty=0.2,
        frequency_penalty=0.2,
        dry_multiplier=0.8,
        xtc_probability=0.5,
        logit_bias=((" the", -1.0),),
        seed=3,
    )
    prompt = "<|im_start|>user\nTell me about the sea.<|im_end|>\n<|im_start|>assistant\n"
    assert said(real_engine, prompt, everything, 30) == said(real_engine, prompt, everything, 30)
