"""The command line `familiar`: commands, their output for people and as JSON, and errors in one line.

Exit status: 0 good, 1 it failed or was stopped, 2 wrong usage. Everything that takes time to import is imported by
the command that needs it, so that `familiar --help` answers at once.
"""

import errno
import json
import logging
import os
import sys
from dataclasses import asdict
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from device import cli_bench, cli_eval, cli_memory, cli_models, cli_steer, cli_talk
from device.cli_options import Config, Json
from device.errors import FamiliarError, first_error
from firmware_bridge.errors import BridgeError
from memory.errors import MemoryStoreError
from models.errors import ModelError
from voice.errors import VoiceError

if TYPE_CHECKING:
    from device.checks import Check

app = typer.Typer(
    help="A companion with a voice, a memory and a body, on this machine alone.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command()(cli_talk.talk)
cli_models.models.command()(cli_steer.steer)
app.add_typer(cli_models.models, name="models")
app.add_typer(cli_memory.memory, name="memory")
app.add_typer(cli_bench.bench, name="bench")
app.add_typer(cli_eval.evaluation, name="eval")

_TYPER_INTERRUPTED = 130
"""The status that typer makes of a KeyboardInterrupt inside a command; ours are 0, 1 and 2."""


def main() -> None:
    """Run the command line; whatever ends it becomes an exit status and at most one line."""
    try:
        _prepare_streams()
        logging.basicConfig(level=logging.WARNING, format="familiar: %(message)s")
        try:
            app(prog_name="familiar")
        except BaseExceptionGroup as group:  # of tasks that ran side by side: the first one made the others stop
            raise first_error(group) from group
    except (FamiliarError, VoiceError, ModelError, MemoryStoreError, BridgeError) as error:
        sys.stderr.write(f"familiar: {error}\n")
        sys.exit(1)
    except OSError as error:
        # Files that were opened by name have errors of their own: what fills up unnamed is what the answer goes to.
        where = error.filename or ("standard output" if error.errno == errno.ENOSPC else "system")
        sys.stderr.write(f"familiar: {where}: {error.strerror or error}\n")
        sys.exit(1)
    except SystemExit as leaving:
        if leaving.code != _TYPER_INTERRUPTED:
            raise
        _say_stopped()
    except KeyboardInterrupt:
        _say_stopped()


def _prepare_streams() -> None:
    """Make the standard streams usable: all three there, and no letter worth the end of a command."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # closed by whoever started us: a file opened later must not take its place
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  for as long as the process
    for stream in (sys.stdin, sys.stdout):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def _say_stopped() -> NoReturn:
    sys.stderr.write("familiar: stopped by Ctrl-C\n")
    sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"familiar {version('familiar-companion')}")
        raise typer.Exit


@app.callback()
def familiar(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    """The options of the program itself."""


@app.command()
def doctor(config: Config = None, json_: Json = False) -> None:
    """What this machine has, what is missing, and how to mend it."""
    from device.doctor import read_settings, run_checks
    from device.engines import model_store
    from device.paths import memory_file

    settings, about_settings = read_settings(config, os.environ)
    checks = [about_settings, *run_checks(settings, model_store(os.environ), memory_file(os.environ))]
    failed = any(check.status == "fail" for check in checks)
    if json_:
        typer.echo(json.dumps({"ok": not failed, "checks": [asdict(check) for check in checks]}, indent=2))
    else:
        _show_checks(checks)
    raise typer.Exit(1 if failed else 0)


def _show_checks(checks: "list[Check]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    marks = {"ok": ("✓", "green"), "warn": ("!", "yellow"), "fail": ("✗", "red")}
    table = Table(box=None, pad_edge=False, show_header=False)
    for check in checks:
        mark, colour = marks[check.status]
        what = Text(check.what)
        if check.mend:
            what.append(f"\n{check.mend}", style=colour)
        table.add_row(Text(mark, style=colour), check.name, what)
    Console().print(table)


if __name__ == "__main__":
    main()
