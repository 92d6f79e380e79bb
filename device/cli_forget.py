"""The command `familiar memory forget` of the command line; `device.cli_memory` registers it.

Options, the question and the answer: forgetting itself is in `memory.forgetting`.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from device.cli_options import Config, Json, MemoryCharacter, Person

if TYPE_CHECKING:
    from memory.forgetting import Forgotten
    from memory.selecting import Selection
    from memory.store import MemoryStore


Words = Annotated[
    list[str] | None,
    typer.Option(metavar="TEXT", help="All turns of which one utterance has these words. May be given again."),
]
Turns = Annotated[list[int] | None, typer.Option(metavar="NUMBER", help="A turn, as `show --turns` counts.")]
Facts = Annotated[
    list[int] | None, typer.Option(metavar="NUMBER", help="A fact, as `show --facts` counts; its turns stay.")
]
From = Annotated[
    str | None, typer.Option("--from", metavar="TIME", help='What was said from this day or "2025-01-31 14:30" on.')
]
To = Annotated[str | None, typer.Option(metavar="TIME", help="Up to this day, which is part of it, or time.")]
Before = Annotated[str | None, typer.Option(metavar="TIME", help="What was said before this day or time.")]
Since = Annotated[str | None, typer.Option(metavar="DURATION", help="What was said since 30m, 2h, 3d, 1w.")]
Everything = Annotated[
    bool, typer.Option("--everything", help="All of it, or all of this person or character; copies too.")
]
Copies = Annotated[bool, typer.Option("--copies", help="Damaged files that were set aside: they hold words as well.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]


def forget(
    words: Words = None,
    turn: Turns = None,
    fact: Facts = None,
    from_: From = None,
    to: To = None,
    before: Before = None,
    since: Since = None,
    everything: Everything = False,
    copies: Copies = False,
    person: Person = None,
    character: MemoryCharacter = None,
    yes: Yes = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Forget for good: turns, with all that was made of them.

    Conditions narrow each other. Shows how much it is and asks; with --json and without --yes it only shows.
    """
    from device.memory_file import check_names, open_memory
    from device.paths import memory_file
    from device.settings_file import load_settings
    from memory.selecting import Selection

    since_s, until_s = _span(from_, to, before, since)
    selection = Selection(
        person=person,
        character=character,
        since=since_s,
        until=until_s,
        words=tuple(words or ()),
        turn_ids=tuple(turn or ()),
        fact_ids=tuple(fact or ()),
        everything=everything,
    )
    if selection == Selection() and not copies:
        raise typer.BadParameter("say what: a person, a time, words, turns, facts, or --everything")
    if everything and not selection.is_whole:
        raise typer.BadParameter("--everything goes with --person and --character only")
    settings = load_settings(config, os.environ)
    with open_memory(settings.memory, os.environ) as store:
        if store is None:
            said = f"nothing is remembered yet: there is no {memory_file(os.environ)}"
            typer.echo(json.dumps({"forgotten": None}) if json_ else said)
            return
        check_names(store, person, character)
        wants = _Wants(selection=None if selection == Selection() else selection, copies=copies or selection.is_all)
        _forget(store, wants, yes=yes, json_=json_)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wants:
    """What is to go: of the memory, and whether the copies beside it."""

    selection: "Selection | None"
    copies: bool


def _forget(store: "MemoryStore", wants: _Wants, *, yes: bool, json_: bool) -> None:
    from memory.database import copies_of
    from memory.forgetting import Forgotten, preview

    copies = [copy.name for copy in copies_of(store.path)]
    found = preview(store, wants.selection) if wants.selection else Forgotten()
    if json_ and not yes:
        typer.echo(json.dumps({"would_forget": _facts(found), "copies": copies}, indent=2, ensure_ascii=False))
        return
    if found.is_nothing and not (wants.copies and copies):
        typer.echo(json.dumps({"forgotten": _facts(found)}) if json_ else "nothing of that kind is remembered")
        return
    if not yes:
        typer.echo(_told(found, copies if wants.copies else []))
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody can be asked here: add --yes")
        typer.confirm("Forget this for good?", abort=True)
    _carry_out(store, wants, json_=json_)


def _carry_out(store: "MemoryStore", wants: _Wants, *, json_: bool) -> None:
    from device.memory_file import forget_talks
    from device.paths import states_dir
    from memory.database import copies_of, is_alone
    from memory.errors import MemoryBusyError, MemoryFullError
    from memory.forgetting import Forgotten, remove_copies, wipe
    from memory.forgetting import forget as forget_it

    gone = forget_it(store, wants.selection) if wants.selection else Forgotten()
    forget_talks(states_dir(os.environ), gone.pairs)
    removed = [copy.name for copy in remove_copies(store.path)] if wants.copies else []
    troubles = []
    try:
        wipe(store)
    except (MemoryBusyError, MemoryFullError) as error:
        troubles.append(f"it is forgotten, but can still be read on the disk until the next start: {error}")
    if not store.read("look who else is there", is_alone):
        troubles.append("the memory is open in another program: a companion has it in mind until it is started again")
    left = [copy.name for copy in copies_of(store.path)]
    if json_:
        facts = {"forgotten": _facts(gone), "copies_removed": removed, "copies": left, "troubles": troubles}
        typer.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        typer.echo("forgotten")
        if left:
            troubles.append(f"words may still be in {', '.join(left)}: `familiar memory forget --copies` removes them")
        for trouble in troubles:
            typer.echo(f"familiar: {trouble}", err=True)


def _told(found: "Forgotten", copies: list[str]) -> str:
    counts = [
        f"{number} {noun}"
        for number, noun in (
            (found.turns, "turns"),
            (found.facts, "facts"),
            (found.summaries, "summaries"),
            (found.stimuli, "stimuli"),
            (found.moods, "moods"),
            (len(copies), "damaged copies"),
        )
        if number
    ]
    between = [f"  {person} and {character}" for person, character in found.pairs]
    return "\n".join([", ".join(counts) or "names alone", *between, *(f"  {name}" for name in copies)])


def _facts(found: "Forgotten") -> dict[str, object]:
    return {
        "turns": found.turns,
        "facts": found.facts,
        "summaries": found.summaries,
        "stimuli": found.stimuli,
        "moods": found.moods,
        "pairs": [{"person": person, "character": character} for person, character in found.pairs],
    }


def _span(
    from_: str | None, to: str | None, before: str | None, since: str | None
) -> tuple[float | None, float | None]:
    """From when, and until before when, in seconds since 1970."""
    from device.moments import ago, moment

    if from_ and since:
        raise typer.BadParameter("--from and --since exclude each other")
    if to and before:
        raise typer.BadParameter("--to and --before exclude each other")
    try:
        start = moment(from_) if from_ else ago(since, time.time()) if since else None
        end = moment(to, at_end=True) if to else moment(before) if before else None
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if start is not None and end is not None and start >= end:
        raise typer.BadParameter("the time ends before it begins")
    return start, end
