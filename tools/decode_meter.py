"""Counts the tokens that llama.cpp is given to decode, whoever gives them: one meter for both sides of a comparison.

It stands where every user of llama-cpp-python in this process looks for `llama_decode`, so no count has to be believed
that a library keeps of itself. For measurements only.
"""

from types import TracebackType
from typing import Any, Self

from models.native import llama_cpp


class DecodeMeter:
    """Counts while it is entered. Enter it before what it is to watch is opened; one at a time."""

    def __init__(self) -> None:
        self.n_tokens = 0
        self.n_alone = 0
        """Those that came in a batch of one: a generated token, for the most part."""
        self._lib: Any = llama_cpp().lib
        self._decode: Any = self._lib.llama_decode

    def _counting(self, context: Any, batch: Any) -> Any:
        self.n_tokens += batch.n_tokens
        self.n_alone += batch.n_tokens == 1
        return self._decode(context, batch)

    def __enter__(self) -> Self:
        self._lib.llama_decode = self._counting
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lib.llama_decode = self._decode
