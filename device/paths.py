"""Where things lie on this machine: the settings file and the state directory, found from the environment alone.

Nothing is created here; whoever writes a file creates its folder.
"""

from collections.abc import Mapping
from pathlib import Path

from device.errors import SettingsError

SYSTEM_SETTINGS = Path("/etc/familiar/familiar.toml")


def home(environ: Mapping[str, str]) -> Path:
    """The person's home; a service without $HOME gets it from the user database."""
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def settings_file(explicit: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The settings file in use, or None for the defaults. A file that was asked for by name must exist."""
    named = explicit or (_expanded("FAMILIAR_CONFIG", environ) if environ.get("FAMILIAR_CONFIG") else None)
    if named is not None:
        if not named.is_file():
            asked = "--config" if explicit else "$FAMILIAR_CONFIG"
            raise SettingsError(f"{named}: there is no such settings file (asked for by {asked})")
        return named
    own = home(environ) / ".config" / "familiar" / "familiar.toml"
    return next((path for path in (own, SYSTEM_SETTINGS) if path.is_file()), None)


def state_dir(environ: Mapping[str, str]) -> Path:
    """The folder for models, memory and caches: $FAMILIAR_STATE, else systemd's $STATE_DIRECTORY, else the home."""
    if environ.get("FAMILIAR_STATE"):
        return _expanded("FAMILIAR_STATE", environ).absolute()
    if environ.get("STATE_DIRECTORY"):
        # systemd separates several StateDirectory= entries with colons; the first is ours.
        return Path(environ["STATE_DIRECTORY"].partition(":")[0])
    return home(environ) / ".local" / "share" / "familiar"


def models_dir(environ: Mapping[str, str]) -> Path:
    """The model store's folder."""
    return state_dir(environ) / "models"


def memory_file(environ: Mapping[str, str]) -> Path:
    """The memory database."""
    return state_dir(environ) / "memory.db"


def states_dir(environ: Mapping[str, str]) -> Path:
    """The folder of what the engine's cache holds across starts."""
    return state_dir(environ) / "states"


def hub_cache_dir(environ: Mapping[str, str]) -> Path:
    """Where huggingface_hub keeps what other programs of this person have already downloaded."""
    if environ.get("HF_HUB_CACHE"):
        return _expanded("HF_HUB_CACHE", environ)
    if environ.get("HF_HOME"):
        return _expanded("HF_HOME", environ) / "hub"
    cache = Path(environ["XDG_CACHE_HOME"]) if environ.get("XDG_CACHE_HOME") else home(environ) / ".cache"
    return cache / "huggingface" / "hub"


def _expanded(variable: str, environ: Mapping[str, str]) -> Path:
    """The path that the variable holds, a leading `~` or `~user` resolved."""
    try:
        return Path(environ[variable]).expanduser()
    except RuntimeError as error:
        raise SettingsError(f"${variable} = {environ[variable]}: there is no such home directory") from error
