"""The encoder for an event loop: one `Encoder` on a thread of its own, which begins to load at once.

onnxruntime is imported and the network loaded on that thread, so the loop never waits for either. The answers to recent
texts are kept: the words of a turn are asked for when they pause, when they are final, and once more to be remembered,
and only the first asking costs anything.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from models.encoder import SHIPPED, Encoded, Encoder, EncoderInfo, read_info

KEPT_TEXTS = 64
"""Answers that are kept: 2 KB each. A turn asks for a dozen texts (words so far, the clauses of the reply)."""


class AsyncEncoder:
    """An Encoder whose methods are coroutines, with the contracts written there. `AsyncEncoder.open` makes one."""

    def __init__(self, folder: Path, info: EncoderInfo, executor: ThreadPoolExecutor) -> None:
        """Take over an executor with a single thread; nothing is loaded yet."""
        self.info = info
        self._folder = folder
        self._executor = executor
        self._loaded: _Remembering | None = None  # of the executor's thread

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path = SHIPPED) -> AsyncIterator[Self]:
        """Read what the folder says of its encoder, and begin to load the network, which nobody waits for here: the
        first text would have to, for 0.3 s. What is wrong with it is told to whoever encodes.

        Leaving waits for nothing: a text under way (some ms) ends by itself, loading too. Raises ModelFileError where
        there is no encoder.
        """
        executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="encoder")
        try:
            info = await asyncio.get_running_loop().run_in_executor(executor, read_info, folder)
            encoder = cls(folder, info, executor)
            executor.submit(encoder._load)  # an error is left in the future: the first text meets it again
            yield encoder
        finally:
            executor.shutdown(wait=False, cancel_futures=True)

    @property
    def fingerprint(self) -> str:
        """See `EncoderInfo.fingerprint`."""
        return self.info.fingerprint

    def present(self, emotions: NDArray[np.float32]) -> tuple[str, ...]:
        """See `EncoderInfo.present`."""
        return self.info.present(emotions)

    async def encode(self, texts: Sequence[str]) -> tuple[Encoded, ...]:
        """See `Encoder.encode`; raises ModelFileError as loading does, at each call anew until it can be loaded.

        Texts whose caller is cancelled before their turn came are never encoded.
        """
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._encode, tuple(texts))

    def _encode(self, texts: tuple[str, ...]) -> tuple[Encoded, ...]:
        loaded = self._load()
        return tuple(loaded.encode(text) for text in texts)

    def _load(self) -> "_Remembering":
        if self._loaded is None:
            self._loaded = _Remembering(Encoder(self._folder))
        return self._loaded


class _Remembering:
    """An encoder that knows its recent answers, by word pieces: another case or other spaces are the same words."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._encode_pieces = lru_cache(KEPT_TEXTS)(encoder.encode_pieces)

    def encode(self, text: str) -> Encoded:
        return self._encode_pieces(self._encoder.word_pieces(text))
