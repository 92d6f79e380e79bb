"""Embeddings as bytes, and the signs of many of them in RAM, so that the nearest are found without reading the rest.

An embedding is stored as one int8 for each dimension. Of each, the signs alone are kept here, one bit for each
dimension. The share of signs in which two vectors differ is the angle between them over pi, as for random hyperplanes
(Charikar 2002): all are swept for the thousand that differ least from a question. Of these, the question's own values
weighed by the signs tell which are nearest; the cosines of those few are then computed from their bytes. Among 15,700
real sentences, all of the three nearest by exact cosine are among the 64 found so, and 98 % of the ten nearest; among
100,000 mixtures of real ones, 98 and 93 %.

Pure but for the arrays it keeps. Where embeddings come from is left to `models.encoder`, where they are stored to
`memory.meanings`. Needs numpy 2 for `bitwise_count`.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Positions = NDArray[np.intp]

_UNKNOWN = np.uint16(0xFFFF)
_SWEPT = 1024
"""As many as the sweep leaves for a closer look."""

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
        self._scratch = _Scratch(_FIRST_CAPACITY)

    @property
    def n_bytes(self) -> int:
        """What the index occupies in RAM."""
        return self._planes.nbytes + self._known.nbytes + self._scratch.n_bytes

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

    def nearest(self, query: bytes, n: int, count: int) -> Positions:
        """Of positions 0 to n - 1, the `count` whose embeddings seem nearest to the query's, which has as many
        dimensions; fewer if there are no more. In order of position."""
        differing = self._differing(query, n)
        # Few are nearer than chance by this much, and a histogram of few is quick.
        near = np.flatnonzero(differing <= int(_NEAR_SHARE * self.n_dimensions))
        if len(near) < count:
            near = np.flatnonzero(differing != _UNKNOWN)
        if len(near) > _SWEPT:
            up_to = np.cumsum(np.bincount(differing[near]))
            near = near[differing[near] <= np.searchsorted(up_to, _SWEPT)]
        if len(near) > count:
            near = near[np.argpartition(self.promised(query, near), len(near) - count)[len(near) - count :]]
        return np.sort(near)

    def promised(self, query: bytes, positions: Positions) -> NDArray[np.float32]:
        """The cosine with the query that the signs at each position promise, 0 where there is no embedding."""
        asked = np.frombuffer(query, np.int8).astype(np.float32)
        asked /= max(1.0, float(np.linalg.norm(asked)))
        result = np.zeros(len(positions), np.float32)
        is_known = positions < len(self._known)
        is_known[is_known] = self._known[positions[is_known]]
        words = np.ascontiguousarray(self._planes[:, positions[is_known]].T)
        signs = np.unpackbits(words.view(np.uint8), axis=1, count=self.n_dimensions).astype(np.float32)
        # As the signs have unit length together, and a value is sqrt(2 / pi) of its deviation large on average.
        scale = math.sqrt(math.pi / 2 / self.n_dimensions)
        result[is_known] = (2 * (signs @ asked) - asked.sum()) * scale
        return result

    def _differing(self, query: bytes, n: int) -> NDArray[np.uint16]:
        """In how many signs the query differs at positions 0 to n - 1, as far as there have been embeddings."""
        stored = min(n, len(self._known))
        differing, counts, sums = (part[:stored] for part in self._scratch.arrays)
        result = np.zeros(stored, np.uint16)
        for number, (plane, word) in enumerate(zip(self._planes, self._signs([query])[0], strict=True)):
            # Sums of one byte are quick to add to, and three planes differ in 192 signs at most.
            is_first = number % 3 == 0
            np.bitwise_xor(plane[:stored], word, out=differing)
            np.bitwise_count(differing, out=sums if is_first else counts)
            if not is_first:
                np.add(sums, counts, out=sums)
            if number % 3 == 2 or number == len(self._planes) - 1:
                np.add(result, sums, out=result)
        if not self._known[:stored].all():
            result[~self._known[:stored]] = _UNKNOWN
        return result

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
            self._scratch = _Scratch(capacity + room)


class _Scratch:
    """Where a sweep computes: room that is fetched from the system anew for each takes a fifth of its time."""

    def __init__(self, capacity: int) -> None:
        self.arrays = (np.empty(capacity, np.uint64), np.empty(capacity, np.uint8), np.empty(capacity, np.uint8))

    @property
    def n_bytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)
