"""A program for `test_portaudio`: opens a PortAudioPort, plays a tone, hears what the microphone hears, and tells.

    python -m tests.voice.port_program SECONDS MIC.wav

Runs as a sub-process of the test, in the environment of its sound server. Prints one line `{"open": true}` when the
port is open and another in the end: its measurements, or what went wrong.
"""

import asyncio
import json
import sys
import time

import numpy as np

from voice.errors import AudioDeviceError
from voice.messages import MIC_RATE_HZ, Pcm
from voice.portaudio import PortAudioPort
from voice.speakerline import SpeakerLine
from voice.wav import WavWriter

SPEAKER_RATE_HZ = 22_050
TONE_HZ = 440
TONE_S = 1.0


async def main(seconds: float, mic_path: str) -> None:
    """Listen for `seconds`; after a quarter of them, play the tone."""
    try:
        tell(**await measure(seconds, mic_path))
    except AudioDeviceError as error:
        tell(error=str(error))


def tell(**answer: float | str | None) -> None:
    """One line for the test."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def measure(seconds: float, mic_path: str) -> dict[str, float | None]:
    """What `main` prints."""
    async with PortAudioPort(None, None, SPEAKER_RATE_HZ) as port:
        tell(open=True)
        playing = asyncio.create_task(_play(port.speaker, seconds / 4), name="tone")
        n_samples = 0
        with WavWriter(mic_path, MIC_RATE_HZ) as heard:
            while n_samples < seconds * MIC_RATE_HZ:
                frame = await port.read()
                assert frame is not None
                heard.append(frame.samples)
                n_samples = frame.end_sample
        return {
            "written_s": await playing,
            "first_heard_s": port.speaker.heard_at_s(0),
            "not_heard": port.speaker.written() - port.speaker.heard(),
            "mic_end_s": port.mic_time_s(n_samples),
            "overruns": port.overruns,
            "overflows": port.overflows,
            "underflows": port.underflows,
            "underruns": port.speaker.underruns,
        }


async def _play(speaker: SpeakerLine, after_s: float) -> float:
    """Play the tone and return when it was written."""
    await asyncio.sleep(after_s)
    t = np.arange(int(SPEAKER_RATE_HZ * TONE_S)) / SPEAKER_RATE_HZ
    tone: Pcm = (np.sin(2 * np.pi * TONE_HZ * t) * 10_000).astype(np.int16)
    written_s = time.monotonic()
    assert speaker.write(tone) == len(tone)
    return written_s


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2]))
