"""Running `familiar memory ...` as the program does, for tests of it."""

import io
import json
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from device import cli


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class _Terminal(io.StringIO):
    """Somebody who answers."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"{answer}\n")

    def isatty(self) -> bool:
        return True


class Familiar:
    """Runs `familiar memory` with the arguments of a call; never a traceback."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str, answer: str | None = None) -> Done:
        """With an `answer` it is a person at a terminal."""
        self._monkeypatch.setattr(sys, "argv", ["familiar", "memory", *arguments])
        self._monkeypatch.setattr(sys, "stdin", _Terminal(answer) if answer is not None else io.StringIO())
        self._capsys.readouterr()
        try:
            cli.main()
            status: Any = 0
        except SystemExit as leaving:
            status = leaving.code or 0
        said = self._capsys.readouterr()
        assert "Traceback" not in said.err
        return Done(status, said.out, said.err)


def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state directory of a person of their own, with nothing set up."""
    for name in [name for name in os.environ if name.startswith("FAMILIAR_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("FAMILIAR_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TZ", "UTC")
    return tmp_path / "state"
