"""The command `familiar memory forget` of the command line; `device.cli_memory` registers it.

Options, the question and the answer: forgetting itself is in `memory.forgetting`.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
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
    from memory.errors import MemoryDamagedError
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
    everything_of_all = everything and selection.is_all
    if everything and not selection.is_whole:
        raise typer.BadParameter("--everything goes with --person and --character only")
    settings, path = load_settings(config, os.environ), memory_file(os.environ)
    wants = _Wants(selection=None if selection == Selection() else selection, copies=copies or everything_of_all)
    try:
        # What is to go altogether may go unread; anything else is not to be looked for in a memory that begins anew.
        with open_memory(settings.memory, os.environ, begins_anew=everything_of_all and yes) as store:
            if store is None:
                _forget_copies(path, wants, yes=yes, json_=json_)
                return
            check_names(store, person, character)
            _forget(store, wants, yes=yes, json_=json_)
    except MemoryDamagedError as error:
        _say_damaged(path, str(error), json_=json_)
        raise typer.Exit(1) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wants:
    """What is to go: of the memory, and whether the copies beside it."""

    selection: "Selection | None"
    copies: bool


def _forget(store: "MemoryStore", wants: _Wants, *, yes: bool, json_: bool) -> None:
    from memory.forgetting import Forgotten, preview

    found = preview(store, wants.selection) if wants.selection else Forgotten()
    copies = _copies(store.path)
    if json_ and not yes:
        _print_json({"would_forget": _facts(found), "copies": copies, "notice": store.notice})
        return
    if found.is_nothing and not (wants.copies and copies):
        facts = {"forgotten": _facts(found), "copies": copies, "notice": store.notice}
        _answer(facts, "nothing of that kind is remembered", [store.notice, _words_in(copies)], json_=json_)
        return
    if not yes:
        typer.echo(_told(found, copies if wants.copies else []))
        if not sys.stdin.isatty():
            raise typer.BadParameter("nobody can be asked here: add --yes")
        typer.confirm("Forget this for good?", abort=True)
    _carry_out(store, wants, json_=json_)


def _forget_copies(path: Path, wants: _Wants, *, yes: bool, json_: bool) -> None:
    """Where there is no memory, what lies beside its place may still hold words."""
    from memory.forgetting import remove_copies

    removed = [copy.name for copy in remove_copies(path)] if wants.copies and yes else []
    copies = _copies(path)
    said = f"nothing is remembered yet: there is no {path}"
    facts = {"forgotten": None, "copies_removed": removed, "copies": copies}
    _answer(facts, f"removed {', '.join(removed)}" if removed else said, [_words_in(copies)], json_=json_)


def _say_damaged(path: Path, damage: str, *, json_: bool) -> None:
    copies = _copies(path)
    mend = "`familiar memory forget --everything --yes` removes the damaged file, and every copy of it, unread"
    facts = {"forgotten": None, "copies": copies, "notice": damage, "mend": mend}
    _answer(facts, "nothing was forgotten", [damage, mend, _words_in(copies)], json_=json_)


def _copies(path: Path) -> list[str]:
    from memory.database import copies_of

    return [copy.name for copy in copies_of(path)]


def _words_in(copies: list[str]) -> str | None:
    return (
        f"words may still be in {', '.join(copies)}: `familiar memory forget --copies` removes them" if copies else None
    )


def _answer(facts: Mapping[str, object], said: str, warnings: Iterable[str | None], *, json_: bool) -> None:
    from device.display import shown

    if json_:
        _print_json(facts)
        return
    typer.echo(said)
    for warning in filter(None, warnings):
        typer.echo(f"familiar: {shown(warning)}", err=True)


def _print_json(facts: Mapping[str, object]) -> None:
    from device.memory_views import as_json

    typer.echo(as_json(facts))


def _carry_out(store: "MemoryStore", wants: _Wants, *, json_: bool) -> None:
    from device.memory_file import forget_all_talks, forget_talks
    from device.paths import states_dir
    from memory.database import is_alone
    from memory.errors import MemoryBusyError, MemoryFullError
    from memory.forgetting import Forgotten, remove_copies, wipe
    from memory.forgetting import forget as forget_it

    gone = forget_it(store, wants.selection) if wants.selection else Forgotten()
    forget_talks(states_dir(os.environ), gone.pairs)
    if wants.selection and wants.selection.is_all:
        forget_all_talks(states_dir(os.environ))
    removed = [copy.name for copy in remove_copies(store.path)] if wants.copies else []
    troubles = []
    try:
        wipe(store)
    except (MemoryBusyError, MemoryFullError) as error:
        troubles.append(f"it is forgotten, but can still be read on the disk until the next start: {error}")
    if not store.read("look who else is there", is_alone):
        troubles.append("the memory is open in another program: a companion has it in mind until it is started again")
    left = _copies(store.path)
    facts = {"forgotten": _facts(gone), "copies_removed": removed, "copies": left, "troubles": troubles}
    _answer({**facts, "notice": store.notice}, "forgotten", [store.notice, *troubles, _words_in(left)], json_=json_)
    if wants.copies and left:  # the file was found to be damaged, and set aside, only now
        raise typer.Exit(1)


def _told(found: "Forgotten", copies: list[str]) -> str:
    from device.display import shown

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
    between = [f"  {shown(person)} and {shown(character)}" for person, character in found.pairs]
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
