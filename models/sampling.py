"""How the next token is chosen: settings, and the chain of llama.cpp samplers they stand for.

The samplers are llama.cpp's own, in the order of its default chain: biases, penalties, DRY, top-n-sigma, top-k,
typical-p, top-p, min-p, XTC, temperature, and the draw. Which grammar a reply must follow is settled in
`models.choosing`, when a reply ends in `models.generation`.
"""

import ctypes
import math
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from models.errors import ModelError
from models.grammar import Grammar
from models.loading import LoadedModel
from models.vocabulary import Vocabulary

_RANDOM_SEED = 0xFFFFFFFF  # LLAMA_DEFAULT_SEED: llama.cpp takes a random one
_MIN_KEEP = 1  # candidates that every cut leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """Defaults for a small character: a 135M model keeps to the subject at 0.4 and loses it at 0.7.

    `temperature` 0 is greedy: the likeliest token after biases and penalties. Off are `top_k` 0, `top_p` 1,
    `typical_p` 1, `min_p` 0, `top_n_sigma` 0 (standard deviations of the logits below the best, arXiv 2411.07641),
    `dry_multiplier` 0 and `xtc_probability` 0. Per token, for a vocabulary of 49,152 on one x86 core, llama.cpp takes
    160 µs with the defaults, of which 110 for the repeat penalty; top-n-sigma adds 190, DRY 130, a top-p without
    top-k 500, a bias, typical-p, min-p and XTC nearly nothing.

    Repeat, presence and frequency penalties look at the last `repeat_last_n` tokens, DRY (a run that was longer than
    `dry_allowed_length` must not be said again; base and multiplier as in text-generation-webui #5677) at the last
    `dry_last_n`. All of them see the reply alone, with what was thought before it, and not the prompt: the marks that
    end a turn stand there many times, and with them penalised replies would not end; and a character may say its own
    name again in its next reply.

    XTC leaves out, with `xtc_probability`, all tokens of at least `xtc_threshold` but the least likely of them: words
    less expected. `logit_bias` adds to the logits of a token, or of every token that is exactly a text, with or without
    a space before it; -inf forbids. The same `seed` gives the same reply on the same machine; None is random. With a
    `grammar` the reply is a text of it (`models.grammar`), as far as its limits let it be whole.
    """

    temperature: float = 0.4
    top_k: int = 40
    top_p: float = 1.0
    min_p: float = 0.05
    typical_p: float = 1.0
    top_n_sigma: float = 0.0
    repeat_penalty: float = 1.1
    repeat_last_n: int = 64
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    dry_multiplier: float = 0.0
    dry_base: float = 1.75
    dry_allowed_length: int = 2
    dry_last_n: int = 256
    dry_breakers: tuple[str, ...] = ("\n", ":", '"', "*")
    xtc_probability: float = 0.0
    xtc_threshold: float = 0.1
    logit_bias: tuple[tuple[int | str, float], ...] = ()
    grammar: Grammar | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        checks = {
            "temperature must not be negative": self.temperature >= 0,
            "top_k must not be negative": self.top_k >= 0,
            "top_p must lie above 0 and not above 1": 0 < self.top_p <= 1,
            "min_p must lie from 0 to below 1": 0 <= self.min_p < 1,
            "typical_p must lie above 0 and not above 1": 0 < self.typical_p <= 1,
            "top_n_sigma must not be negative": self.top_n_sigma >= 0,
            "repeat_penalty must be above 0": self.repeat_penalty > 0,
            "repeat_last_n must not be negative": self.repeat_last_n >= 0,
            "presence_penalty and frequency_penalty must be numbers": math.isfinite(self.presence_penalty)
            and math.isfinite(self.frequency_penalty),
            "dry_multiplier must not be negative": self.dry_multiplier >= 0,
            "dry_base must be at least 1": self.dry_base >= 1,
            "dry_allowed_length must not be negative": self.dry_allowed_length >= 0,
            "dry_last_n must not be negative": self.dry_last_n >= 0,
            "dry_breakers must have text without NUL": all(text and "\0" not in text for text in self.dry_breakers),
            "xtc_probability must lie from 0 to 1": 0 <= self.xtc_probability <= 1,
            "xtc_threshold must lie from 0 to 0.5": 0 <= self.xtc_threshold <= 0.5,
            "logit_bias must name tokens or texts, and be numbers or -inf": all(
                wanted != "" and bias < math.inf for wanted, bias in self.logit_bias
            ),
            "seed must be a 32-bit number": self.seed is None or 0 <= self.seed < _RANDOM_SEED,
        }
        for rule, holds in checks.items():
            if not holds:
                raise ValueError(rule)


class SamplerChain:
    """The samplers of one Sampling for one model, but for its grammar. They remember the tokens of a reply: `reset`
    before each. Freed when nobody holds the chain any more."""

    def __init__(self, loaded: LoadedModel, vocabulary: Vocabulary, sampling: Sampling) -> None:
        """DRY costs 9 ms here for a vocabulary of 49,152, a bias on a text 90 ms.

        Raises ModelError for a bias on what is no token of this model."""
        self._loaded = loaded
        self._lib = lib = loaded.lib
        self._chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        self._free = weakref.finalize(self, lib.llama_sampler_free, self._chain)
        for sampler in _samplers(lib, vocabulary, sampling):
            lib.llama_sampler_chain_add(self._chain, sampler)  # the chain owns it from here

    def reset(self) -> None:
        """Forget the last reply, and begin with the seed again."""
        self._lib.llama_sampler_reset(self._chain)

    def sample(self) -> int:
        """Choose the next token after what was decoded last, and remember it.

        Raises RuntimeError after the model was closed."""
        token: int = self._lib.llama_sampler_sample(self._chain, self._loaded.context, -1)
        return token

    def apply(self, candidates: Any) -> None:
        """Choose among a `llama_token_data_array`: its `selected` is set."""
        self._lib.llama_sampler_apply(self._chain, ctypes.byref(candidates))

    def accept(self, token: int) -> None:
        """Remember a token that was chosen by `apply`."""
        self._lib.llama_sampler_accept(self._chain, token)


def _samplers(lib: Any, vocabulary: Vocabulary, sampling: Sampling) -> Iterator[Any]:
    if sampling.logit_bias:
        yield _bias_sampler(lib, vocabulary, sampling)
    penalties = (sampling.repeat_penalty, sampling.frequency_penalty, sampling.presence_penalty)
    if penalties != (1, 0, 0) and sampling.repeat_last_n:
        yield lib.llama_sampler_init_penalties(vocabulary.n_tokens, sampling.repeat_last_n, *penalties)
    if sampling.dry_multiplier and sampling.dry_last_n:
        yield _dry_sampler(lib, vocabulary, sampling)
    if sampling.temperature == 0:
        yield lib.llama_sampler_init_greedy()
        return
    yield from _cuts(lib, sampling)
    seed = _RANDOM_SEED if sampling.seed is None else sampling.seed
    if sampling.xtc_probability:
        yield lib.llama_sampler_init_xtc(sampling.xtc_probability, sampling.xtc_threshold, _MIN_KEEP, seed)
    yield lib.llama_sampler_init_temp(sampling.temperature)
    yield lib.llama_sampler_init_dist(seed)


def _cuts(lib: Any, sampling: Sampling) -> Iterator[Any]:
    """What leaves out unlikely tokens."""
    if sampling.top_n_sigma:
        yield lib.llama_sampler_init_top_n_sigma(sampling.top_n_sigma)
    if sampling.top_k:
        yield lib.llama_sampler_init_top_k(sampling.top_k)
    if sampling.typical_p < 1:
        yield lib.llama_sampler_init_typical(sampling.typical_p, _MIN_KEEP)
    if sampling.top_p < 1:
        yield lib.llama_sampler_init_top_p(sampling.top_p, _MIN_KEEP)
    if sampling.min_p:
        yield lib.llama_sampler_init_min_p(sampling.min_p, _MIN_KEEP)


def _dry_sampler(lib: Any, vocabulary: Vocabulary, sampling: Sampling) -> Any:
    breakers = (ctypes.c_char_p * len(sampling.dry_breakers))(*(text.encode() for text in sampling.dry_breakers))
    return lib.llama_sampler_init_dry(
        vocabulary.native,
        sampling.dry_multiplier,
        sampling.dry_base,
        sampling.dry_allowed_length,
        sampling.dry_last_n,
        breakers,
        len(breakers),
    )


def _bias_sampler(lib: Any, vocabulary: Vocabulary, sampling: Sampling) -> Any:
    biases = tuple(_token_biases(vocabulary, sampling))
    native = (lib.llama_logit_bias * len(biases))()
    for entry, (token, bias) in zip(native, biases, strict=True):
        entry.token, entry.bias = token, bias
    return lib.llama_sampler_init_logit_bias(vocabulary.n_tokens, len(biases), native)


def _token_biases(vocabulary: Vocabulary, sampling: Sampling) -> Iterator[tuple[int, float]]:
    wanted_texts = [wanted for wanted, _ in sampling.logit_bias if isinstance(wanted, str)]
    texts = {wanted: (wanted.encode(), f" {wanted}".encode()) for wanted in wanted_texts}
    known = vocabulary.tokens_for({data for both in texts.values() for data in both}) if texts else {}
    for wanted, bias in sampling.logit_bias:
        if isinstance(wanted, str):
            tokens = [token for data in texts[wanted] for token in known[data]]
        else:
            tokens = [wanted] if 0 <= wanted < vocabulary.n_tokens else []
        if not tokens:
            raise ModelError(f"logit_bias names {wanted!r}, which is no token of this model; name a part that is one")
        yield from ((token, bias) for token in tokens)
