"""A program for `test_portaudio`: opens a PortAudioPort, plays a tone, hears what the microphone hears, tells the times.

    python -m tests.voice.port_program SECONDS MIC.wav

Runs as a sub-process of the test, in the environment of its sound server. Prints one line `{"open": true}` when the port
is open and another with its measurements in the end.
"""

import asyncio
import json
import sys
import time

import numpy as np

from voice.messages import MIC_RATE_HZ, Pcm
from voice.portaudio import PortAudioPort
from voice.speakerline import SpeakerLine
from voice.wav import WavWriter

SPEAKER_RATE_HZ = 22_050
TONE_HZ = 440
TONE_S = 1.0


async def main(seconds: float, mic_path: str) -> None:
    """Listen for `seconds`, of which the tone takes the second quarter."""
    async with PortAudioPort(None, None, SPEAKER_RATE_HZ) as port:
        print(json.dumps({"open": True}), flush=True)  # noqa: T201: the test reads it
        measured: dict[str, float | int | None] = {}
        with WavWriter(mic_path, MIC_RATE_HZ) as heard:
            async with asyncio.TaskGroup() as group:
                group.create_task(_play(port.speaker, seconds / 4, measured))
                n_samples = 0
                while n_samples < seconds * MIC_RATE_HZ:
                    frame = await port.read()
                    assert frame is not None
                    heard.append(frame.samples)
                    n_samples = frame.end_sample
        measured |= {
            "first_heard_s": port.speaker.heard_at_s(0),
            "all_heard": int(port.speaker.heard() == port.speaker.written()),
            "mic_end_s": port.mic_time_s(n_samples),
            "mic_samples": n_samples,
            "now_s": time.monotonic(),
            "overruns": port.overruns,
            "overflows": port.overflows,
            "underflows": port.underflows,
            "underruns": port.speaker.underruns,
        }
    print(json.dumps(measured), flush=True)  # noqa: T201


async def _play(speaker: SpeakerLine, after_s: float, measured: dict[str, float | int | None]) -> None:
    await asyncio.sleep(after_s)
    t = np.arange(int(SPEAKER_RATE_HZ * TONE_S)) / SPEAKER_RATE_HZ
    tone: Pcm = (np.sin(2 * np.pi * TONE_HZ * t) * 10_000).astype(np.int16)
    measured["written_s"] = time.monotonic()
    assert speaker.write(tone) == len(tone)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), sys.argv[2]))
