"""Which utterances were said again later: pure, for `memory.sleep`.

People say the same things to a toy again and again, and recall would bring back all of them. Two utterances are the
same if their words are the same in the same order, or if their significant words are the same and their meanings next to
each other: without the second condition "I love you" and "I don't love you" would be one.
"""

import re
from collections import defaultdict
from collections.abc import Sequence
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
    alike: defaultdict[frozenset[str], list[int]] = defaultdict(list)
    wordings = [tuple(_WORD.findall(each.text.casefold())) for each in utterances]
    for number, each in enumerate(utterances):
        if each.is_new and wordings[number]:
            newest[wordings[number]] = number
        if words := frozenset(word.shown for word in query_words(each.text)):
            alike[words].append(number)
    repeated = {number for number, wording in enumerate(wordings) if newest.get(wording, -1) > number}
    for numbers in alike.values():
        if len(numbers) > 1:
            repeated.update(_close_to_a_later(utterances, numbers))
    return [utterances[number].utterance_id for number in sorted(repeated)]


def _close_to_a_later(utterances: Sequence[Spoken], numbers: Sequence[int]) -> list[int]:
    """Those of `numbers` to which the meaning of a later new one of them is close."""
    packed = [np.frombuffer(utterances[number].embedding, dtype=np.int8) for number in numbers]
    vectors = np.stack(packed).astype(np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    is_new = np.array([utterances[number].is_new for number in numbers])
    later = np.triu(vectors @ vectors.T >= SAME_MEANING, k=1) & is_new
    return [number for number, found in zip(numbers, later.any(axis=1), strict=True) if found]
