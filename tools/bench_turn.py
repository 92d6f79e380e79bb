"""`familiar bench turn`: where the milliseconds of a spoken turn go, and what the bare engines need for the same work.

One process, one machine, one run: ten spoken turns and some interruptions (`tools.spoken_run`), the bare engines doing
the same work in sequence (`tools.bare_engines`), and thirty written turns for the growth of the first token's time.
Memory of the run lies in a temporary folder; models come from the model store.
"""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from math import isnan, nan
from pathlib import Path
from typing import Any

from device.companion import Places, chosen_character, engine_settings, open_dialogue, places, prompt_builder
from device.engines import choose_model, choose_synthesizer, choose_transcriber
from device.settings import Settings
from models.character import Character
from models.engine import LlamaEngine
from models.messages import Finished, Piece, Prefilled
from tools.bare_engines import BareEngines, BareTurn, SaidTurn
from tools.spoken_run import Spoken, Turn, person_speaks, run_spoken
from tools.stats import Spread
from voice.messages import Pcm

QUESTIONS = (
    "Hello. What is your name?",
    "Do you like to play in the garden?",
    "What do you want to do today?",
    "Can you tell me about the moon?",
    "What is the best thing you know?",
    "Where do you sleep at night?",
    "Do you have a friend?",
    "What makes you happy?",
    "Why is the sky blue?",
    "Will you sing with me?",
)
INTERRUPTION = "No, wait. Tell me about the sea."
WRITTEN = (
    "Hello, my name is Ada.",
    "I am six years old.",
    "My dog is called Rex.",
    "Today we went to the lake.",
    "The water was very cold.",
    "Have you ever been swimming?",
    "My brother can dive.",
    "Tell me about the stars.",
    "I like drawing horses.",
    "What colour are you?",
    "We had soup for lunch.",
    "Do you get hungry?",
    "My favourite book is about a bear.",
    "Can you count to five?",
    "It is raining outside.",
    "I am a little bit sad.",
    "Can you make me laugh?",
    "My grandma bakes bread.",
    "What is your favourite game?",
    "Let us play hide and seek.",
    "I found a red leaf.",
    "Where do birds sleep?",
    "Tomorrow is my birthday.",
    "I want a new bicycle.",
    "Do you know a song?",
    "My tooth is wobbly.",
    "What do foxes eat?",
    "I am getting tired.",
    "Will you stay with me?",
    "Good night, Pip.",
)
"""Thirty things that somebody may say one after another."""

COLUMNS = 80

SEED = 1
"""Both runs draw the same words, so that the engines have the same work."""

TARGETS = {
    "ratio_p50": 1.10,
    "overhead_p95_ms": 20.0,
    "barge_in_p95_ms": 250.0,
    "first_token_growth": 1.3,
    "resident_mb": 250.0,
}
"""The figure must not be larger."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All figures of a run. `stages_ms` and `bare_ms` map a stage to its spread; `tokens` has one entry per turn.

    `ratio` is voice to voice over (endpoint wait + bare engines in sequence), turn by turn. `overhead_ms` is what our
    run took on top of the engines that were still to be waited for once the turn had ended. What was not measured is
    NaN, and has no entry in `within_target`.
    """

    engines: Mapping[str, str]
    turns: int
    stages_ms: Mapping[str, Spread]
    bare_ms: Mapping[str, Spread]
    ratio: Mapping[str, float]
    overhead_ms: Spread
    tokens: Mapping[str, Sequence[int]]
    barge_in_ms: Spread
    first_token_ms: Mapping[str, float]
    resident_mb: float
    within_target: Mapping[str, bool]


def run_bench(settings: Settings, *, turns: int, interruptions: int, say: Callable[[str], None]) -> Report:
    """Run it all; `say` gets a line at each step. Takes about ten seconds per turn, as talking does."""
    character = chosen_character(settings)
    settings = replace(settings, think=replace(settings.think, seed=SEED))
    sounds = person_speaks((*QUESTIONS, INTERRUPTION))
    questions = [sounds[i % len(QUESTIONS)] for i in range(turns)]
    with tempfile.TemporaryDirectory() as folder:
        where = replace(places(os.environ), memory=Path(folder) / "memory.sqlite3")
        _make_memory(where.memory)
        say(f"{turns} spoken turns and {interruptions} interruptions, in real time ...")
        spoken = asyncio.run(run_spoken(character, settings, where, questions, sounds[-1], interruptions))
        say("the bare engines, doing the same work in sequence ...")
        bare = _bare(character, settings, where, spoken.turns, questions)
        say(f"{len(WRITTEN)} written turns ...")
        first_token_s = asyncio.run(
            _written(character, settings, replace(where, memory=Path(folder) / "written.sqlite3"))
        )
    return report(spoken, bare, first_token_s, {"model": choose_model(settings, where.store).name})


def _make_memory(path: Path) -> None:
    """In another process, as at every start but a companion's very first: making the schema imports 9 MB of tools that
    are not needed again, and the memory of this process is one of the figures."""
    make = "import pathlib, sys; from memory.store import MemoryStore; MemoryStore(pathlib.Path(sys.argv[1])).close()"
    subprocess.run([sys.executable, "-c", make, str(path)], check=True)


def report(
    spoken: Spoken, bare: Sequence[BareTurn], first_token_s: Sequence[float], engines: Mapping[str, str]
) -> Report:
    """The figures of a run. Pure."""
    turns = spoken.turns
    ratios = [turn.total_s / (turn.endpoint_s + alone.total_s) for turn, alone in zip(turns, bare, strict=True)]
    ratio = Spread.of_seconds([value / 1e3 for value in ratios])
    overhead = Spread.of_seconds([_overhead_s(turn, alone) for turn, alone in zip(turns, bare, strict=True)])
    barge_in = Spread.of_seconds(spoken.barge_in_s)
    early, late = _median(first_token_s[1:4]), _median(first_token_s[-3:])
    figures = {
        "ratio_p50": ratio.p50_ms,
        "overhead_p95_ms": overhead.p95_ms,
        "barge_in_p95_ms": barge_in.p95_ms,
        "first_token_growth": late / early,
        "resident_mb": spoken.resident_mb,
    }
    return Report(
        engines={**engines, "ears": spoken.ears, "voice": spoken.voice},
        turns=len(turns),
        stages_ms=_stages(turns),
        bare_ms={
            "asr": Spread.of_seconds([turn.asr_s for turn in bare]),
            "prefill": Spread.of_seconds([turn.prefill_s for turn in bare]),
            "first_clause": Spread.of_seconds([turn.first_clause_s for turn in bare]),
            "synthesis": Spread.of_seconds([turn.synthesis_s for turn in bare]),
            "total": Spread.of_seconds([turn.total_s for turn in bare]),
        },
        ratio={"p50": ratio.p50_ms, "p95": ratio.p95_ms},
        overhead_ms=overhead,
        tokens={
            "reused": [turn.n_reused for turn in turns],
            "prefilled": [turn.n_prefilled for turn in turns],
        },
        barge_in_ms=barge_in,
        first_token_ms={"early": early * 1e3, "turn_30": late * 1e3, "growth": late / early},
        resident_mb=spoken.resident_mb,
        within_target={name: figures[name] <= most for name, most in TARGETS.items() if not isnan(figures[name])},
    )


def _stages(turns: Sequence[Turn]) -> dict[str, Spread]:
    between = {
        "asr_wait": ("turn_committed", "asr_final"),
        "prompt_wait": ("asr_final", "prompt_ready"),
        "first_token": ("prompt_ready", "first_token"),
        "first_clause": ("first_token", "first_clause"),
        "synthesis": ("first_clause", "first_audio_queued"),
        "sound_device": ("first_audio_queued", "first_audio_heard"),
    }
    spreads = {"endpoint_wait": Spread.of_seconds([turn.endpoint_s for turn in turns])}
    for name, (earlier, later) in between.items():
        spreads[name] = Spread.of_seconds([turn.between_s(earlier, later) for turn in turns])
    spreads["total"] = Spread.of_seconds([turn.total_s for turn in turns])
    # What happened inside the endpoint wait, where nobody waited for it.
    spreads["asr"] = Spread.of_seconds([turn.asr_s for turn in turns])
    spreads["recall"] = Spread.of_seconds([turn.recall_s for turn in turns])
    spreads["prefill"] = Spread.of_seconds([turn.prefill_s for turn in turns])
    return spreads


def _overhead_s(turn: Turn, alone: BareTurn) -> float:
    """What is left of the wait after the end of the turn when the engines' own share is taken off.

    Recognition and prefill count only as far as they had to be waited for; decoding and synthesis count what they take
    with the machine to themselves, so that slowing each other down is overhead too.
    """
    recognition_s = min(turn.between_s("turn_committed", "asr_final"), turn.asr_s)
    prompt_s = min(turn.between_s("asr_final", "prompt_ready"), turn.recall_s + turn.prefill_s)
    return turn.total_s - turn.endpoint_s - recognition_s - prompt_s - alone.first_clause_s - alone.synthesis_s


def _median(values: Sequence[float]) -> float:
    return statistics.median_low(values) if values else nan


def _bare(
    character: Character, settings: Settings, where: Places, turns: Sequence[Turn], sounds: Sequence[Pcm]
) -> list[BareTurn]:
    said = [
        SaidTurn(sound=sound, text=turn.text, reply=turn.reply, n_first_clause=turn.n_first_clause)
        for turn, sound in zip(turns, sounds, strict=True)
    ]
    path = choose_model(settings, where.store).path
    with LlamaEngine(path, engine_settings(settings)) as engine:
        return BareEngines(
            transcriber=choose_transcriber(settings, where.store).make(),
            engine=engine,
            prompts=prompt_builder(engine, character, settings),
            synthesizer=choose_synthesizer(settings, where.store).make(),
        ).replay(said)


async def _written(character: Character, settings: Settings, where: Places) -> list[float]:
    """Seconds from the words to the first token, for each turn of one written conversation."""
    first_token_s = []
    async with open_dialogue(character, settings, where) as opened:
        for text in WRITTEN:
            begun_s = time.monotonic()
            prepared = await opened.dialogue.prepare(text)
            pieces: list[Piece] = []
            async with aclosing(opened.dialogue.reply(prepared)) as reply:
                async for piece in reply:
                    if isinstance(piece, Prefilled):
                        continue
                    if not pieces:
                        first_token_s.append(time.monotonic() - begun_s)
                    if isinstance(piece, Finished):
                        break
                    pieces.append(piece)
            said = sum(len(piece.text) for piece in pieces)
            await opened.dialogue.record(text, pieces, said, interrupted=False)
            await opened.dialogue.settle()
    return first_token_s


def as_json(result: Report) -> str:
    """The report for programs; null for what was not measured."""
    return json.dumps(_without_nan(asdict(result)), indent=2, allow_nan=False)


def as_text(result: Report) -> str:
    """The report for people, at most 80 columns."""
    lines = [f"{result.turns} turns"]
    lines += [f"{kind + ':':<8}{name}" for kind, name in result.engines.items()]
    lines.append("")
    lines.append(f"{'ms':<16}{'p50':>9}{'p95':>9}")
    lines += [_row(name, spread) for name, spread in result.stages_ms.items()]
    lines += ["", "the bare engines in sequence"]
    lines += [_row(name, spread) for name, spread in result.bare_ms.items()]
    lines.append("")
    for kind in ("prefilled", "reused"):
        counts = f"{kind} tokens per turn: {' '.join(map(str, result.tokens[kind]))}"
        lines += textwrap.wrap(counts, COLUMNS, subsequent_indent="    ")
    lines.append("")
    figures = {
        "ratio_p50": f"ours / (endpoint wait + bare engines)   {result.ratio['p50']:.2f}",
        "overhead_p95_ms": f"orchestration overhead, p95, ms         {result.overhead_ms.p95_ms:.1f}",
        "barge_in_p95_ms": f"speech over an answer to silence, p95   {result.barge_in_ms.p95_ms:.0f}",
        "first_token_growth": f"first token at turn 30 / turn 2         {result.first_token_ms['growth']:.2f}",
        "resident_mb": f"resident without models, MB             {result.resident_mb:.0f}",
    }
    for name, text in figures.items():
        verdict = "not measured"
        if name in result.within_target:
            verdict = f"{'within' if result.within_target[name] else 'ABOVE'} {TARGETS[name]:g}"
        lines.append(f"{text:<52}{verdict}")
    return "\n".join(lines)


def _row(name: str, spread: Spread) -> str:
    return f"{name:<16}{spread.p50_ms:>9.1f}{spread.p95_ms:>9.1f}"


def _without_nan(value: Any) -> Any:
    """The same tree with None in place of NaN, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and isnan(value) else value
