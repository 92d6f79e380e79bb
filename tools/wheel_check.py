"""Builds the wheel, installs it in a clean virtual environment, and checks that it is whole and gets in nobody's way.

Run as `python -m tools.wheel_check` in the repository. Leaves nothing behind. pip's cache holds the llama.cpp that was
built for this machine, so that it is not built again.
"""

import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PACKAGES = frozenset({"device", "models", "voice", "memory", "firmware_bridge", "tools"})

# Runs inside the clean environment. A top-level name that two distributions provide belongs to whoever came last.
_CLASHES = """
import sys
from importlib.metadata import packages_distributions
owners = packages_distributions()
clashes = {name: owners[name] for name in sys.argv[1:] if set(owners.get(name, ())) != {"familiar-companion"}}
sys.exit(f"these top-level names are not ours alone: {clashes}" if clashes else 0)
"""


def main() -> None:
    """Exit status 0 if all is well, else 1 and the reason."""
    with tempfile.TemporaryDirectory(prefix="wheel-check-") as folder:
        place = Path(folder)
        wheel = _build(place)
        _check_contents(wheel)
        _check_installed(wheel, place)
    sys.stdout.write(f"{wheel.name} is whole, installs in a clean environment and clashes with nothing\n")


def _build(place: Path) -> Path:
    _run([sys.executable, "-m", "build", "--wheel", "--outdir", str(place), str(REPOSITORY)], cwd=place)
    (wheel,) = place.glob("*.whl")
    return wheel


def _check_contents(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.partition("/")[0] for name in names}
    strangers = {top for top in tops - PACKAGES if not top.endswith(".dist-info")}
    if strangers or PACKAGES - tops:
        sys.exit(f"the wheel holds {sorted(strangers)} that it should not and lacks {sorted(PACKAGES - tops)}")
    # Data files are what a packaging mistake loses first.
    if lost := sorted(_files_of_the_packages() - set(names)):
        sys.exit(f"the wheel lacks {lost}")


def _files_of_the_packages() -> set[str]:
    found = (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*") if path.is_file())
    return {str(path.relative_to(REPOSITORY)) for path in found if "__pycache__" not in path.parts}


def _check_installed(wheel: Path, place: Path) -> None:
    environment = place / "venv"
    venv.create(environment, with_pip=True)
    python = str(environment / "bin" / "python")
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
    _run([*pip, f"{wheel}[starter]"], cwd=place)
    _run([python, "-P", "-c", _CLASHES, *sorted(PACKAGES)], cwd=place)
    _run([str(environment / "bin" / "familiar"), "--help"], cwd=place)


def _run(command: list[str], *, cwd: Path) -> None:
    """Run a step away from the repository, where nothing is imported by accident; its output is shown if it fails."""
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command[:6])} …\n{done.stdout}{done.stderr}")


if __name__ == "__main__":
    main()
