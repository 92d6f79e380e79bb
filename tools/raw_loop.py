"""The raw loop: `llama_decode` and llama.cpp's C samplers with nothing around them, the measure of `models.engine`.

As tight as Python can call C through ctypes: one sequence, one batch structure, no text, no list of what is cached, no
way to stop. Model and context come from `models.loading`, so that threads, batch size, KV type and attention are those
that the engine has for the same settings.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from models.errors import ModelError
from models.loading import EngineSettings, LoadedModel
from models.sampling import Sampling


class RawLoop:
    """A model of its own, blocking. A context manager; `close` frees it."""

    def __init__(self, path: Path, settings: EngineSettings, sampling: Sampling) -> None:
        """Load the model. Of `sampling` temperature, top-k, min-p and seed are heeded.

        Raises ModelFileError or ModelError as the engine does.
        """
        self._loaded = LoadedModel(path, settings)
        self._lib = self._loaded.lib
        self._context = self._loaded.context
        self._memory = self._lib.llama_get_memory(self._context)
        self._n_batch = self._loaded.n_batch
        self._buffer = (self._lib.llama_token * self._n_batch)()
        self._sampling = sampling

    def clear(self) -> None:
        """Empty the cache."""
        clear_data = False
        self._lib.llama_memory_clear(self._memory, clear_data)

    def prefill(self, tokens: Sequence[int]) -> None:
        """Decode `tokens` in batches, after what stands in the cache."""
        lib, context, buffer, n_batch = self._lib, self._context, self._buffer, self._n_batch
        for start in range(0, len(tokens), n_batch):
            batch = tokens[start : start + n_batch]
            buffer[: len(batch)] = batch
            if lib.llama_decode(context, lib.llama_batch_get_one(buffer, len(batch))):
                raise ModelError("the raw loop could not decode its prompt")

    def decode(self, n_tokens: int) -> list[int]:
        """Sample and decode `n_tokens` after what was prefilled; whatever they are, nothing ends it earlier."""
        lib, context, buffer = self._lib, self._context, self._buffer
        sample, decode = lib.llama_sampler_sample, lib.llama_decode
        batch = lib.llama_batch_get_one(buffer, 1)
        chain = self._new_chain()
        tokens = []
        for _ in range(n_tokens):
            token = sample(chain, context, -1)
            tokens.append(token)
            buffer[0] = token
            decode(context, batch)
        lib.llama_sampler_free(chain)
        return tokens

    def close(self) -> None:
        """Free the model. May be called again."""
        self._loaded.close()

    def _new_chain(self) -> object:
        lib, sampling = self._lib, self._sampling
        chain = lib.llama_sampler_chain_init(lib.llama_sampler_chain_default_params())
        if sampling.temperature == 0:
            samplers = [lib.llama_sampler_init_greedy()]
        else:
            samplers = [
                lib.llama_sampler_init_top_k(sampling.top_k),
                lib.llama_sampler_init_min_p(sampling.min_p, 1),
                lib.llama_sampler_init_temp(sampling.temperature),
                lib.llama_sampler_init_dist(sampling.seed),
            ]
        for sampler in samplers:
            lib.llama_sampler_chain_add(chain, sampler)
        return chain

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
