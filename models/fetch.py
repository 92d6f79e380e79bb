"""Fetching files with the machine's own download programs: pip for wheels, huggingface_hub for repositories.

Both run as child processes that fill a folder. So the person's own configuration of them counts (proxy, mirror,
credentials), a crash or hang of theirs is not ours, Ctrl-C ends them, and progress is the growth of the folder. What
arrives is unverified; checking and installing it is left to `models.store`.
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

# The root cause ("Name or service not known") says more in one line than the client's own paragraph about it.
_HUB_SCRIPT = """
import sys
from huggingface_hub import hf_hub_download
repo, revision, folder, *paths = sys.argv[1:]
try:
    for path in paths:
        hf_hub_download(repo_id=repo, filename=path, revision=revision, local_dir=folder)
except Exception as error:
    while error.__cause__ is not None:
        error = error.__cause__
    sys.exit("ERROR: " + (str(error) or type(error).__name__).strip().splitlines()[0])
"""


class FetchFailedError(Exception):
    """The download program gave up; the message is its own last word."""


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
    """Download `files` to their paths below `folder`; an earlier attempt that left parts there is resumed."""
    wanted = list(files)
    command = [sys.executable, "-P", "-c", _HUB_SCRIPT, source.repo, source.revision, str(folder)]
    command += [file.path for file in wanted]
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
            raise FetchFailedError(_last_word(complaints.read().decode(errors="replace")))
    progress(total_bytes, total_bytes)


def _wait(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(timeout=_POLL_S)
    except subprocess.TimeoutExpired:
        return


def _last_word(complaints: str) -> str:
    lines = [line.strip() for line in complaints.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return (errors or lines or ["it said nothing"])[-1].removeprefix("ERROR: ")
