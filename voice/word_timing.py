"""When each word of a clause was said, from the durations a Piper voice gives for its phonemes.

espeak-ng, which turns text into phonemes for Piper, says "of the" as one word and "3.14" as four. So the written words
and the spoken ones are laid side by side first, and a mark is given only where both have a border. Pure functions;
`voice.piper` brings the phonemes and durations.
"""

# ruff: noqa: RUF001  characters that resemble others are the subject here

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import inf
from unicodedata import category

WORD_BORDER = " "
"""The phoneme between two words."""

_PAUSES = frozenset(".,!?;:")
"""Phonemes that are silence, or nearly: a word has been said before them."""

_PADDING, _BEGINNING = "_", "^"
_DIGIT_LETTERS = {"0": 1, ".": 5}
_OTHER_DIGIT_LETTERS = 4
"""How long digits are when said: "four", "six"; zeros mostly make a "hundred" or nothing, a decimal point a "point"."""

_MAX_MERGED = 3
_MAX_PARTS = 12
_MAX_WORDS = 100
"""Beyond any clause; the work grows with the square."""

_MERGE_COST = 0.5
"""For each word more that is said in one, and for each part more of one, free for numbers: they have parts."""

_PAUSE_COST = 1.0
_FULL_STOP_COST = 0.3
"""Where only one side has a pause; a full stop may also belong to an abbreviation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenWord:
    """One word as it is said: its `phonemes` without pauses, and whether a pause follows it."""

    phonemes: str
    before_pause: bool


def spoken_words(phonemes: Sequence[str], id_map: Mapping[str, Sequence[int]]) -> list[SpokenWord]:
    """The words of a sentence's phonemes, those the voice has no sound for left out."""
    runs = _runs(phonemes, id_map)
    return [
        SpokenWord(
            phonemes="".join(phonemes[at] for at in run if phonemes[at] not in _PAUSES),
            before_pause=phonemes[run[-1]] in _PAUSES,
        )
        for run in runs
    ]


def word_end_samples(
    phonemes: Sequence[str], id_samples: Sequence[int], id_map: Mapping[str, Sequence[int]]
) -> list[int]:
    """The sample at which the sound of each of `spoken_words` ends.

    `id_samples` holds the samples of each phoneme id as Piper feeds them: the beginning and a padding, then for each
    phoneme its ids and a padding.
    """
    n_padding = len(id_map.get(_PADDING, ()))
    at_id = len(id_map.get(_BEGINNING, ())) + n_padding
    at_sample = sum(id_samples[:at_id])
    ends: list[int] = []
    for phoneme in phonemes:
        n_ids = len(id_map[phoneme]) + n_padding if phoneme in id_map else 0
        at_sample += sum(id_samples[at_id : at_id + n_ids])
        at_id += n_ids
        ends.append(at_sample)
    return [max(ends[at] for at in run if phonemes[at] not in _PAUSES) for run in _runs(phonemes, id_map)]


def _runs(phonemes: Sequence[str], id_map: Mapping[str, Sequence[int]]) -> list[list[int]]:
    """Indices of the phonemes of each word that has a sound."""
    borders = [-1, *(at for at, phoneme in enumerate(phonemes) if phoneme == WORD_BORDER), len(phonemes)]
    runs = ([at for at in range(left + 1, right) if phonemes[at] in id_map] for left, right in pairwise(borders))
    return [run for run in runs if any(phonemes[at] not in _PAUSES for at in run)]


def chars_said(speech: str, spoken: Sequence[SpokenWord]) -> list[int | None]:
    """For each spoken word, how many characters of `speech` have been said after it; None inside a written word.

    Spaces behind a word do not count. Empty if the two cannot be laid side by side.
    """
    written = list(re.finditer(r"\S+", speech))
    said: list[int | None] = [None] * len(spoken)
    if not 0 < len(written) <= _MAX_WORDS or not 0 < len(spoken) <= _MAX_WORDS:
        return []
    path = _best_path([found[0] for found in written], spoken)
    for n_written, n_spoken in path:
        said[n_spoken - 1] = written[n_written - 1].end()
    return said if path else []


def _best_path(written: Sequence[str], spoken: Sequence[SpokenWord]) -> list[tuple[int, int]]:
    """The cheapest way to lay words side by side: pairs (written words, spoken words) done after each step."""
    lengths = [_letters(word) for word in written], [_letters(word.phonemes) for word in spoken]
    scale = sum(lengths[1]) / sum(lengths[0])
    steps = [(1, n) for n in range(1, _MAX_PARTS + 1)] + [(n, 1) for n in range(2, _MAX_MERGED + 1)]
    # costs[i, j]: of laying side by side what comes after i written and j spoken words; chosen: the first step of it.
    costs = {(len(written), len(spoken)): 0.0}
    chosen: dict[tuple[int, int], tuple[int, int]] = {}
    for i, j in product(reversed(range(len(written))), reversed(range(len(spoken)))):
        for to in ((i + di, j + dj) for di, dj in steps):
            if to not in costs:
                continue
            length = scale * sum(lengths[0][i : to[0]])
            misfit = abs(length - sum(lengths[1][j : to[1]])) / (length + 2)
            cost = misfit + _step_cost(written[i : to[0]], spoken[j : to[1]]) + costs[to]
            if cost < costs.get((i, j), inf):
                costs[i, j], chosen[i, j] = cost, to
    path = []
    at = (0, 0)
    while at in chosen:
        at = chosen[at]
        path.append(at)
    return path


def _step_cost(written: Sequence[str], spoken: Sequence[SpokenWord]) -> float:
    """What speaks against `spoken` being just the words `written`, their lengths aside."""
    is_number = any(char.isdigit() for char in written[0])
    part_cost = 0.0 if is_number else _MERGE_COST * (len(spoken) - 1)
    sign = written[-1].rstrip("\"'”’»)]")[-1:]
    if (sign in _PAUSES) == spoken[-1].before_pause:
        pause_cost = 0.0
    else:
        pause_cost = _FULL_STOP_COST if sign == "." else _PAUSE_COST
    return _MERGE_COST * (len(written) - 1) + part_cost + pause_cost


def _letters(word: str) -> int:
    """The length of a word or of its phonemes; stress, length and other marks do not count."""
    if any(char.isdigit() for char in word):
        said = word.rstrip(".")
        return sum(
            _DIGIT_LETTERS.get(char, _OTHER_DIGIT_LETTERS if char.isdigit() else char.isalpha()) for char in said
        )
    return sum(category(char) in ("Ll", "Lu", "Lo") for char in word) or 1
