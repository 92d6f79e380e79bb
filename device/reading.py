"""Reading meaning and feeling out of words, for whoever needs it in a turn: once, and never at the price of the turn.

Where the encoder cannot be loaded, words are remembered and answered without: a warning says so, once.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from models.encoder import Encoded
from models.errors import ModelError

log = logging.getLogger(__name__)


class Encoding(Protocol):
    """What reads: `models.encoder_worker.AsyncEncoder` here, which knows its recent answers."""

    @property
    def fingerprint(self) -> str: ...

    async def encode(self, texts: Sequence[str]) -> tuple[Encoded, ...]: ...


class Reading:
    """An encoder that may fail. `on_notice` is told when it has, and how to mend it."""

    def __init__(self, encoder: Encoding, on_notice: Callable[[str], None] = log.warning) -> None:
        self._encoder: Encoding | None = encoder
        self._on_notice = on_notice
        self.fingerprint = encoder.fingerprint
        """Embeddings with another fingerprint are not to be compared with those made here."""

    @property
    def works(self) -> bool:
        """Whether there is anything that reads."""
        return self._encoder is not None

    async def read(self, text: str) -> Encoded | None:
        """Meaning and feeling of a text; None for one without a letter in it, and where nothing can read any more."""
        if self._encoder is None or not text.strip():
            return None
        try:
            (encoded,) = await self._encoder.encode((text,))
        except ModelError as error:
            self._encoder = None
            self._on_notice(f"nothing is recalled by its meaning from now on, and nothing moves a mood: {error}")
            return None
        return encoded
