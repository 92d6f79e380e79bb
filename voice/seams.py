"""The seams of `voice`: what a microphone-and-speaker, a recogniser and a synthesizer must be able to do.

Implementations: `voice.portaudio`, `voice.fileport` (AudioPort); `voice.whisper`, `voice.sphinx` (Transcriber);
`voice.piper`, `voice.espeak` (Synthesizer). They are chosen in one place, `device.engines`.
"""

from collections.abc import Generator
from types import TracebackType
from typing import Protocol, Self

from voice.messages import NEUTRAL, MicFrame, Pcm, Prosody, SpeechChunk, Transcript


class Speaker(Protocol):
    """The way out: a bounded ring that a device drains at `rate_hz`. Used from the event loop only, never blocks."""

    rate_hz: int

    expecting: bool
    """Set by who writes: more sound of this utterance is coming, so that running dry is a fault. False ends it."""

    def write(self, samples: Pcm) -> int:
        """Append samples; return how many fitted (the rest is for the caller to offer again)."""
        ...

    def written(self) -> int:
        """Samples accepted since opening, less those dropped by `flush`."""
        ...

    def heard(self) -> int:
        """Samples that have left the speaker by now, on the count of `written`."""
        ...

    def heard_at_s(self, sample: int) -> float | None:
        """Monotonic time at which `sample` leaves the speaker; None while the device has not taken it."""
        ...

    def flush(self) -> int:
        """Drop what the device has not taken yet (faded, no click); return the new `written`: what will be heard."""
        ...


class AudioPort(Protocol):
    """One microphone and one speaker. An async context manager: entering opens, leaving closes and frees."""

    @property
    def speaker(self) -> Speaker: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    async def read(self) -> MicFrame | None:
        """The next frame, in order, none lost unless the port counts it as an overrun; None once the port is closed."""
        ...

    def mic_time_s(self, sample: int) -> float:
        """Monotonic time (`time.monotonic`) at which the microphone heard this sample."""
        ...


class Transcriber(Protocol):
    """A recogniser of one utterance at a time. Blocking; all calls come from one thread."""

    name: str

    def begin(self) -> None:
        """Forget everything and start a new utterance."""
        ...

    def feed(self, samples: Pcm) -> None:
        """Append 16 kHz audio. May follow a `result`, when the person went on."""
        ...

    def partial(self) -> str:
        """The words so far if they cost next to nothing, else an empty string."""
        ...

    def result(self) -> Transcript:
        """The words of everything fed since `begin`."""
        ...


class Synthesizer(Protocol):
    """A voice. Blocking; all calls come from one thread."""

    name: str
    sample_rate_hz: int

    def synthesize(self, speech: str, prosody: Prosody = NEUTRAL) -> Generator[SpeechChunk, None, None]:
        """Sound for one clause, piece by piece as it is ready, said in this manner as far as the voice can. Closing the
        generator early abandons the rest."""
        ...
