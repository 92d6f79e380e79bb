"""The commands `familiar models ...` of the command line; `device.cli` registers them.

Options and output only: what there is and how it is fetched is in `models`, measuring is in `tools`, imported when
called.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from device.cli_options import Config, Json

if TYPE_CHECKING:
    from models.catalog import CatalogEntry, Kind
    from models.store import ModelStore

models = typer.Typer(help="Models: what there is, and fetching it.", no_args_is_help=True)

_KINDS = {
    "llm": "what thinks",
    "asr": "what listens",
    "tts": "what speaks",
    "encoder": "compares meanings",
    "turn": "hears turns end",
}
"""Of `models.catalog.Kind`, which takes too long to import for `--help`."""

_CONTEXT_TOKENS = 2048
"""The context that the memory of language models is given for, the default of `think.context_tokens`."""


@models.command("list")
def list_models(
    kind: Annotated[
        str | None, typer.Option(metavar="KIND", help=f"Only these: {', '.join(_KINDS)}.", show_default=False)
    ] = None,
    language: Annotated[
        str | None, typer.Option(metavar="TAG", help='Only what serves this language, as in "de" or "pt-BR".')
    ] = None,
    json_: Json = False,
) -> None:
    """The models of the catalogue, and which of them are here."""
    from device.engines import model_store

    if kind is not None and kind not in _KINDS:
        raise typer.BadParameter(f"{kind!r} is none of {', '.join(_KINDS)}", param_hint="--kind")
    store = model_store(os.environ)
    entries = store.catalog.select(cast("Kind | None", kind), language)
    if json_:
        typer.echo(json.dumps([_model_facts(entry, store) for entry in entries], indent=2))
    elif entries:
        _show_models(entries, store)
    else:
        typer.echo("no such model: `familiar models list` shows them all")


@models.command()
def pull(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Models to fetch; `starter` is the first.")],
    json_: Json = False,
) -> None:
    """Fetch models into the state directory. What is here already is not fetched again."""
    from device.engines import model_store

    store = model_store(os.environ)
    for entry in [store.catalog.require(name) for name in names]:
        path = _pull(store, entry)
        facts = {"name": entry.name, "path": str(path)}
        typer.echo(json.dumps(facts) if json_ else f"{entry.name} is at {path}")


@models.command()
def bench(
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Measure this model; without, every language model that is here."),
    ] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Only where nothing valid was measured yet, and one line of answer.")
    ] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Measure how fast models run here, and say which is the largest that is fast enough. 3 seconds for each model."""
    from rich.console import Console

    from device.board import read_board
    from device.engines import model_store, models_to_measure
    from device.settings_file import load_settings
    from tools.models_bench import as_json, kept_outcome, run_models_bench
    from tools.models_report import one_line, show
    from tools.stand_in import stand_in

    settings, store, board = load_settings(config, os.environ), model_store(os.environ), read_board()
    n_ctx = settings.think.context_tokens
    found = kept_outcome(store, board, n_ctx=n_ctx)
    measure = not (once and found.measurements)
    if measure:
        with Console(stderr=True).status("") as status:  # shows nothing unless on a terminal
            models_here = models_to_measure(model, settings, store)
            found = run_models_bench(models_here, store, board, n_ctx=n_ctx, say=status.update, stand_in=stand_in)
    if json_:
        typer.echo(as_json(found))
    elif not once:
        show(Console(), found)
    elif measure:
        typer.echo(one_line(found))
    raise typer.Exit(0 if found.succeeded else 1)


def _pull(store: "ModelStore", entry: "CatalogEntry") -> Path:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    # On stderr, so that what is piped on holds the answer alone.
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(entry.name, total=None)
        return store.pull(entry, lambda done, total: bar.update(task, completed=done, total=total))


def _model_facts(entry: "CatalogEntry", store: "ModelStore") -> dict[str, Any]:
    path = store.find(entry.name)
    return {
        "name": entry.name,
        "kind": entry.kind,
        "language": entry.language,
        "licence": entry.licence,
        "note": entry.note,
        "parameters_b": entry.parameters_b,
        "quantization": entry.quantization,
        "quirks": entry.quirks,
        "size_bytes": entry.size_bytes,
        "memory_bytes": entry.memory_bytes(_CONTEXT_TOKENS),
        "source": asdict(entry.source),
        "files": [asdict(file) for file in entry.files],
        "path": str(path) if path else None,
    }


def _show_models(entries: "Sequence[CatalogEntry]", store: "ModelStore") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for heading in ("name", "for", "parameters", "size", "licence", "here"):
        table.add_column(heading, justify="right" if heading in ("parameters", "size") else "left")
    for kind, what in _KINDS.items():
        group = [entry for entry in entries if entry.kind == kind]
        if group:
            table.add_row(f"[bold]{kind}[/]: {what}")
        for entry in group:
            here = "✓" if store.find(entry.name) else ""
            size = f"{entry.size_bytes / 1e6:.0f} MB"
            table.add_row(entry.name, entry.language, _parameters(entry), size, entry.licence, here)
    Console().print(table)


def _parameters(entry: "CatalogEntry") -> str:
    """As models are called: "135M", "1.24B"; nothing where nobody counts."""
    billions = entry.parameters_b or 0
    return f"{billions:.2f}B" if billions >= 1 else f"{billions * 1000:.3g}M" if billions else ""
