"""The command `familiar models steer` of the command line; `device.cli` registers it.

Options and output only: control vectors are made in `tools.control_vector`, imported when called.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from device.cli_options import Config, Json

if TYPE_CHECKING:
    from device.settings import Settings
    from tools.control_vector import LayerDirection, Pair, Progress


def steer(
    out: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The control vector to write, a GGUF.")],
    positive: Annotated[
        str | None, typer.Option(metavar="TEXT", help='How to be: "very happy", as in "Act as if you are very happy".')
    ] = None,
    negative: Annotated[str | None, typer.Option(metavar="TEXT", help="How to be instead: the opposite.")] = None,
    positive_file: Annotated[
        Path | None,
        typer.Option(metavar="TXT", readable=False, help="In place of --positive: prompts of your own, one per line."),
    ] = None,
    negative_file: Annotated[
        Path | None,
        typer.Option(metavar="TXT", readable=False, help="Their counterparts, in the same order."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="The model to steer in place of the settings' one.")
    ] = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Make a control vector, which gives a character a mood or a manner, from contrasting prompts."""
    from device.engines import choose_model, model_store
    from tools.control_vector import capture, check_target, find_directions, write_control_vector
    from tools.hidden_states import HiddenStates

    pairs = _pairs((positive, negative), (positive_file, negative_file))
    check_target(out)
    settings = _settings(config, model)
    found = choose_model(settings, model_store(os.environ))
    think = settings.think
    with (
        HiddenStates(found.path, threads=think.threads, gpu_layers=think.gpu_layers) as states,
        _bar() as progress,
    ):
        directions = find_directions(*capture(states, pairs, progress))
        write_control_vector(out, directions, states.architecture)
    if json_:
        typer.echo(json.dumps(_facts(out, found.name, len(pairs), directions), indent=2))
    else:
        _show(out, found.name, len(pairs), directions)


def _pairs(personas: Sequence[str | None], files: Sequence[Path | None]) -> "tuple[Pair, ...]":
    from tools.control_vector import pairs_from_files, persona_pairs

    match (*personas, *files):
        case str(positive), str(negative), None, None if positive.strip() and negative.strip():
            return persona_pairs(positive, negative)
        case None, None, Path() as positive_file, Path() as negative_file:
            return pairs_from_files(positive_file, negative_file)
    raise typer.BadParameter("give --positive and --negative, or --positive-file and --negative-file")


def _settings(config: Path | None, model: str | None) -> "Settings":
    from dataclasses import replace

    from device.settings_file import load_settings

    settings = load_settings(config, os.environ)
    if model is None:
        return settings
    # Named on the command line, a file counts from where the person stands, not from the settings file.
    wanted = str(Path(model).absolute()) if Path(model).exists() else model
    return replace(settings, think=replace(settings.think, model=wanted))


@contextmanager
def _bar() -> "Iterator[Progress]":
    """Progress on stderr, so that what is piped on holds the answer alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("pairs of prompts", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _facts(out: Path, model: str, n_pairs: int, directions: "Sequence[LayerDirection]") -> dict[str, object]:
    return {
        "file": str(out),
        "model": model,
        "pairs": n_pairs,
        "layers": [
            {
                "layer": direction.layer,
                "method": direction.chosen,
                "separation": {method: round(value, 3) for method, value in direction.separation.items()},
                "accuracy": round(direction.accuracy, 3),
            }
            for direction in directions
        ],
    }


def _show(out: Path, model: str, n_pairs: int, directions: "Sequence[LayerDirection]") -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("layer", "method", "mean", "pca", "told apart"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for direction in directions:
        separations = [f"{direction.separation[method]:.2f}" for method in ("mean", "pca")]
        table.add_row(str(direction.layer), direction.chosen, *separations, f"{direction.accuracy:.0%}")
    Console().print(table)
    typer.echo(
        f"{out}: {len(directions)} layers of {model} from {n_pairs} pairs of prompts.\n"
        "mean, pca: how far the sides of pairs kept apart lie from each other, in\n"
        "standard deviations. In a character file:\n\n"
        f'[[steering]]\nfile = "{out.name}"\nstrength = 1.0'
    )
