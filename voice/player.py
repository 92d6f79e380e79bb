"""Plays one reply at a time, clause by clause, and knows what of it has been heard.

Takes synthesized clauses from `voice.mouth`, feeds them to a `Speaker` and maps the speaker's sample counter back to
the reply's text through `voice.alignment`. This is the playback cursor from which history, memory and gestures follow;
it asks the speaker and never its own queue.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from voice.alignment import heard_end, word_ends
from voice.messages import Clause, Pcm, WordMark
from voice.seams import Speaker

_LETTERS_PER_S = 14.0
"""Of unhurried English, spaces included: 150 words a minute. Only until the first clause has shown the voice's own."""

_WAIT_S = 0.1
"""Longest sleep for room in the speaker's ring, which holds far more than that, or for the last sample."""

_TAKE_S = 0.1
"""How long a device may take for its next block, ten times the usual, until a stopped reply is not waited for."""

_SETTLE_S = 0.002
"""Shortest sleep while waiting: a fifth of a device's usual block."""


@dataclass(slots=True, kw_only=True)
class _Sounding:
    """A clause on its way: where it began on the speaker's count, and the sound and marks of it so far."""

    clause: Clause
    start: int
    n_samples: int = 0
    marks: list[WordMark] = field(default_factory=list)
    complete: bool = False
    ends: tuple[int, ...] = ()
    """Of its words, once it is complete and was looked at: they change no more."""


class Player:
    """One reply at a time: `begin`, then `add` and `end_clause` for each clause in order, then `drained`.

    `stop` may come at any moment, also while another task waits in `add` or `drained`: both then return. Sound that
    comes after `stop` is dropped until the next `begin`. Event loop only.
    """

    def __init__(self, speaker: Speaker, clock: Callable[[], float] = time.monotonic) -> None:
        self._speaker = speaker
        self._clock = clock
        self._letters_per_s = _LETTERS_PER_S
        self._reply = 0
        self._open = False
        self._clauses: list[_Sounding] = []
        self._n_over = 0
        """How many of the clauses, from the first, have been heard to their end."""
        self._begin_sample = 0
        self._heard_end = 0
        self._first_heard_s: float | None = None

    @property
    def first_heard_s(self) -> float | None:
        """Monotonic time at which the reply's first sample left the speaker; None before that."""
        self._observe()
        return self._first_heard_s

    def begin(self) -> None:
        """Start a new reply, whose text offsets count from 0. Sound of an older one that still waits is heard first."""
        self._speaker.expecting = False
        self._reply += 1
        self._open = True
        self._clauses.clear()
        self._n_over = 0
        self._begin_sample = self._speaker.written()
        self._heard_end = 0
        self._first_heard_s = None

    async def add(self, clause: Clause, samples: Pcm, marks: tuple[WordMark, ...]) -> None:
        """Queue the next piece of `clause`, waiting while the speaker is full. `marks` count from the clause's
        start."""
        if not self._open:
            return
        reply = self._reply
        sounding = self._current(clause)
        sounding.marks.extend(marks)
        while self._open and self._reply == reply:
            n = self._speaker.write(samples)
            sounding.n_samples += n
            self._speaker.expecting = True
            samples = samples[n:]
            if not len(samples):
                return
            self._observe()
            await asyncio.sleep(min(_WAIT_S, len(samples) / self._speaker.rate_hz))

    def end_clause(self, clause: Clause) -> None:
        """All sound of `clause` has been added: its length is known now, and how fast this voice speaks."""
        if not self._open:
            return
        sounding = self._current(clause)
        sounding.complete = True
        if sounding.n_samples:
            self._letters_per_s = len(clause.speech) * self._speaker.rate_hz / sounding.n_samples

    async def drained(self) -> None:
        """Return when everything that was added has been heard. No more is to be added before the next `begin`."""
        self._speaker.expecting = False
        reply = self._reply
        while self._open and self._reply == reply:
            self._observe()
            left = self._speaker.written() - self._speaker.heard()
            if left <= 0:
                return
            await asyncio.sleep(min(_WAIT_S, max(_SETTLE_S, left / self._speaker.rate_hz)))

    def heard_end(self) -> int:
        """The offset in the reply's text just past the last word heard so far (`voice.alignment.HEARD_SHARE`)."""
        if self._open:
            self._advance(self._speaker.heard())
        return self._heard_end

    def stop(self) -> int:
        """Silence, now. Returns the offset just past the last word that was, or within milliseconds will be, heard."""
        if self._open:
            self._advance(self._speaker.flush())
            self._open = False
        return self._heard_end

    async def last_heard_s(self) -> float | None:
        """After `stop`: monotonic time at which the reply's last sample leaves the speaker, known once the device has
        taken it. None if none will, or if the device takes nothing any more."""
        last = self._speaker.written() - 1
        if last < self._begin_sample:
            return None
        limit_s = self._clock() + _TAKE_S
        while (heard_s := self._speaker.heard_at_s(last)) is None and self._clock() < limit_s:  # noqa: ASYNC110  a device's thread sets no event
            await asyncio.sleep(_SETTLE_S)
        return heard_s

    def _current(self, clause: Clause) -> _Sounding:
        if not self._clauses or self._clauses[-1].clause != clause:
            self._clauses.append(_Sounding(clause=clause, start=self._speaker.written()))
        return self._clauses[-1]

    def _observe(self) -> None:
        """Note when the reply began to be heard, while the speaker remembers: it keeps the times of recent blocks."""
        if self._first_heard_s is None and self._speaker.written() > self._begin_sample:
            heard_s = self._speaker.heard_at_s(self._begin_sample)
            if heard_s is not None and heard_s <= self._clock():
                self._first_heard_s = heard_s

    def _advance(self, heard: int) -> None:
        """Move the heard offset up to the speaker's count `heard`; never back, when an estimate proves too early."""
        for sounding in islice(self._clauses, self._n_over, None):
            if heard <= sounding.start:
                break
            ends = sounding.ends or word_ends(sounding.clause, sounding.marks, self._expected_samples(sounding))
            offset = heard_end(sounding.clause, ends, heard - sounding.start)
            self._heard_end = max(self._heard_end, offset or 0)
            if sounding.complete:
                sounding.ends = ends
                self._n_over += heard >= sounding.start + sounding.n_samples

    def _expected_samples(self, sounding: _Sounding) -> int:
        """The clause's length, estimated while it grows: from its own marks, else from the voice's rate so far."""
        if sounding.complete:
            return sounding.n_samples
        n_letters = len(sounding.clause.speech)
        estimate = n_letters / self._letters_per_s * self._speaker.rate_hz
        if sounding.marks and sounding.marks[-1].chars > 0:
            estimate = sounding.marks[-1].sample * n_letters / sounding.marks[-1].chars
        return max(sounding.n_samples, round(estimate))
