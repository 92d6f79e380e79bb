"""The next token of a reply: the sampler chain, and the grammar that its choice must fit.

Testing every token of a vocabulary against a grammar costs as much as a good part of decoding one. So, as llama.cpp's
own programs do, the chain chooses freely first, and only if that one token does not fit, the grammar restricts all
candidates and the chain chooses again: one token in five of a JSON object by SmolLM2-135M, 1.4 ms a token on average in
place of 3.6. When a reply begins and ends is left to `models.generation`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.errors import GrammarError
from models.grammar import GrammarState
from models.loading import LoadedModel
from models.sampling import SamplerChain, Sampling
from models.vocabulary import Vocabulary

_CANDIDATE = np.dtype([("id", "<i4"), ("logit", "<f4"), ("p", "<f4")])  # llama_token_data


class TokenChooser:
    """Chooses the tokens of one reply after another, all with the same Sampling: `begin` before each."""

    def __init__(self, loaded: LoadedModel, vocabulary: Vocabulary, sampling: Sampling) -> None:
        """Raises ModelError as SamplerChain does."""
        self.sampling = sampling
        self._loaded = loaded
        self._vocabulary = vocabulary
        self._chain = SamplerChain(loaded, vocabulary, sampling)
        self._grammar: GrammarState | None = None
        if sampling.grammar is not None:
            self._barred = np.array(vocabulary.never_written(), dtype=np.intp)
            self._barred_set = frozenset(self._barred.tolist())

    def begin(self) -> None:
        """A new reply: nothing was said, and the seed begins again."""
        self._chain.reset()
        if self.sampling.grammar is not None:
            self._grammar = GrammarState(self._vocabulary.native, self.sampling.grammar)

    def next(self, *, free: bool = False) -> int:
        """The next token, from the logits of what was decoded last. `free`: the grammar does not count yet.

        Raises GrammarError where no token of this vocabulary fits, RuntimeError after the model was closed.
        """
        if self._grammar is None or free:
            return self._chain.sample()
        token = self._choose(self._candidates())
        if token in self._barred_set or not self._fits(token, self._grammar):
            token = self._choose(self._restricted(self._grammar))
        self._chain.accept(token)
        if not self._vocabulary.ends_turn(token):
            self._grammar.accept(token)
        return token

    def _candidates(self) -> NDArray[np.void]:
        lib, n_tokens = self._loaded.lib, self._vocabulary.n_tokens
        candidates = np.zeros(n_tokens, dtype=_CANDIDATE)
        candidates["id"] = np.arange(n_tokens)
        candidates["logit"] = np.ctypeslib.as_array(lib.llama_get_logits_ith(self._loaded.context, -1), (n_tokens,))
        return candidates

    def _restricted(self, grammar: GrammarState) -> NDArray[np.void]:
        """The candidates that fit, without the others: not every sampler copes with logits of -inf."""
        candidates = self._candidates()
        candidates["logit"][self._barred] = -np.inf
        candidates = candidates[candidates["logit"] > -np.inf]
        grammar.restrict(self._native(candidates))
        candidates = candidates[candidates["logit"] > -np.inf]
        if not len(candidates):
            raise GrammarError("the grammar asks for text that this model has no tokens for; allow other characters")
        return candidates

    def _fits(self, token: int, grammar: GrammarState) -> bool:
        alone = np.zeros(1, dtype=_CANDIDATE)
        alone["id"] = token
        grammar.restrict(self._native(alone))
        return bool(alone["logit"][0] > -np.inf)

    def _choose(self, candidates: NDArray[np.void]) -> int:
        array = self._native(candidates)
        self._chain.apply(array)
        token: int = array.data[array.selected].id
        return token

    def _native(self, candidates: NDArray[np.void]) -> Any:
        """A `llama_token_data_array` over the same memory, which lives as long as `candidates`."""
        lib = self._loaded.lib
        return lib.llama_token_data_array(
            data=candidates.ctypes.data_as(lib.llama_token_data_p), size=len(candidates), selected=-1, sorted=False
        )
