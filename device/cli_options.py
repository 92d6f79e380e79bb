"""Options that several commands of the command line share."""

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings file to use.")]
Json = Annotated[bool, typer.Option("--json", help="Answer in JSON, for programs.")]
