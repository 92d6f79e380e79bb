"""`familiar bench turn`: where the milliseconds of a spoken turn go, and what the bare engines need for the same work.

One process, one machine, one run: ten spoken turns and some interruptions (`tools.spoken_run`), the bare engines doing
the same work in sequence (`tools.bare_engines`), and thirty written turns for the growth of the first token's time.
Memory of the run lies in a temporary folder; models come from the model store.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

from device.companion import Places, chosen_character, engine_settings, open_dialogue, places, prompt_builder
from device.engines import choose_model, choose_synthesizer, choose_transcriber
from device.errors import FamiliarError
from device.settings import ServerSettings, Settings
from models.character import Character
from models.engine import LlamaEngine
from models.messages import Finished, Piece, Prefilled
from tools.bare_engines import BareEngines, BareTurn, SaidTurn
from tools.spoken_run import Turn, person_speaks, run_spoken
from tools.turn_report import Report, report
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

SEED = 1
"""Both runs draw the same words, so that the engines have the same work."""


def run_bench(settings: Settings, *, turns: int, interruptions: int, say: Callable[[str], None]) -> Report:
    """Run it all; `say` gets a line at each step. Takes about ten seconds per turn, as talking does."""
    character = chosen_character(settings)
    settings = replace(settings, think=replace(settings.think, seed=SEED), server=ServerSettings())
    sounds = person_speaks((*QUESTIONS, INTERRUPTION))
    questions = [sounds[i % len(QUESTIONS)] for i in range(turns)]
    with tempfile.TemporaryDirectory() as folder:
        where = replace(places(os.environ), memory=Path(folder) / "memory.sqlite3", states=Path(folder) / "states")
        _make_memory(where.memory)
        say(f"{turns} spoken turns and {interruptions} interruptions, in real time ...")
        spoken = asyncio.run(run_spoken(character, settings, where, questions, sounds[-1], interruptions))
        say("the bare engines, doing the same work in sequence ...")
        bare = _bare(character, settings, where, spoken.turns, questions)
        say(f"{len(WRITTEN)} written turns ...")
        first_token_s = asyncio.run(
            _written(character, settings, replace(where, memory=Path(folder) / "written.sqlite3"))
        )
        say("one written answer from a cold start ...")
        first_answer_s = _first_answer_s(settings, where.store.root, Path(folder) / "first")
    return report(spoken, bare, first_token_s, first_answer_s, {"model": choose_model(settings, where.store).name})


def _make_memory(path: Path) -> None:
    """In another process, as at every start but a companion's very first: making the schema imports 9 MB of tools that
    are not needed again, and the memory of this process is one of the figures."""
    make = "import pathlib, sys; from memory.store import MemoryStore; MemoryStore(pathlib.Path(sys.argv[1])).close()"
    made = subprocess.run([sys.executable, "-P", "-c", make, str(path)], capture_output=True, text=True, check=False)
    if made.returncode:
        raise FamiliarError(f"no memory could be made at {path}: {made.stderr.strip().splitlines()[-1]}")


def _first_answer_s(settings: Settings, models: Path, folder: Path) -> float:
    """From the very first start of `familiar talk --text`, as a process of its own, to its first answer, written out
    whole."""
    folder.mkdir()
    (folder / "models").symlink_to(models)
    command = [sys.executable, "-P", "-m", "device", "talk", "--text"]
    if settings.source is not None:
        command += ["--config", str(settings.source)]
    # Models and settings are the machine's, all else is new: a benchmark is no part of anybody's conversation.
    env = {**os.environ, "FAMILIAR_STATE": str(folder), "FAMILIAR_MEMORY__ENABLED": "false"}
    started_s = time.monotonic()
    with (folder / "complaints").open("w+") as complaints:
        talk = subprocess.Popen(
            command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True
        )
        with talk:
            assert talk.stdin is not None
            assert talk.stdout is not None
            talk.stdin.write(f"{WRITTEN[0]}\n")
            talk.stdin.flush()
            answer = talk.stdout.readline()
            answered_s = time.monotonic()
            talk.stdin.close()
        if not answer:
            complaints.seek(0)
            raise FamiliarError(f"familiar talk --text gave no answer: {complaints.read().strip()}")
    return answered_s - started_s


def _bare(
    character: Character, settings: Settings, where: Places, turns: Sequence[Turn], sounds: Sequence[Pcm]
) -> list[BareTurn]:
    said = [
        SaidTurn(sound=sound, text=turn.text, reply=turn.reply, n_first_clause=turn.n_first_clause)
        for turn, sound in zip(turns, sounds, strict=True)
    ]
    model = choose_model(settings, where.store)
    with LlamaEngine(model.path, engine_settings(settings, model)) as engine:
        engine.steer(character.steering)
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
