"""The set-up script on machines that lack something, played by stubs on PATH; nothing is installed."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "setup.sh"
BORROWED = "sh dirname grep tr find head cut sha256sum cat env"


class Machine:
    """A folder with a copy of the script, and a PATH that holds only what a test puts there."""

    def __init__(self, folder: Path) -> None:
        self.repository = folder / "repository"
        self.bin = folder / "bin"
        self.log = folder / "apt.log"
        (self.repository / "tools").mkdir(parents=True)
        self.bin.mkdir()
        self.log.touch()
        shutil.copy(SCRIPT, self.repository / "tools")
        (self.repository / "pyproject.toml").write_text("[project]\n")
        for tool in BORROWED.split():
            found = shutil.which(tool)
            assert found, tool
            (self.bin / tool).symlink_to(found)
        (self.bin / "python3").symlink_to(sys.executable)
        self.stub("id", "echo 1000")
        self.stub("dpkg-query", "exit 1")
        self.stub("apt-get", f'echo "$@" >>{self.log}')

    def stub(self, name: str, does: str) -> None:
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{does}\n")
        path.chmod(0o755)

    def has_built(self) -> None:
        """A virtual environment with llama.cpp in it, as an earlier run left it; pip is recorded, too."""
        site = self.repository / ".venv" / "lib" / "site-packages" / "llama_cpp" / "lib"
        site.mkdir(parents=True)
        (site / "libllama.so").touch()
        python = self.repository / ".venv" / "bin" / "python"
        python.parent.mkdir()
        python.write_text(f'#!/bin/sh\necho "$@" >>{self.log}\n')
        python.chmod(0o755)

    def set_up(self, purpose: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(self.repository / "tools" / "setup.sh"), purpose],
            env={"PATH": str(self.bin), "HOME": str(self.repository)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def done(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    if os.name != "posix" or shutil.which("sh") is None:
        pytest.skip("needs a POSIX shell")
    return Machine(tmp_path)


def test_who_may_not_install_gets_the_line_to_run(machine: Machine) -> None:
    done = machine.set_up("talk")
    assert done.returncode == 1
    assert "sudo apt-get install -y --no-install-recommends build-essential" in done.stderr
    assert "libportaudio2" in done.stderr
    assert machine.done() == []


def test_root_gets_the_missing_packages_installed(machine: Machine) -> None:
    machine.stub("id", "echo 0")
    machine.has_built()
    assert machine.set_up("test").returncode == 0
    update, install, *_ = machine.done()
    assert update == "update -qq"
    assert install.startswith("install -y --no-install-recommends libportaudio2")
    assert "pulseaudio-utils" in install
    assert "build-essential" not in install, "llama.cpp is built already"


def test_missing_sound_does_not_stop_who_may_not_install(machine: Machine) -> None:
    machine.has_built()
    done = machine.set_up("talk")
    assert done.returncode == 0
    assert "please have these packages installed" in done.stderr
    assert any("pip install" in line and ".[starter]" in line for line in machine.done())


def test_nothing_is_done_twice(machine: Machine) -> None:
    machine.has_built()
    machine.stub("dpkg-query", "echo 'install ok installed'")
    assert machine.set_up("talk").returncode == 0
    first = machine.done()
    assert machine.set_up("talk").returncode == 0
    assert machine.done() == first

    (machine.repository / "pyproject.toml").write_text("[project]\nversion = '2'\n")
    assert machine.set_up("talk").returncode == 0
    assert len(machine.done()) > len(first)


def test_an_old_python_is_refused(machine: Machine) -> None:
    (machine.bin / "python3").unlink()
    machine.stub("python3", "exit 1")
    done = machine.set_up("talk")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr


def test_an_unknown_purpose_is_refused(machine: Machine) -> None:
    assert "usage" in machine.set_up("fly").stderr
