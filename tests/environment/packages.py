"""The system packages that tests need; run as a program it names, and with `--install` installs, the missing ones."""

import shutil
from dataclasses import dataclass
from typing import Final

import pytest


@dataclass(frozen=True)
class Package:
    """One package of Debian: its name, the programs it brings that tests start, and what for."""

    name: str
    programs: tuple[str, ...]
    reason: str


PACKAGES: Final = (
    Package("busybox-static", ("busybox",), "the small image that engine tests run"),
    Package("docker-registry", ("docker-registry",), "serves images on loopback, so that pulling is real"),
    Package("mmdebstrap", ("mmdebstrap",), "builds the Python image of the built-in templates"),
    Package("uidmap", ("newuidmap", "newgidmap"), "user namespaces with more than one user, for an ordinary user"),
)


def require(name: str) -> None:
    """Skips the running test, saying which package to install, unless the package's programs are there."""
    (package,) = (known for known in PACKAGES if known.name == name)
    missing = [program for program in package.programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: install the package {name}")
