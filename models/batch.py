"""The batch of tokens that llama.cpp decodes: buffers made once, refilled for every call."""

import ctypes
from collections.abc import Sequence
from typing import Any


class TokenBatch:
    """Up to `n_tokens` tokens of one sequence. Positions are left to llama.cpp, which goes on where the sequence ends;
    logits are computed for the last token alone."""

    def __init__(self, lib: Any, n_tokens: int) -> None:
        self._lib = lib
        self._tokens = (lib.llama_token * n_tokens)()
        self._sequence = (lib.llama_seq_id * 1)(0)
        sequence_p = ctypes.POINTER(lib.llama_seq_id)
        self._n_sequences = (ctypes.c_int32 * n_tokens)(*[1] * n_tokens)
        self._sequences = (sequence_p * n_tokens)(*[ctypes.cast(self._sequence, sequence_p)] * n_tokens)
        self._batch = lib.llama_batch()
        self._batch.token = ctypes.cast(self._tokens, ctypes.POINTER(lib.llama_token))
        self._batch.n_seq_id = ctypes.cast(self._n_sequences, ctypes.POINTER(ctypes.c_int32))
        self._batch.seq_id = ctypes.cast(self._sequences, ctypes.POINTER(sequence_p))

    def fill(self, tokens: Sequence[int]) -> None:
        """Take over these tokens."""
        self._tokens[: len(tokens)] = tokens

    def fill_one(self, token: int) -> None:
        """Take over a single token."""
        self._tokens[0] = token

    def decode(self, context: Any, n_tokens: int, sequence: int) -> int:
        """Decode the first `n_tokens` as part of a sequence. Returns llama_decode's answer."""
        self._batch.n_tokens = n_tokens
        self._sequence[0] = sequence
        answer: int = self._lib.llama_decode(context, self._batch)
        return answer
