"""The commands `talk` and `bench` of the command line; `device.cli` registers them.

Options and output only: what they do is in `device.talk` and in `tools`, imported when called.
"""

import itertools
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from device.cli_options import Config, Json


def talk(
    text: Annotated[bool, typer.Option("--text", help="Converse in writing, on standard input and output.")] = False,
    recording: Annotated[
        Path | None,
        typer.Option("--in", metavar="WAV", readable=False, help="Hear this recording in place of a microphone."),
    ] = None,
    answer: Annotated[
        Path | None,
        typer.Option("--out", metavar="WAV", readable=False, help="With --in: write what is spoken to this file."),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(metavar="JSONL", readable=False, help="Write what happened when to this file, words included."),
    ] = None,
    character: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Talk with this character in place of the settings' one."),
    ] = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Talk with the character: aloud, in writing, or from a recording."""
    from dataclasses import replace

    from device.companion import character_file
    from device.settings import load_settings
    from device.talk import TalkRequest
    from device.talk import talk as run

    if text and recording:
        raise typer.BadParameter("--text and --in exclude each other")
    if answer and not recording:
        raise typer.BadParameter("--out needs --in")
    _require_distinct({"--in": recording, "--out": answer, "--trace": trace})
    settings = load_settings(config, os.environ)
    if character is not None:
        settings = replace(settings, character=replace(settings.character, file=character_file(character)))
    run(TalkRequest(text=text, recording=recording, answer=answer, trace=trace, as_json=json_), settings, os.environ)


def _require_distinct(files: Mapping[str, Path | None]) -> None:
    """What is written must not replace what is read, nor be written twice."""
    given = [
        (option, os.path.realpath(path))
        for option, path in files.items()
        if path is not None and not path.is_char_device()
    ]
    for (one, path), (other, same) in itertools.combinations(given, 2):
        if path == same:
            raise typer.BadParameter(f"{one} and {other} name the same file, {path}")


bench = typer.Typer(help="Measurements on this machine.", no_args_is_help=True)


@bench.callback()
def bench_options() -> None:
    """Keep `turn` a sub-command although it is the only one."""


@bench.command()
def turn(
    turns: Annotated[int, typer.Option(min=2, max=1000, help="Spoken turns.")] = 10,
    interruptions: Annotated[int, typer.Option(min=0, max=1000, help="Answers to interrupt.")] = 10,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Where the milliseconds of a spoken turn go, beside the bare engines."""
    from device.settings import load_settings
    from tools.bench_turn import run_bench
    from tools.turn_report import as_json, as_text

    result = run_bench(
        load_settings(config, os.environ),
        turns=turns,
        interruptions=interruptions,
        say=lambda line: print(line, file=sys.stderr),
    )
    print(as_json(result) if json_ else as_text(result))
