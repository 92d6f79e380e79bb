"""Writes the generated documentation: CONFIGURATION.md, from the definitions of the settings.

Run as `make docs` in the repository; a test compares the file with what would be written.
"""

from pathlib import Path

from device.settings_file import reference

CONFIGURATION = Path(__file__).parents[1] / "CONFIGURATION.md"

_INTRODUCTION = """\
# Configuration

<!-- Written by `make docs` from device/settings.py: change it there. -->

Settings are read from one TOML file: the one named by `--config`, else by `$FAMILIAR_CONFIG`, else
`~/.config/familiar/familiar.toml`, else `/etc/familiar/familiar.toml`, else there is none and the defaults hold. Any
setting can be overridden by an environment variable `FAMILIAR_SECTION__KEY`, for instance
`FAMILIAR_LISTEN__LANGUAGE=de`. A mistake anywhere stops the start and is named with its place; `familiar doctor` says
which file is in use.

```toml
[person]
name = "Ada"

[listen]
model = "whisper-base.en"

[think]
context_tokens = 4096
```

Models, memories and caches lie in the state directory: `$FAMILIAR_STATE`, else the `$STATE_DIRECTORY` that systemd
sets, else `~/.local/share/familiar`. Relative paths among the settings count from the folder of the settings file,
without one from the working directory.

"""


def configuration() -> str:
    """The whole text of CONFIGURATION.md."""
    return _INTRODUCTION + reference()


def main() -> None:
    """Write the file."""
    CONFIGURATION.write_text(configuration(), encoding="utf-8")


if __name__ == "__main__":
    main()
