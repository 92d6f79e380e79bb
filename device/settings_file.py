"""Reading the settings: a TOML file and environment overrides -> the tree of `device.settings`, validated once at
start.

Every mistake is named with its path and reason, all of them at once. Which file is read is decided in `device.paths`;
`reference` renders the documentation from the same definitions.
"""

import difflib
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from device.errors import SettingsError
from device.paths import settings_file
from device.settings import ListenSettings, Settings

ENV_PREFIX = "FAMILIAR_"


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings file (`path`, else where `device.paths` finds one) and the FAMILIAR_SECTION__KEY overrides.

    Raises SettingsError naming every mistake.
    """
    source = settings_file(path, environ)
    folder = source.parent if source else Path.cwd()
    sections = _sections()
    mistakes: list[str] = []
    given: list[_Given] = []
    for section, table in (_read(source) if source else {}).items():
        if section not in sections:
            mistakes.append(f"[{section}]: no such section{_nearest(section, sections)}")
        elif not isinstance(table, dict):
            mistakes.append(f"{section}: must be a section, [{section}]")
        else:
            given += [_Given(f"{section}.{key}", section, key, value) for key, value in table.items()]
    given += _overrides(environ)
    values: dict[str, dict[str, Any]] = {section: {} for section in sections}
    for item in given:
        try:
            values[item.section][item.key] = _checked(item, sections, folder)
        except ValueError as error:
            mistakes.append(f"{item.label}: {error}")
    mistakes = mistakes or _contradictions(values["listen"])
    if mistakes:
        listed = mistakes if len(mistakes) == 1 else [f"{len(mistakes)} mistakes", *(f"  {one}" for one in mistakes)]
        raise SettingsError(f"{source or 'settings'}: " + "\n".join(listed))
    return Settings(source=source, **{section: sections[section](**values[section]) for section in sections})


def reference() -> str:
    """The reference of all settings in Markdown: what CONFIGURATION.md holds below its introduction."""
    parts = []
    for section, kind in _sections().items():
        hints = get_type_hints(kind)
        rows = [f"| `{key.name}` | `{_toml(key.default)}` | {_meaning(key, hints[key.name])} |" for key in fields(kind)]
        parts.append(
            "\n".join(
                [f"## [{section}]", "", f"{kind.__doc__}", "", "| key | default | meaning |", "|---|---|---|", *rows]
            )
        )
    return "\n\n".join(parts) + "\n"


@dataclass(frozen=True, slots=True)
class _Given:
    """One setting as somebody wrote it: `label` is how they would recognise it."""

    label: str
    section: str
    key: str
    value: Any
    from_environment: bool = False


def _sections() -> dict[str, type]:
    return {name: kind for name, kind in get_type_hints(Settings).items() if name != "source"}


def _read(source: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))  # Windows editors put a mark before the text
    except UnicodeDecodeError as error:
        raise SettingsError(f"{source}: not UTF-8 text: {error}") from error
    except ValueError as error:  # TOMLDecodeError, or a number of thousands of digits
        raise SettingsError(f"{source}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{source}: nested too deeply for settings") from error
    except OSError as error:
        raise SettingsError(f"{source}: cannot be read: {error.strerror}") from error


def _overrides(environ: Mapping[str, str]) -> list[_Given]:
    found = []
    for name in sorted(environ):
        section, dunder, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and dunder:
            found.append(_Given(name, section, key, environ[name], from_environment=True))
    return found


def _contradictions(listen: Mapping[str, Any]) -> list[str]:
    chosen = ListenSettings(**listen)
    if chosen.pause_ms <= chosen.hangover_ms:
        return []
    return [f"listen.pause_ms: {chosen.pause_ms} must not be more than listen.hangover_ms, {chosen.hangover_ms}"]


def _checked(item: _Given, sections: dict[str, type], folder: Path) -> Any:
    """The value, converted to the type of its setting; ValueError says what is wrong with it."""
    if item.section not in sections:
        raise ValueError(f"no such section{_nearest(item.section, sections)}")
    keys = {key.name: key for key in fields(sections[item.section])}
    if item.key not in keys:
        raise ValueError(f"no such setting{_nearest(item.key, keys)}")
    hint = get_type_hints(sections[item.section])[item.key]
    value = _parsed(item.value, hint) if item.from_environment else item.value
    if hint == Path | None:
        return _path(value, folder)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    if choices and value not in choices:
        raise ValueError(f"{_toml(value)} must be one of {', '.join(map(_toml, choices))}")
    return value if choices else _typed(value, hint, keys[item.key])


def _parsed(raw: str, hint: Any) -> Any:
    """The value of an environment variable: TOML where the setting is a number or a truth value, else as it stands."""
    if hint in (int, float, bool):
        try:
            return tomllib.loads(f"value = {raw}")["value"]
        except tomllib.TOMLDecodeError:
            pass
    return raw


def _path(value: Any, folder: Path) -> Path | None:
    """A relative path counts from the folder of the settings file."""
    if not isinstance(value, str):
        raise ValueError(f"{_toml(value)} must be a path in quotes")
    if "\0" in value:
        raise ValueError("a path cannot hold a NUL character")
    try:
        return folder / Path(value).expanduser() if value else None
    except RuntimeError as error:
        raise ValueError(f"{_toml(value)}: there is no such home directory") from error


def _typed(value: Any, hint: type, key: "Field[Any]") -> Any:
    fits = {
        bool: isinstance(value, bool),
        int: isinstance(value, int) and not isinstance(value, bool),
        float: isinstance(value, int | float) and not isinstance(value, bool),
        str: isinstance(value, str),
    }
    if not fits[hint]:
        raise ValueError(f"{_toml(value)} must be {_NOUNS[hint]}")
    if hint in (int, float):
        low, high = key.metadata["low"], key.metadata["high"]
        if not low <= value <= high:
            raise ValueError(f"{_toml(value)} must be between {low} and {high}")
    return hint(value)


_NOUNS = {bool: "true or false", int: "a whole number", float: "a number", str: "text in quotes"}


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _toml(value: Any) -> str:
    """The value as TOML writes it."""
    match value:
        case None:
            return '""'
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case _:
            return str(value)


def _meaning(key: "Field[Any]", hint: Any) -> str:
    """The description with the values that are allowed."""
    doc: str = key.metadata["doc"]
    if get_origin(hint) is Literal:
        choices = ", ".join(f"`{_toml(choice)}`" for choice in get_args(hint))
        return f"{doc} (one of {choices})"
    low, high = key.metadata["low"], key.metadata["high"]
    return f"{doc} ({low} to {high})" if math.isfinite(low) else doc
