"""The command `talk` of the command line; `device.cli` registers it.

Options only: what it does is in `device.talk`, imported when called.
"""

import itertools
import os
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
    from device.settings_file import load_settings
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
