"""Which words of a clause have been said after so many samples: pure arithmetic for `voice.player`.

A synthesizer's marks say how much text has been said at some samples: per phoneme, per word, or only now and then.
Words between marks, and all words of a synthesizer without marks, are placed in proportion to their letters.
"""

from bisect import bisect_left
from collections.abc import Sequence

from voice.messages import Clause, WordMark

HEARD_SHARE = 0.75
"""A word counts as heard once this share of it was played. Listeners recognise a word within a sentence before it ends
(the gating experiments since Grosjean 1980), and marks are a few tens of milliseconds uncertain; but a word that was
cut off in the middle was not said."""


def word_ends(clause: Clause, marks: Sequence[WordMark], n_samples: int) -> tuple[int, ...]:
    """For each word of `clause` the sample, counted from the clause's start, at which it has been said.

    `n_samples` is the length of the clause's sound, or an estimate while that is not known. The ends never fall and
    never pass `n_samples`; the last word ends there unless a mark says that it ended before.
    """
    known = _rising(marks, len(clause.speech), n_samples)
    all_chars = [chars for chars, _ in known]
    ends: list[int] = []
    for chars in _word_chars(clause):
        at = bisect_left(all_chars, chars)
        above = known[at]
        if above[0] == chars or at == 0:
            ends.append(above[1])
            continue
        below = known[at - 1]
        share = (chars - below[0]) / (above[0] - below[0])
        ends.append(below[1] + round(share * (above[1] - below[1])))
    return tuple(ends)


def heard_end(clause: Clause, ends: Sequence[int], n_heard: int) -> int | None:
    """The offset in the reply just past the last word that counts as heard after `n_heard` samples of the clause.

    None before the first; past the whole clause after its last word.
    """
    offset = None
    start = 0
    for word, end in zip(clause.words, ends, strict=True):
        if n_heard < start + HEARD_SHARE * (end - start):
            return offset
        offset, start = word.end, end
    return clause.end


def _word_chars(clause: Clause) -> list[int]:
    """For each word, how many characters of the clause's speech have been said with it, spaces after it not
    included."""
    text = "".join(word.text for word in clause.words)
    leading = len(text) - len(text.lstrip())
    counts: list[int] = []
    end = said = 0
    for word in clause.words:
        visible = len(word.text.rstrip())
        if visible:
            said = end + visible
        counts.append(max(0, said - leading))
        end += len(word.text)
    return counts


def _rising(marks: Sequence[WordMark], n_chars: int, n_samples: int) -> list[tuple[int, int]]:
    """Points (characters, samples) from (0, 0) to the end of the text, rising in the first and never falling in the
    second, whatever a synthesizer sends."""
    points = [(0, 0)]
    for mark in marks:
        chars, sample = min(mark.chars, n_chars), min(mark.sample, n_samples)
        if chars > points[-1][0]:
            points.append((chars, max(sample, points[-1][1])))
    if points[-1][0] < n_chars:
        points.append((n_chars, n_samples))
    return points
