"""Embeddings as bytes, and the signs of many of them in RAM, so that the nearest are found without reading the rest.

An embedding is stored as one int8 for each dimension. Of each, the signs alone are kept here, one bit for each
dimension: the share of signs in which two vectors differ is the angle between them over pi, as for random hyperplanes
(Charikar 2002). All of them are compared with a question's in one sweep; the cosines of the nearest are then computed
from their bytes.

Pure but for the arrays it keeps. Where embeddings come from is left to `models.encoder`, where they are stored to
`memory.meanings`. Needs numpy 2 for `bitwise_count`.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Positions = NDArray[np.intp]

UNKNOWN = np.uint16(0xFFFF)
"""In place of a number of differing signs, where there is no embedding."""

_WORD_BITS = 64
_NEAR_SHARE = 0.42
"""Of signs that differ: a cosine of 0.25."""
_FIRST_CAPACITY = 1024


def packed(embedding: ArrayLike) -> bytes:
    """The direction of a vector as one int8 for each dimension, the largest at +-127. Takes finite values only."""
    vector = np.asarray(embedding, dtype=np.float32)
    largest = float(np.abs(vector).max(initial=0.0))
    scaled = vector * (127 / largest) if largest > 0 else np.zeros_like(vector)
    return np.rint(scaled).astype(np.int8).tobytes()


def packed_shares(shares: ArrayLike) -> bytes:
    """Probabilities as one uint8 each, 255 for certain: how `Meaning.feelings` are stored."""
    return np.rint(np.clip(np.asarray(shares, dtype=np.float32), 0, 1) * 255).astype(np.uint8).tobytes()


def unpacked_shares(rows: Sequence[bytes | None], n_shares: int) -> NDArray[np.float32]:
    """(len(rows), n_shares) shares between 0 and 1; all 0 where there is no row, or one of another length."""
    empty = bytes(n_shares)
    joined = b"".join([row if row is not None and len(row) == n_shares else empty for row in rows])
    return np.frombuffer(joined, np.uint8).reshape(len(rows), n_shares).astype(np.float32) / np.float32(255)


def cosines(query: bytes, rows: Sequence[bytes | None]) -> NDArray[np.float32]:
    """The cosine of each packed embedding with the query's; NaN where there is none, or one of another length."""
    empty = bytes(len(query))
    n_dimensions = len(query)
    joined = b"".join([row if row is not None and len(row) == n_dimensions else empty for row in rows])
    vectors = np.frombuffer(joined, np.int8).reshape(len(rows), len(query)).astype(np.float32)
    asked = np.frombuffer(query, np.int8).astype(np.float32)
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors)) * np.sqrt(asked @ asked)
    result = np.full(len(rows), np.nan, np.float32)
    np.divide(vectors @ asked, lengths, out=result, where=lengths > 0)
    return result


class SignIndex:
    """The signs of packed embeddings at positions 0, 1, 2, ...; a position may have none (yet)."""

    def __init__(self, n_dimensions: int) -> None:
        """An index without positions, for embeddings of `n_dimensions`."""
        self.n_dimensions = n_dimensions
        self.n_known = 0
        """At how many positions there is an embedding."""
        n_words = -(-n_dimensions // _WORD_BITS)
        # One plane for each 64 dimensions, so that a sweep reads memory in order.
        self._planes = np.zeros((n_words, _FIRST_CAPACITY), np.uint64)
        self._known = np.zeros(_FIRST_CAPACITY, np.bool_)

    @property
    def n_bytes(self) -> int:
        """What the index occupies in RAM."""
        return self._planes.nbytes + self._known.nbytes

    def put(self, positions: Positions, embeddings: Sequence[bytes]) -> None:
        """Keep the signs of embeddings at these positions; those of another number of dimensions are left out."""
        fitting = [number for number, each in enumerate(embeddings) if len(each) == self.n_dimensions]
        if not fitting:
            return
        at = positions[fitting]
        self._make_room(int(at.max()) + 1)
        self._planes[:, at] = self._signs([embeddings[number] for number in fitting]).T
        self.n_known += int(np.count_nonzero(~self._known[at]))
        self._known[at] = True

    def differing(self, query: bytes, n: int) -> NDArray[np.uint16]:
        """(n,) in how many signs the query differs from the embeddings at positions 0 to n - 1; UNKNOWN where there is
        none. The query has as many dimensions as the index."""
        stored = min(n, self._known.shape[0])
        scratch = np.empty(stored, np.uint64)
        counts, sums = np.empty(stored, np.uint8), np.zeros(stored, np.uint8)
        result = np.zeros(n, np.uint16)
        for number, (plane, word) in enumerate(zip(self._planes, self._signs([query])[0], strict=True), 1):
            np.bitwise_xor(plane[:stored], word, out=scratch)
            np.bitwise_count(scratch, out=counts)
            sums += counts
            # Sums of one byte are quick to add to, and three planes differ in 192 signs at most.
            if number % 3 == 0 or number == len(self._planes):
                result[:stored] += sums
                sums[:] = 0
        if self.n_known < n:
            result[:stored][~self._known[:stored]] = UNKNOWN
            result[stored:] = UNKNOWN
        return result

    def nearest(self, differing: NDArray[np.uint16], count: int) -> Positions:
        """The `count` positions that differ least, and those that differ as much as the last of them; fewer if there
        are no more. In order of position."""
        # Few are nearer than chance by this much, and a histogram of few is quick.
        near = np.flatnonzero(differing <= int(_NEAR_SHARE * self.n_dimensions))
        if len(near) < count:
            near = np.flatnonzero(differing != UNKNOWN)
        up_to = np.cumsum(np.bincount(differing[near], minlength=1))
        return near[differing[near] <= np.searchsorted(up_to, min(count, int(up_to[-1])))]

    def promised(self, differing: NDArray[np.uint16]) -> NDArray[np.float32]:
        """The cosines that so many differing signs promise, -1 where there is no embedding."""
        angle = np.minimum(differing, self.n_dimensions) * np.float32(math.pi / self.n_dimensions)
        return np.cos(angle)

    def _signs(self, embeddings: Sequence[bytes]) -> NDArray[np.uint64]:
        values = np.frombuffer(b"".join(embeddings), np.int8).reshape(len(embeddings), self.n_dimensions)
        bits = np.zeros((len(embeddings), self._planes.shape[0] * (_WORD_BITS // 8)), np.uint8)
        signs = np.packbits(values >= 0, axis=1)
        bits[:, : signs.shape[1]] = signs
        return bits.view(np.uint64)

    def _make_room(self, n: int) -> None:
        capacity = self._known.shape[0]
        if n > capacity:
            room = max(n, capacity + capacity // 4) - capacity
            self._planes = np.pad(self._planes, ((0, 0), (0, room)))
            self._known = np.pad(self._known, (0, room))
