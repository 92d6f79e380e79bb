"""Which utterances were said again later: pure, for `memory.sleep`.

People say the same things to a toy again and again, and recall would bring back all of them. Two utterances are the
same if their words are the same in the same order, or if their meanings are next to each other and their significant
words the same: by the meanings alone "it is Tom's birthday" and "it is Tim's birthday" would be one, by the words alone
"I love you" and "I don't love you".
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from memory.words import query_words

SAME_MEANING = 0.9
"""The cosine from which utterances with the same significant words say the same. Chosen, not measured."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """An utterance as it is compared. `embedding` is packed as in `Meaning`; `is_new`: not compared before."""

    utterance_id: int
    text: str
    embedding: bytes
    is_new: bool


def said_again(utterances: Sequence[Spoken]) -> list[int]:
    """The ids of those that a new one after them repeats. `utterances` are one speaker's, oldest first, all with
    embeddings of the same encoder."""
    newest: dict[tuple[str, ...], int] = {}
    wordings = [tuple(_WORD.findall(each.text.casefold())) for each in utterances]
    for number, each in enumerate(utterances):
        if each.is_new and wordings[number]:
            newest[wordings[number]] = number
    repeated = {number for number, wording in enumerate(wordings) if newest.get(wording, -1) > number}
    repeated.update(early for early, late in _next_to_each_other(utterances) if _same_words(utterances, early, late))
    return [utterances[number].utterance_id for number in sorted(repeated)]


def _next_to_each_other(utterances: Sequence[Spoken]) -> Iterator[tuple[int, int]]:
    """The places of an utterance and of a new one after it whose meanings are close."""
    first_new = next((number for number, each in enumerate(utterances) if each.is_new), len(utterances))
    if first_new == len(utterances):
        return
    joined = b"".join(each.embedding for each in utterances)
    vectors = np.frombuffer(joined, np.int8).reshape(len(utterances), -1).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    # Not by `@`: for so few, BLAS waits longer for its threads than it computes, on a busy machine ten times as long.
    cosines = np.einsum("ij,kj->ik", vectors[first_new:], vectors)
    for late, early in np.argwhere(cosines >= SAME_MEANING):
        if early < first_new + late and utterances[first_new + late].is_new:
            yield int(early), int(first_new + late)


def _same_words(utterances: Sequence[Spoken], early: int, late: int) -> bool:
    words = _significant(utterances[early].text)
    return bool(words) and words == _significant(utterances[late].text)


def _significant(text: str) -> frozenset[str]:
    return frozenset(word.shown for word in query_words(text))
