"""The commands `eval recall`, `eval emotion` and `eval guard` of the command line; `device.cli` registers the group.

Options and output only: measuring and reporting are in `tools`, imported when called.
"""

import sys
from pathlib import Path
from typing import Annotated

import typer

from device.cli_options import Json

evaluation = typer.Typer(
    help="How well the companion remembers, feels and guards, on public or shipped data.", no_args_is_help=True
)


@evaluation.command()
def emotion(
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", readable=False, help="GoEmotions' folder `data`: test.tsv and labels.txt of it."),
    ],
    float_: Annotated[
        Path | None,
        typer.Option("--float", metavar="FILE", readable=False, help="The network before rounding, to compare with."),
    ] = None,
    json_: Json = False,
) -> None:
    """How well and how fast feelings are told: F1 of 28 emotions and of Ekman's."""
    from tools.eval_emotion import evaluate
    from tools.eval_emotion_report import as_json, as_text

    found = evaluate(data, _progress, float_model=float_)
    print(as_json(found) if json_ else as_text(found))


@evaluation.command()
def recall(
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", readable=False, help="Conversations with questions, in LoCoMo's format."),
    ] = None,
    strategy: Annotated[
        str, typer.Option(metavar="NAME", help="How feelings count: none, c-a, c-m, s-c or s-s.")
    ] = "c-a",
    ablation: Annotated[bool, typer.Option("--ablation", help="Also without each part, and part by part.")] = False,
    pairs: Annotated[bool, typer.Option("--pairs", help="Also memories of the same thing in opposite moods.")] = False,
    encoder: Annotated[
        Path | None, typer.Option(metavar="DIR", readable=False, help="Use the encoder of this folder.")
    ] = None,
    json_: Json = False,
) -> None:
    """How much of what answers a question recall brings back, by which of its parts, and how fast."""
    from tools.eval_moods import evaluate_moods
    from tools.eval_recall import STRATEGIES, evaluate
    from tools.eval_recall_report import as_json, as_text

    if data is None and not pairs:
        raise typer.BadParameter("there is nothing to do; give --data FILE, or --pairs")
    chosen = next((each for each in STRATEGIES if each == strategy), None)
    if chosen is None:
        raise typer.BadParameter(f"--strategy {strategy}: there is {', '.join(STRATEGIES)}")
    found = evaluate(data, _progress, encoder=encoder, strategy=chosen, ablation=ablation) if data else None
    moods = evaluate_moods(_progress, encoder=encoder) if pairs else ()
    print(as_json(found, moods) if json_ else as_text(found, moods))


@evaluation.command()
def guard(
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE.tsv",
            readable=False,
            help="Cases: stage, label and text, with tabs between. May be given again. Without: those of the checkout.",
        ),
    ] = None,
    json_: Json = False,
) -> None:
    """How much trouble the guard finds in English sentences, and how often it alarms for nothing."""
    from tools.eval_guard import as_json, as_text, evaluate, shipped_cases

    paths = data or shipped_cases()
    if not paths:
        raise typer.BadParameter("there are no cases beside an installed package; name files with --data FILE.tsv")
    found = evaluate(paths)
    print(as_json(found) if json_ else as_text(found))


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
