"""Options that several commands of the command line share."""

from pathlib import Path
from typing import Annotated

import typer

# Paths are checked where they are opened, which knows more to say; hence `readable=False` here and in the commands.
Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", readable=False, help="Settings file to use.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
Person = Annotated[str | None, typer.Option("--person", metavar="NAME", help="Only what this person said.")]
MemoryCharacter = Annotated[
    str | None, typer.Option("--character", metavar="NAME", help="Only what was said to this character.")
]
