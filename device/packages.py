"""The lines that install a package, to be shown to a person whose machine lacks one or has a poor build of it.

They name this very Python, because the `pip` on a person's PATH is often another one's, and the versions that our own
distribution asks for, read from its metadata.
"""

import importlib.metadata
import re
import shlex
import sys

DISTRIBUTION = "familiar-companion"


def install_line(*packages: str) -> str:
    """The shell line that installs these packages."""
    return _pip("install", *map(_requirement, packages))


def rebuild_line(package: str) -> str:
    """The shell line that builds an installed package anew for this processor, and leaves all others as they are."""
    options = ("--force-reinstall", "--no-deps", "--no-cache-dir", "--no-binary", package)
    return _pip("install", *options, _requirement(package))


def _pip(*arguments: str) -> str:
    return shlex.join([sys.executable, "-m", "pip", *arguments])


def _requirement(package: str) -> str:
    """The package with the versions that fit; only its name where we run without having been installed."""
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        return package
    for requirement in requirements:
        wanted, _, _ = requirement.partition(";")  # after it: the extra that brings the package
        if re.fullmatch(rf"{re.escape(package)}\s*([<>=!~].*)?", wanted.strip()):
            return wanted.strip()
    return package
