"""The commands `bench turn`, `bench llm` and `bench memory` of the command line; `device.cli` registers the group.

Options and output only: measuring and reporting are in `tools`, imported when called.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from device.cli_options import Config, Json

bench = typer.Typer(help="Measurements on this machine.", no_args_is_help=True)


@bench.command()
def turn(
    turns: Annotated[int, typer.Option(min=2, max=1000, help="Spoken turns.")] = 10,
    interruptions: Annotated[int, typer.Option(min=0, max=1000, help="Answers to interrupt.")] = 10,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Where the milliseconds of a spoken turn go, beside the bare engines."""
    from device.settings_file import load_settings
    from tools.bench_turn import run_bench
    from tools.turn_report import as_json, as_text

    result = run_bench(
        load_settings(config, os.environ),
        turns=turns,
        interruptions=interruptions,
        say=_progress,
    )
    print(as_json(result) if json_ else as_text(result))


@bench.command()
def llm(
    only: Annotated[
        list[str] | None, typer.Option(metavar="PART", help="Run this part; may be given again. Without: all.")
    ] = None,
    shapes: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Make models of this shape; may be given again.")
    ] = None,
    turns: Annotated[int | None, typer.Option(min=2, max=1000, help="Turns of the conversation.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Do everything a few times only: rough figures.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", readable=False, help="Write the report and the plot of the shapes there."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Fail if a target is missed.")] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """The engine beside the raw loop and the library: speed, reuse, restart, speculation, stopping."""
    from dataclasses import replace

    from device.settings_file import load_settings
    from tools.bench_llm import FULL, PARTS, QUICK, SHAPE_NAMES, BenchRequest, run_bench
    from tools.llm_report import as_json, as_text

    _require_known("--only", only or (), PARTS)
    _require_known("--shapes", shapes or (), SHAPE_NAMES)
    scale = QUICK if quick else FULL
    request = BenchRequest(
        parts=tuple(only or PARTS),
        shapes=tuple(shapes or (SHAPE_NAMES[:1] if quick else SHAPE_NAMES)),
        scale=scale if turns is None else replace(scale, conversation_turns=turns),
        out=out,
    )
    report = run_bench(request, load_settings(config, os.environ), _progress)
    print(as_json(report) if json_ else as_text(report))
    if strict and report.missed:
        raise typer.Exit(1)


@bench.command()
def memory(
    turns: Annotated[str, typer.Option(metavar="N,N,...", help="Sizes of the memory, in turns.")] = "1000,10000,100000",
    quick: Annotated[bool, typer.Option("--quick", help="Do everything a few times only: rough figures.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", readable=False, help="Write the report and a plot there.")
    ] = None,
    json_: Json = False,
) -> None:
    """What remembering costs: commit, recall, growth, disk and RAM, beside others. Touches no memory of yours."""
    from tools.bench_memory import FULL, QUICK, BenchRequest, run_bench
    from tools.llm_report import as_json, as_text

    request = BenchRequest(turns=_sizes(turns), sample=QUICK if quick else FULL, out=out)
    report = run_bench(request, _progress)
    print(as_json(report) if json_ else as_text(report))


def _sizes(turns: str) -> tuple[int, ...]:
    sizes = tuple(int(each) for each in turns.split(",") if each.strip().isdecimal())
    if len(sizes) != turns.count(",") + 1 or not all(100 <= size <= 1_000_000 for size in sizes):
        raise typer.BadParameter(f"--turns {turns}: give numbers from 100 to 1000000, such as 1000,10000")
    return sizes


def _require_known(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise typer.BadParameter(f"{option} {name}: there is {', '.join(known)}")


def _progress(line: str) -> None:
    print(line, file=sys.stderr)
