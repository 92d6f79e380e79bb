"""The vocabulary of `voice`: frozen messages that its parts and its users exchange.

Microphone positions are sample indices at 16 kHz since the port was opened (the audio clock); the port translates
them into monotonic seconds. Text offsets are Unicode code points into the reply as the model wrote it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MIC_RATE_HZ = 16_000
"""Every frame inside `voice` has this rate: what Silero VAD and Whisper were trained on."""

FRAME_SAMPLES = 512
"""Samples of one microphone frame (32 ms): the only size Silero VAD v5/v6 accepts at 16 kHz."""

Pcm = NDArray[np.int16]
"""Mono signed 16-bit samples, shape (n,)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MicFrame:
    """One frame from the microphone. `samples` has FRAME_SAMPLES values; `end_sample` is the index just past it."""

    samples: Pcm
    end_sample: int


# Turn-taking ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechStarted:
    """A person began to speak. `at_sample` is the first voiced sample; audio counts from `preroll_sample` on."""

    turn_id: int
    revision: int
    at_sample: int
    preroll_sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechPaused:
    """The first short silence: recognise what was said now, it is likely to be all. `last_voiced_sample` ends it."""

    turn_id: int
    revision: int
    last_voiced_sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechResumed:
    """The person went on before the turn ended: `revision` is the new one, work of older revisions is stale."""

    turn_id: int
    revision: int
    at_sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEnded:
    """The silence lasted for the whole hangover (or the turn hit its maximum, `forced`)."""

    turn_id: int
    revision: int
    last_voiced_sample: int
    forced: bool


TurnEvent = SpeechStarted | SpeechPaused | SpeechResumed | TurnEnded


# Recognition ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What was recognised. `text` is empty when nothing was; `audio_s` is the length of the audio it covers."""

    text: str
    audio_s: float


# Listening ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PartialText:
    """The words so far of someone who is still speaking, for a display: later ones may differ in every word."""

    turn_id: int
    revision: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a person said up to the last pause. Final ones are what was said; others may still be followed by more.

    `text` is empty when there were no words. `speech_ended_s` is the monotonic time at which the microphone heard the
    last voiced sample. `asr_s` is the time from the pause, at which recognition was asked for, to the words. `lost_s`
    is the length of audio that recognition never got because it was too far behind.
    """

    turn_id: int
    revision: int
    text: str
    final: bool
    audio_s: float
    speech_ended_s: float
    asr_s: float
    lost_s: float = 0.0


ListenerMessage = TurnEvent | PartialText | Heard


# Speaking -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word to be spoken: `text` as the synthesizer gets it, `end` the offset in the reply just past its source."""

    text: str
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosody:
    """How something is said, as factors of how the voice speaks by itself: `rate` of speech, `pitch` (fundamental
    frequency), `volume` (amplitude), and `variation` of melody and rhythm. What a voice cannot do it leaves out. Raises
    ValueError outside of 0.5 to 2: what lies further is no mood but another voice."""

    rate: float = 1.0
    pitch: float = 1.0
    volume: float = 1.0
    variation: float = 1.0

    def __post_init__(self) -> None:
        if not all(0.5 <= factor <= 2.0 for factor in (self.rate, self.pitch, self.volume, self.variation)):
            raise ValueError(f"the factors of a prosody lie from 0.5 to 2: {self}")


NEUTRAL = Prosody()
"""The voice as it is by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """A speakable piece of the reply covering `[start, end)` of its text. `words` is never empty."""

    words: tuple[Word, ...]
    start: int
    end: int

    @property
    def speech(self) -> str:
        """The text for the synthesizer. Words of scripts written without spaces carry no spaces of their own."""
        return "".join(word.text for word in self.words).strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Gesture:
    """A `*gesture*` taken out of the reply: what stood between the asterisks, and where it ended in the text."""

    name: str
    at: int


SpeechPart = Clause | Gesture


@dataclass(frozen=True, slots=True, kw_only=True)
class WordMark:
    """The first `chars` characters of a clause's speech have been said once `sample` samples of it are played."""

    chars: int
    sample: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechChunk:
    """A piece of synthesized sound. `marks` rise in both fields and count from the start of the whole clause;
    empty when the engine gives no timing."""

    samples: Pcm
    marks: tuple[WordMark, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechQueued:
    """The first sound of a reply was handed to the loudspeaker."""

    t_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeechHeard:
    """The first sound of a reply left the loudspeaker."""

    t_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureDue:
    """The words before this gesture have been heard: the body moves now."""

    gesture: Gesture
    t_s: float


MouthEvent = SpeechQueued | SpeechHeard | GestureDue
