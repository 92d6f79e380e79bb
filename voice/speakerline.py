"""The way out, common to all ports: the event loop writes a reply, the device's thread pulls it block by block.

Implements `voice.seams.Speaker`. What is said comes from `voice.player`; opening a device and calling `pull` is left to
the ports. The counters are the truth about what a person heard, so they are exact: samples that were only queued, or
zeros that filled a gap, never count.

Why no lock is needed: each field has one writer. The device's thread assigns `_taken`, `_claim` and the block clock,
the event loop assigns `_end` and `_fade`; samples are copied before `_end` or `_taken` says so, and the interpreter's
global lock orders the assignments. The one conflict, taking sound back while a pull is in progress, is settled by
announcing first and looking second on both sides: a pull announces in `_claim` how far it may go and then looks at
`_end`; `flush` announces the new `_end` and then looks at `_claim`. So either the pull saw the new end, or `flush` sees
the claim and moves the end behind it. Nothing at or past `_end` is ever read, so the next utterance written there is
safe.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voice.blockclock import BlockClock
from voice.messages import Pcm
from voice.resample import StreamResampler
from voice.ring import SampleRing

_FADE_S = 0.005
"""Long enough that the cut makes no click, short enough that with a device block of 10 ms all is silent in 15 ms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fade:
    """Gains for the device positions `[start, stop)`, falling to 0; published whole by a single assignment."""

    start: int
    stop: int
    gains: NDArray[np.float32]


class SpeakerLine:
    """A bounded ring that a device drains. Full: `write` takes only what fits.

    Counts of `write`, `written`, `heard` and `flush` are samples at `rate_hz`; inside, positions are samples at the
    device's rate: position p of the device plays the caller's sample p * rate_hz / device_rate_hz.
    """

    def __init__(
        self,
        rate_hz: int,
        *,
        device_rate_hz: int | None = None,
        ring_s: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.rate_hz = rate_hz
        self.pulls = 0
        """Blocks pulled since creation: a device that is alive makes this grow."""
        self.underruns = 0
        """How often the ring ran dry while more sound was expected."""
        self._device_rate_hz = device_rate_hz or rate_hz
        self._now_s = clock
        self._ring = SampleRing(int(ring_s * self._device_rate_hz))
        self._clock = BlockClock(self._device_rate_hz)
        self._resampler = StreamResampler(rate_hz, self._device_rate_hz)
        self._written = 0
        self._expecting = False
        self._end = 0
        self._fade = _Fade(start=0, stop=0, gains=np.zeros(0, np.float32))
        self._taken = 0
        self._claim = 0
        self._sounding = False

    # The event loop's side --------------------------------------------------------------------------------------------

    @property
    def expecting(self) -> bool:
        """More sound of this utterance is coming: running dry is an underrun. Setting it to False ends the utterance,
        and what a resampler held back of it is played."""
        return self._expecting

    @expecting.setter
    def expecting(self, more: bool) -> None:
        if self._expecting and not more:
            self._append(self._resampler.push(np.zeros(0, np.int16), last=True))
            self._pad_to(self._device_position(self._written))
        self._expecting = more

    def write(self, samples: Pcm) -> int:
        """Append samples, shape (n,); return how many fitted."""
        room_end = (self._taken + self._ring.capacity) * self.rate_hz // self._device_rate_hz
        n = max(0, min(len(samples), room_end - self._written))
        self._written += n
        if n:
            self._append(self._resampler.push(samples[:n]))
        return n

    def written(self) -> int:
        """Samples accepted since creation, less those dropped by `flush`."""
        return self._written

    def heard(self) -> int:
        """Samples that have left the converter by now, on the count of `written`."""
        passed = self._clock.passed(self._now_s())
        return min(self._written, passed * self.rate_hz // self._device_rate_hz)

    def heard_at_s(self, sample: int) -> float | None:
        """Monotonic time at which `sample` leaves the converter; None while the device has not taken it."""
        position = self._device_position(sample)
        return self._clock.time_of(position) if position < self._taken else None

    def flush(self) -> int:
        """Drop what the device has not taken, but for 5 ms of fade-out; return the new `written`: what will be heard.

        A pull in progress plays its block to the end and the fade comes after it. Nothing is `expecting` any more.
        """
        self._resampler.reset()
        self._expecting = False
        end, fade = self._end, self._fade
        claim = -1
        while (latest := self._claim) > claim:  # a second round only if a pull began in between
            claim = latest
            stop = self._cut(claim, end, fade)
        self._written = min(self._written, -(-stop * self.rate_hz // self._device_rate_hz))
        self._pad_to(self._device_position(self._written))
        return self._written

    def _cut(self, claim: int, end: int, fade: _Fade) -> int:
        """End the sound a fade after `claim`; `end` and `fade` are those before the flush. Returns the new end."""
        if claim < fade.stop:  # still fading since an earlier flush: all that follows goes
            stop = fade.stop
        else:
            start = min(end, claim)  # a pull claims what it is asked for, even where there is less
            stop = min(end, claim + int(_FADE_S * self._device_rate_hz))
            gains = np.linspace(1, 0, stop - start, endpoint=False, dtype=np.float32)
            self._fade = _Fade(start=start, stop=stop, gains=gains)
        self._end = stop
        return stop

    def _device_position(self, sample: int) -> int:
        return -(-sample * self._device_rate_hz // self.rate_hz)

    def _append(self, sound: Pcm) -> None:
        sound = sound[: self._device_position(self._written) - self._end]  # a resampler may round up
        self._ring.copy_in(self._end, sound)
        self._end += len(sound)

    def _pad_to(self, position: int) -> None:
        """Keep the two counts aligned: at most a few samples, where a rate is not a multiple of the other."""
        self._append(np.zeros(max(0, position - self._end), np.int16))

    # The device's side ------------------------------------------------------------------------------------------------

    def pull(self, out: Pcm, dac_time_s: float) -> None:
        """Fill `out`, shape (n,), any stride, with what leaves the converter from `dac_time_s` on; silence where the
        ring is dry. Device thread only: copies and counts."""
        taken = self._taken
        self._claim = taken + len(out)
        n = min(len(out), self._end - taken)  # read only after the claim, and before the fade: see the top
        fade = self._fade
        self._ring.copy_out(taken, out[:n])
        out[n:] = 0
        if taken < fade.stop and taken + n > fade.start:
            self._apply(fade, taken, out[:n])
        if n:
            self._clock.log(taken, n, dac_time_s)
        if n < len(out) and self._sounding and self._expecting:
            self.underruns += 1
        self._sounding = n == len(out)
        self._taken = taken + n
        self._claim = taken + n
        self.pulls += 1

    def _apply(self, fade: _Fade, taken: int, out: Pcm) -> None:
        first, last = max(taken, fade.start), min(taken + len(out), fade.stop)
        fading = out[first - taken : last - taken]
        np.multiply(fading, fade.gains[first - fade.start : last - fade.start], out=fading, casting="unsafe")
