"""Replies begun while the end of a turn is still uncertain: are they there when it comes?

Runs the companion's own dialogue and its work ahead on the event loop and the real clock, without sound: words come one
by one while somebody speaks, quicker than people do, all of them are known at the beginning of the silence that ends a
turn, and the turn ends after it. In some turns the words change in that moment, and what was begun is dropped: they
show what a reply takes without having been begun.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

from device.anticipation import Anticipation
from device.companion import chosen_character, open_dialogue, places
from device.dialogue import Dialogue
from device.errors import FamiliarError
from device.settings import ServerSettings, Settings
from models.messages import Piece
from tools.llm_script import line
from voice.messages import Clause

SILENCE_S = 0.3
"""From a pause, when the words so far are known, to the end of the turn: less than `listen.hangover_ms` leaves."""

WORD_S = 0.15
"""From word to word: 400 a minute, where people talking to each other speak some 150 to 200. In favour of nobody here:
the quicker the words come, the less time there is to prefill them."""

_CHANGED_EVERY = 5
_SEED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeculationRun:
    """Seconds from the end of each turn to the first piece of its reply: where its words stayed, and where they changed
    in the last moment."""

    unchanged_s: tuple[float, ...]
    changed_s: tuple[float, ...]


def run_speculation(settings: Settings, *, turns: int, say: Callable[[str], None]) -> SpeculationRun:
    """One conversation of `turns` turns, with a memory of its own. Raises the errors of `device` and below."""
    say(f"speculation: {turns} turns on the real clock, a word every {WORD_S:g} s, {SILENCE_S:g} s of silence ...")
    # A server elsewhere is not what is measured.
    settings = replace(settings, server=ServerSettings(), think=replace(settings.think, seed=_SEED))
    with tempfile.TemporaryDirectory(prefix="familiar-speculation-") as folder:
        return asyncio.run(_converse(settings, Path(folder), turns))


async def _converse(settings: Settings, folder: Path, turns: int) -> SpeculationRun:
    where = replace(places(os.environ), memory=folder / "memory.sqlite3", states=folder / "states")
    unchanged_s, changed_s = [], []
    async with open_dialogue(chosen_character(settings), settings, where) as opened, asyncio.TaskGroup() as tasks:
        ahead = Anticipation(opened.dialogue, tasks, voice=_Silent(), speculate=True)
        for turn in range(turns):
            words = line(turn)
            if turn % _CHANGED_EVERY == _CHANGED_EVERY - 1:
                changed_s.append(await _turn(opened.dialogue, ahead, words, supposed=line(turn + 1)))
            else:
                unchanged_s.append(await _turn(opened.dialogue, ahead, words, supposed=words))
    return SpeculationRun(unchanged_s=tuple(unchanged_s), changed_s=tuple(changed_s))


class _Silent:
    """In place of a voice: synthesis is not what is measured."""

    def prepare(self, clause: Clause) -> None:
        pass

    def forget(self) -> None:
        pass


async def _speak(ahead: Anticipation, words: Sequence[str]) -> None:
    """A turn up to its silence. Each word is known when it has been spoken."""
    ahead.begin()
    for n_words in range(1, len(words) + 1):
        await asyncio.sleep(WORD_S)
        ahead.hear(" ".join(words[:n_words]))
    ahead.expect(" ".join(words))


async def _turn(dialogue: Dialogue, ahead: Anticipation, words: str, *, supposed: str) -> float:
    """Seconds from the end of the turn to the first piece of the reply (to its end, if it has none)."""
    await _speak(ahead, supposed.split())
    await asyncio.sleep(SILENCE_S)
    ended_s = time.monotonic()
    draft = await ahead.take(words)
    ahead.taken()
    if draft is None:
        raise FamiliarError(f"{len(words)} letters are too long for this context; raise think.context_tokens")
    ready_s = None
    pieces: list[Piece] = []
    async with aclosing(draft.read()) as events:
        async for event in events:
            if isinstance(event, Piece):
                ready_s = ready_s or time.monotonic()
                pieces.append(event)
    answered_s = time.monotonic()
    await dialogue.record(words, pieces, sum(len(piece.text) for piece in pieces), interrupted=False)
    await dialogue.settle()
    return (ready_s or answered_s) - ended_s
