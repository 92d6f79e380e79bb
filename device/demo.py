"""The demonstration: what `familiar talk` does where there is neither sound nor a terminal. It ends by itself.

A bundled recording is spoken to the character in real time, the answer is written to a WAV file, and the timeline of
the turn is printed. It is not remembered: a demonstration is not a part of anybody's conversation.
"""

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path

from device.companion import Places
from device.display import open_display
from device.recorded import converse_with_recording
from device.settings import Settings
from device.timeline import render, stages, turn_events
from device.trace import Trace, Value
from models.character import Character
from voice.wav import read_wav

RECORDING = Path(__file__).parent / "data" / "question.wav"
"""The question "Will you go to the moon with me?", spoken by eSpeak NG (voice en-us+f2, 140 words a minute), 16 kHz."""

FIRST_TURN = 1
ANSWER_NAME = "familiar-demo.wav"


async def demonstrate(
    character: Character, settings: Settings, where: Places, *, trace_path: Path | None, as_json: bool
) -> None:
    """Run the demonstration; the answer goes to `familiar-demo.wav` in this folder."""
    answer = Path.cwd() / ANSWER_NAME
    forgetful = replace(settings, memory=replace(settings.memory, enabled=False))
    records: list[dict[str, Value]] = []
    with Trace(trace_path, records.append) as trace, open_display(character.name, as_json=as_json) as display:
        await converse_with_recording(
            read_wav(RECORDING), answer, character, forgetful, where, trace=trace, display=display
        )
    steps = stages(turn_events(records, FIRST_TURN))
    if as_json:
        timeline = [asdict(step) for step in steps]
        sys.stdout.write(json.dumps({"event": "demonstration", "answer": str(answer), "timeline": timeline}) + "\n")
    else:
        sys.stdout.write(f"\n{render(steps)}\n\nThe answer is in {answer}\n")
