"""The timeline of a turn: from the events of a trace to rows that show who took which milliseconds.

Pure: takes the records that `device.trace` hands out, gives rows to print. Used by the demonstration and by
`familiar bench turn`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from device.trace import Value

STAGES = (
    ("speech_ended", "the last voiced sample"),
    ("turn_committed", "silence that ended the turn"),
    ("asr_final", "recognition still to be waited for"),
    ("recall_done", "memory"),
    ("prompt_ready", "prefill still to be waited for"),
    ("first_token", "first token"),
    ("first_clause", "words of the first clause"),
    ("first_audio_queued", "synthesis of the first clause"),
    ("first_audio_heard", "sound device"),
)
"""The events between a person's last sound and the character's first, in order, and what the time before each was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One step of a turn: when it was reached after the person's last sound, and how long it took."""

    event: str
    meaning: str
    at_ms: float
    took_ms: float


def turn_events(records: Iterable[Mapping[str, Value]], turn_id: int) -> dict[str, float]:
    """The times of one turn's events in monotonic seconds; of events that came twice, the later one."""
    times = {}
    for record in records:
        time_s = record["t_s"]
        if record["turn"] == turn_id and isinstance(time_s, float | int):
            times[str(record["event"])] = float(time_s)
    return times


def stages(events: Mapping[str, float]) -> tuple[Stage, ...]:
    """The steps of a turn that was answered aloud; empty if it was not."""
    if any(event not in events for event, _ in STAGES):
        return ()
    start_s = events["speech_ended"]
    return tuple(
        Stage(
            event=event,
            meaning=meaning,
            at_ms=(events[event] - start_s) * 1e3,
            took_ms=(events[event] - events[before]) * 1e3,
        )
        for (before, _), (event, meaning) in pairwise(STAGES)
    )


def render(rows: Iterable[Stage], width: int = 28) -> str:
    """The steps as lines of at most 80 columns: when, how long, a bar, and what it was."""
    steps = list(rows)
    if not steps:
        return "No turn was answered aloud."
    scale = width / max(steps[-1].at_ms, 1.0)
    lines = [f"{'at ms':>7} {'took':>7}"]
    for step in steps:
        before = min(width - 1, max(0, round((step.at_ms - step.took_ms) * scale)))
        bar = " " * before + "█" * max(1, round(step.took_ms * scale))
        lines.append(f"{step.at_ms:7.0f} {step.took_ms:7.1f} {bar[:width]:<{width}} {step.meaning}")
    return "\n".join(lines)
