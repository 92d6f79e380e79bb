"""Turn-taking: when a person begins to speak, pauses, goes on and has finished, from one speech probability per frame.

Probabilities come from `voice.vad` by way of `voice.listener`, which acts on the events. Pure: no audio, no clock; time
is the position of the frames, so a recording gives the same turns at any speed. What was said is left to `voice.seams`'
Transcriber; whether a silence ends a thought is judged by its length alone.
"""

from collections import deque
from dataclasses import dataclass

from voice.messages import (
    FRAME_SAMPLES,
    MIC_RATE_HZ,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
    TurnEnded,
    TurnEvent,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnSettings:
    """When speech counts. Times act in whole frames of 32 ms, rounded up. Raises ValueError naming what is wrong."""

    speech_on: float = 0.5
    """Probability from which a frame is voiced: what Silero recommends for speech in mixed noise."""

    speech_off: float = 0.35
    """Probability down to which a frame stays voiced while someone speaks (Silero: 0.15 below), so that the weak end
    of a word does not flicker."""

    start_ms: int = 96
    """Voiced time that begins a turn: three frames among the last four. Shorter is a click or a cough's attack; the
    shortest words ("no") are voiced for about 100 ms."""

    interrupt_start_ms: int = 128
    """The same while the character speaks: longer, because an echo or a click must not silence it, and as long as an
    answer can go on over a person who interrupts without being rude: silence follows within 250 ms of their first
    sound."""

    resume_ms: int = 64
    """Voiced time that ends a pause within a turn: shorter, because the person is known to be speaking; not one frame,
    because each resumption makes a recognition under way worthless."""

    pause_ms: int = 200
    """Silence after which the words so far are worth recognising: longer than the closure of a stop consonant (up to
    about 150 ms), shorter than the 250 ms that listeners notice as a pause."""

    hangover_ms: int = 550
    """Silence that ends a turn: longer than most pauses within a sentence, still short of an awkward one."""

    preroll_ms: int = 320
    """Audio before the first voiced frame that belongs to the turn: the unvoiced onset (s, f, h) of the first word."""

    max_turn_s: float = 29.0
    """Length from its first voiced frame on at which a turn is ended by force: with the pre-roll and the frame that
    notices it still within Whisper's window of 30 s, past which it would cost a second decode. Bounds the memory a turn
    takes."""

    def __post_init__(self) -> None:
        if not 0 < self.speech_off <= self.speech_on <= 1:
            raise ValueError(
                f"speech_off = {self.speech_off} and speech_on = {self.speech_on}: 0 < speech_off <= speech_on <= 1"
            )
        for name in ("start_ms", "interrupt_start_ms", "resume_ms", "pause_ms"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} = {getattr(self, name)}: must be more than 0")
        if self.preroll_ms < 0:
            raise ValueError(f"preroll_ms = {self.preroll_ms}: must not be negative")
        if self.hangover_ms < self.pause_ms:
            raise ValueError(f"hangover_ms = {self.hangover_ms}: must be at least pause_ms = {self.pause_ms}")
        onset_ms = max(self.start_ms, self.interrupt_start_ms)
        if not 1000 * self.max_turn_s > onset_ms + self.hangover_ms:
            raise ValueError(
                f"max_turn_s = {self.max_turn_s}: must be more than hangover_ms = {self.hangover_ms} and the longer of "
                f"start_ms and interrupt_start_ms = {onset_ms} together"
            )
        if self.max_turn_s > 600:
            raise ValueError(f"max_turn_s = {self.max_turn_s}: must be at most 600")


@dataclass(slots=True)
class _Turn:
    """The open turn. `voiced` is the state of the hysteresis; `paused` means that SpeechPaused was reported."""

    turn_id: int
    at_sample: int
    last_voiced_sample: int
    revision: int = 0
    voiced: bool = True
    paused: bool = False


class TurnTaker:
    """The state of one conversation's turns. Turn ids count from 1."""

    def __init__(self, settings: TurnSettings | None = None) -> None:
        self.settings = settings or TurnSettings()
        self._turn: _Turn | None = None
        self._n_turns = 0
        self._end_sample: int | None = None
        self._floor_sample = 0
        """No turn may claim audio before this: it is another turn's, or was never there."""
        longest_ms = max(self.settings.start_ms, self.settings.interrupt_start_ms, self.settings.resume_ms)
        self._candidates: deque[int] = deque(maxlen=_frames(longest_ms))
        """Where recent voiced frames began that are not yet part of speech."""

    def push(self, end_sample: int, probability: float, *, speaking: bool = False) -> tuple[TurnEvent, ...]:
        """What the frame that ends at `end_sample` changes; `speaking` while the character speaks.

        Raises ValueError for a frame that does not lie behind the last one. A gap between them counts as silence.
        """
        start_sample = end_sample - FRAME_SAMPLES
        if self._end_sample is None:
            self._floor_sample = start_sample
        elif start_sample < self._end_sample:
            raise ValueError(f"a frame from {start_sample} on follows one that ended at {self._end_sample}")
        self._end_sample = end_sample
        if self._turn is None:
            return self._in_silence(end_sample, probability, speaking=speaking)
        if self._turn.paused:
            return self._in_pause(self._turn, end_sample, probability)
        return self._in_speech(self._turn, end_sample, probability)

    def finish(self) -> tuple[TurnEvent, ...]:
        """There will be no more frames: end the open turn, if any, by force."""
        return self._end_turn(self._turn, forced=True) if self._turn else ()

    def _in_silence(self, end_sample: int, probability: float, *, speaking: bool) -> tuple[TurnEvent, ...]:
        if probability < self.settings.speech_on:
            return ()
        confirm_ms = self.settings.interrupt_start_ms if speaking else self.settings.start_ms
        at_sample = self._onset(end_sample, confirm_ms)
        if at_sample is None:
            return ()
        self._n_turns += 1
        self._turn = _Turn(self._n_turns, at_sample, end_sample)
        preroll_sample = max(at_sample - _samples(self.settings.preroll_ms), self._floor_sample)
        return (SpeechStarted(turn_id=self._n_turns, revision=0, at_sample=at_sample, preroll_sample=preroll_sample),)

    def _in_speech(self, turn: _Turn, end_sample: int, probability: float) -> tuple[TurnEvent, ...]:
        turn.voiced = probability >= (self.settings.speech_off if turn.voiced else self.settings.speech_on)
        if turn.voiced:
            turn.last_voiced_sample = end_sample
        return self._silence_events(turn, end_sample, voiced=turn.voiced)

    def _in_pause(self, turn: _Turn, end_sample: int, probability: float) -> tuple[TurnEvent, ...]:
        voiced = probability >= self.settings.speech_on
        at_sample = self._onset(end_sample, self.settings.resume_ms) if voiced else None
        if at_sample is None:
            return self._silence_events(turn, end_sample, voiced=voiced)
        turn.revision += 1
        turn.last_voiced_sample = end_sample
        turn.voiced, turn.paused = True, False
        resumed = SpeechResumed(turn_id=turn.turn_id, revision=turn.revision, at_sample=at_sample)
        return (resumed, *self._silence_events(turn, end_sample, voiced=True))

    def _onset(self, end_sample: int, confirm_ms: int) -> int | None:
        """Where speech began, once `confirm_ms` of the time up to `end_sample`, plus a third, was voiced.

        The third forgives the gap inside a short word: one frame in four, as the networks flicker there.
        """
        self._candidates.append(end_sample - FRAME_SAMPLES)
        needed = _frames(confirm_ms)
        earliest = end_sample - (needed + -(-needed // 3)) * FRAME_SAMPLES
        recent = [start_sample for start_sample in self._candidates if start_sample >= earliest]
        if len(recent) < needed:
            return None
        self._candidates.clear()
        return recent[0]

    def _silence_events(self, turn: _Turn, end_sample: int, *, voiced: bool) -> tuple[TurnEvent, ...]:
        """Pause and end, if the silence is long enough for them. A voiced frame, though unconfirmed, may be the person
        going on: the end waits for the next one."""
        silence = end_sample - turn.last_voiced_sample
        if not voiced and silence >= _samples(self.settings.hangover_ms):
            return self._end_turn(turn, forced=False)
        if end_sample - turn.at_sample >= self.settings.max_turn_s * MIC_RATE_HZ:
            return self._end_turn(turn, forced=True)
        if not turn.paused and silence >= _samples(self.settings.pause_ms):
            return (self._pause(turn),)
        return ()

    def _pause(self, turn: _Turn) -> SpeechPaused:
        turn.paused = True
        self._candidates.clear()
        return SpeechPaused(turn_id=turn.turn_id, revision=turn.revision, last_voiced_sample=turn.last_voiced_sample)

    def _end_turn(self, turn: _Turn, *, forced: bool) -> tuple[TurnEvent, ...]:
        paused = () if turn.paused else (self._pause(turn),)
        self._candidates.clear()
        self._turn = None
        # The next turn may have the silence since, but no voice of this one.
        self._floor_sample = turn.last_voiced_sample
        ended = TurnEnded(
            turn_id=turn.turn_id,
            revision=turn.revision,
            last_voiced_sample=turn.last_voiced_sample,
            forced=forced,
        )
        return (*paused, ended)


def _samples(duration_ms: int) -> int:
    return duration_ms * MIC_RATE_HZ // 1000


def _frames(duration_ms: int) -> int:
    return -(-_samples(duration_ms) // FRAME_SAMPLES)
