"""An encoder that knows words by their letters: the same words have the same meaning, and feelings are spelled out."""

import zlib
from collections.abc import Sequence

import numpy as np

from models.emotions import EMOTIONS
from models.encoder import EMBEDDING_SIZE, Encoded
from models.errors import ModelFileError


class WordEncoder:
    """Embeds a text as the sum of random directions of its words; feels what it names, such as "sadness"."""

    def __init__(self, *, fails: bool = False) -> None:
        self.fingerprint = "words"
        self.fails = fails
        self.read: list[str] = []

    async def encode(self, texts: Sequence[str]) -> tuple[Encoded, ...]:
        if self.fails:
            raise ModelFileError("model.onnx is damaged; install Familiar again")
        self.read += texts
        return tuple(_encoded(text) for text in texts)


def _encoded(text: str) -> Encoded:
    words = [word.strip(".,!?\"'").casefold() for word in text.split()]
    directions = [
        np.random.default_rng(zlib.crc32(word.encode())).standard_normal(EMBEDDING_SIZE, dtype=np.float32)
        for word in words
    ]
    embedding = np.sum(directions, axis=0)
    emotions = np.array([0.95 if name in words else 0.02 for name in EMOTIONS], np.float32)
    return Encoded(embedding=embedding / np.linalg.norm(embedding), emotions=emotions)
