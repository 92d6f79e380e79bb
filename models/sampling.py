"""How the next token is chosen: settings, and the chain of llama.cpp samplers they stand for."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: llama.cpp takes a random one


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Defaults for a small character: a 135M model keeps to the subject at 0.4 and loses it at 0.7.

    `temperature` 0 is greedy. `top_k` 0 and `top_p` 1 are off. `repeat_penalty` (1 is off) divides the logits of the
    tokens among the last `repeat_last_n` of the reply; the prompt is not counted, or the marks that end a turn would be
    penalised and replies would not end. The same `seed` gives the same reply on the same machine; None is random.
    """

    temperature: float = 0.4
    top_k: int = 40
    top_p: float = 1.0
    min_p: float = 0.05
    repeat_penalty: float = 1.1
    repeat_last_n: int = 64
    seed: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "temperature must not be negative": self.temperature >= 0,
            "top_k must not be negative": self.top_k >= 0,
            "top_p must lie above 0 and not above 1": 0 < self.top_p <= 1,
            "min_p must lie from 0 to below 1": 0 <= self.min_p < 1,
            "repeat_penalty must be above 0": self.repeat_penalty > 0,
            "repeat_last_n must not be negative": self.repeat_last_n >= 0,
            "seed must be a 32-bit number": self.seed is None or 0 <= self.seed < _RANDOM_SEED,
        }
        for rule, holds in checks.items():
            if not holds:
                raise ValueError(rule)


@contextmanager
def sampler_chain(lib: Any, sampling: Sampling, *, n_vocab: int) -> Iterator[Any]:
    """A sampler chain for one reply, freed at the end."""
    chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
    try:
        for sampler in _samplers(lib, sampling, n_vocab):
            lib.llama_sampler_chain_add(chain, sampler)  # the chain owns it from here
        yield chain
    finally:
        lib.llama_sampler_free(chain)


def _samplers(lib: Any, sampling: Sampling, n_vocab: int) -> Iterator[Any]:
    if sampling.repeat_penalty != 1 and sampling.repeat_last_n:
        yield lib.llama_sampler_init_penalties(n_vocab, sampling.repeat_last_n, sampling.repeat_penalty, 0.0, 0.0)
    if sampling.temperature == 0:
        yield lib.llama_sampler_init_greedy()
        return
    if sampling.top_k:
        yield lib.llama_sampler_init_top_k(sampling.top_k)
    if sampling.top_p < 1:
        yield lib.llama_sampler_init_top_p(sampling.top_p, 1)
    if sampling.min_p:
        yield lib.llama_sampler_init_min_p(sampling.min_p, 1)
    yield lib.llama_sampler_init_temp(sampling.temperature)
    yield lib.llama_sampler_init_dist(_RANDOM_SEED if sampling.seed is None else sampling.seed)
