"""The commands `familiar memory ...`, which `device.cli` registers; `forget` is in `device.cli_forget`.

Options and output only: what is remembered and how is in `memory`, how it is shown in `device.memory_views`.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from device.cli_forget import forget
from device.cli_options import Config, Json, MemoryCharacter, Person

if TYPE_CHECKING:
    from device.settings import Settings
    from memory.store import MemoryStore

memory = typer.Typer(help="What is remembered: see it, search it, take it along, forget it.", no_args_is_help=True)
memory.command()(forget)

_DAY_S = 86400.0
_FOUND_PER_PAIR = 10


@memory.command()
def show(
    facts: Annotated[bool, typer.Option("--facts", help="What is known, since when, and from which words.")] = False,
    turns: Annotated[bool, typer.Option("--turns", help="What was said last.")] = False,
    summaries: Annotated[bool, typer.Option("--summaries", help="What conversations were about.")] = False,
    mood: Annotated[bool, typer.Option("--mood", help="The characters' moods, and what their bodies felt.")] = False,
    last: Annotated[int, typer.Option(min=1, max=1_000_000, help="With --turns: how many.")] = 20,
    person: Person = None,
    character: MemoryCharacter = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Who is known, and what of them. Without an option, how much."""
    from device import memory_views as views
    from memory.overview import acquaintances

    with _opened(config, person, character) as (_, store):
        if store is None:
            _say_nothing_yet({"known": []}, json_=json_)
            return
        pairs = [(one.person, one.character) for one in acquaintances(store, person, character)]
        shown: dict[str, Any] = {}
        if facts:
            shown["facts"] = views.known_facts(store, pairs)
        if turns:
            shown["turns"] = views.last_turns(store, pairs, last)
        if summaries:
            shown["summaries"] = views.told_summaries(store, pairs)
        if mood:
            shown["moods"] = views.moods(store, character)
        if not shown:
            shown["known"] = [asdict(one) for one in acquaintances(store, person, character)]
        if json_:
            _print_json(shown)
        else:
            views.render(shown, store.path)


@memory.command()
def search(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="What to look for.")],
    person: Person = None,
    character: MemoryCharacter = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Look for something that was said, by its words."""
    from device import memory_views as views
    from memory.overview import acquaintances

    with _opened(config, person, character) as (_, store):
        if store is None:
            _say_nothing_yet({"found": []}, json_=json_)
            return
        pairs = [(one.person, one.character) for one in acquaintances(store, person, character)]
        found = views.found(store, pairs, " ".join(words), datetime.now().astimezone(), limit=_FOUND_PER_PAIR)
        if json_:
            _print_json({"found": found})
        elif found:
            views.render({"found": found}, store.path)
        else:
            typer.echo("nothing was found")


@memory.command("export")
def export_(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="The JSON file to write.")],
    person: Person = None,
    character: MemoryCharacter = None,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Write what is remembered to a file that people can read and `import` takes back. It is not encrypted."""
    from device.errors import FamiliarError
    from memory.exchange import export

    with _opened(config, person, character) as (_, store):
        if store is None:
            raise FamiliarError("nothing is remembered yet: there is nothing to export")
        n_records = export(store, file, person=person, character=character)
    _answer({"file": str(file), "records": n_records}, f"{n_records} records are in {file}", json_=json_)


@memory.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", readable=False, help="A file that `export` wrote.")],
    config: Config = None,
    json_: Json = False,
) -> None:
    """Take in a memory that was exported. What is there already is there once."""
    from device.memory_file import memory_key
    from device.paths import memory_file
    from device.settings_file import load_settings
    from memory.importing import import_memory
    from memory.store import MemoryStore

    settings = load_settings(config, os.environ)
    _require_readable(file)  # before a memory is made for it
    with MemoryStore(memory_file(os.environ), memory_key(settings.memory), begins_anew=False) as store:
        done = import_memory(store, file)
    known = f"; {done.known_turns} were there already" if done.known_turns else ""
    said = f"{done.turns} turns, {done.facts} facts and {done.summaries} summaries came in{known}"
    _answer(asdict(done), said, json_=json_)


@memory.command()
def sleep(config: Config = None, json_: Json = False) -> None:
    """Put memories in order now, as the companion does by itself when it is quiet.

    What is too old leaves, episodes are summarised, the index is merged.
    """
    from memory.forgetting import wipe
    from memory.sleep import steps

    done: Counter[str] = Counter()
    with _opened(config) as (settings, store):
        if store is None:
            _say_nothing_yet({"steps": {}}, json_=json_)
            return
        with _status("old turns leave") as say:
            done["left"] = _let_leave(store, settings)
            for step in steps(store, datetime.now().astimezone()):
                done[step.work] += 1
                say(f"{step.work}: step {done[step.work]}")
            say("wiping")
            wipe(store)
    told = [f"{number} {work}" for work, number in done.items() if number and work != "left"]
    said = f"{done['left']} turns left; steps: {', '.join(told)}" if told or done["left"] else "nothing was to be done"
    _answer({"left": done.pop("left"), "steps": dict(done)}, said, json_=json_)


@memory.command()
def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Mend what can be: the index, and rows of nothing.")] = False,
    config: Config = None,
    json_: Json = False,
) -> None:
    """Look whether the memory is sound. Exit status 1 if it is not."""
    from device.memory_file import memory_key
    from device.paths import memory_file
    from device.settings_file import load_settings
    from memory import health

    settings, path = load_settings(config, os.environ), memory_file(os.environ)
    if not path.is_file():
        _say_nothing_yet({"ok": True, "troubles": []}, json_=json_)
        return
    with _status("reading everything"):
        troubles = health.verify(path, memory_key(settings.memory), repair=repair)
    said = "\n".join(f"{trouble.what}\n  to mend it: {trouble.mend}" for trouble in troubles) or f"{path} is sound"
    _answer({"ok": not troubles, "troubles": [asdict(trouble) for trouble in troubles]}, said, json_=json_)
    raise typer.Exit(1 if troubles else 0)


@memory.command()
def encrypt(config: Config = None, json_: Json = False) -> None:
    """Encrypt the memory that is there, with the key of the settings (memory.key_file)."""
    _convert(config, "encrypt", json_=json_)


@memory.command()
def decrypt(config: Config = None, json_: Json = False) -> None:
    """Make a plain file of the memory again; then take memory.key_file out of the settings."""
    _convert(config, "decrypt", json_=json_)


def _convert(config: Path | None, verb: str, *, json_: bool) -> None:
    from device.errors import SettingsError
    from device.memory_file import forget_talks, memory_key
    from device.paths import memory_file, states_dir
    from device.settings_file import load_settings
    from memory import conversion
    from memory.database import copies_of
    from memory.overview import acquaintances
    from memory.store import MemoryStore

    settings, path = load_settings(config, os.environ), memory_file(os.environ)
    key = memory_key(settings.memory)
    if key is None:
        raise SettingsError("memory.key_file is not set: name the file of the key there")
    with _status(f"{verb}ing"):
        (conversion.encrypt if verb == "encrypt" else conversion.decrypt)(path, key)
    with MemoryStore(path, key if verb == "encrypt" else None, begins_anew=False) as store:
        forget_talks(states_dir(os.environ), [(one.person, one.character) for one in acquaintances(store)])
    copies = [copy.name for copy in copies_of(path)]
    said = f"{path} is {verb}ed" + ("; take memory.key_file out of the settings" if verb == "decrypt" else "")
    if copies and verb == "encrypt":
        said += f"\nnot encrypted beside it: {', '.join(copies)}; `familiar memory forget --copies` removes them"
    _answer({"file": str(path), "done": f"{verb}ed", "copies": copies}, said, json_=json_)


def _let_leave(store: "MemoryStore", settings: "Settings") -> int:
    """How many turns left because of their age."""
    from device.memory_file import forget_talks
    from device.paths import states_dir
    from memory.retention import leave

    n_left = 0
    if settings.memory.keep_days:
        before = time.time() - settings.memory.keep_days * _DAY_S
        while not (gone := leave(store, before, keep_cited=settings.memory.keep_cited)).is_nothing:
            n_left += gone.turns
            forget_talks(states_dir(os.environ), gone.pairs)
    return n_left


@contextmanager
def _opened(
    config: Path | None, person: str | None = None, character: str | None = None
) -> "Iterator[tuple[Settings, MemoryStore | None]]":
    """The settings and the memory; the names are ones that it knows."""
    from device.memory_file import check_names, open_memory
    from device.settings_file import load_settings

    settings = load_settings(config, os.environ)
    with open_memory(settings.memory, os.environ) as store:
        if store is not None:
            check_names(store, person, character)
            if not settings.memory.enabled:
                typer.echo("familiar: memory is switched off (memory.enabled): this is from before", err=True)
            if store.notice:
                typer.echo(f"familiar: {store.notice}", err=True)
        yield settings, store


def _require_readable(file: Path) -> None:
    with file.open("rb"):
        pass


@contextmanager
def _status(first: str) -> "Iterator[Any]":
    """Progress on stderr, on a terminal only."""
    from rich.console import Console

    with Console(stderr=True).status(first) as status:
        yield status.update


def _say_nothing_yet(empty: Mapping[str, object], *, json_: bool) -> None:
    from device.paths import memory_file

    _answer(empty, f"nothing is remembered yet: there is no {memory_file(os.environ)}", json_=json_)


def _answer(facts: Mapping[str, object], said: str, *, json_: bool) -> None:
    if json_:
        _print_json(facts)
    else:
        typer.echo(said)


def _print_json(facts: Mapping[str, object]) -> None:
    from device.memory_views import as_json

    typer.echo(as_json(facts))
