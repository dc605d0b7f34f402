"""The system packages that tests need; run as a program it names the missing ones, and with `--install` installs them.

Where they cannot be installed, the tests that need them skip and say so.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

LOCK_SECONDS: Final = 300
"""How long to wait for another package manager at work."""


@dataclass(frozen=True)
class Package:
    """One package of Debian: its name, the programs it brings that tests start, and what for."""

    name: str
    programs: tuple[str, ...]
    reason: str


PACKAGES: Final = (
    Package("bubblewrap", ("bwrap",), "what steps in containers are measured beside"),
    Package("busybox-static", ("busybox",), "the small image that engine tests run"),
    Package("chromium", ("chromium",), "the browser that shows the dashboard"),
    Package("docker-registry", ("docker-registry",), "serves images on loopback, so that pulling is real"),
    Package("iproute2", ("ip",), "machines of their own for tests of the network"),
    Package("mmdebstrap", ("mmdebstrap",), "builds the Python image of the built-in templates"),
    Package(
        "nftables", ("nft",), "outbound network of commands, as root, where neither of the two others is installed"
    ),
    Package("passt", ("pasta",), "outbound network of commands, by default"),
    Package("postgresql", ("pg_ctlcluster",), "the store on PostgreSQL"),
    Package("redis-server", ("redis-server",), "the tier of the cache that machines share"),
    Package("slirp4netns", ("slirp4netns",), "outbound network of commands, where pasta is not installed"),
    Package("systemd", ("systemd-analyze",), "checks the service units"),
    Package("uidmap", ("newuidmap", "newgidmap"), "user namespaces with more than one user, for an ordinary user"),
)


def require(name: str) -> None:
    """Skips the running test, saying which package to install, unless the package's programs are there."""
    (package,) = (known for known in PACKAGES if known.name == name)
    require_programs(package)


def require_programs(package: Package) -> None:
    """Skips the running test as `require` does."""
    if absent := _absent_programs(package):
        pytest.skip(f"{', '.join(absent)} not found: install the package {package.name}")


def missing_packages() -> list[Package]:
    """Returns the packages that are not installed; without dpkg, those that bring a program that is not found."""
    if shutil.which("dpkg-query") is None:
        return [package for package in PACKAGES if _absent_programs(package)]
    listing = subprocess.run(
        ["dpkg-query", "--show", "--showformat=${Package} ${db:Status-Status}\n", *(known.name for known in PACKAGES)],
        check=False,  # It fails when it does not know one of them.
        capture_output=True,
        text=True,
    )
    installed = {line.split()[0] for line in listing.stdout.splitlines() if line.endswith(" installed")}
    return [package for package in PACKAGES if package.name not in installed]


def install(packages: Sequence[Package]) -> None:
    """Installs packages with apt, whose lists are fetched anew only where they do not suffice.

    Raises:
        subprocess.CalledProcessError: apt could not install them; its messages are in `stderr`.
    """
    wanted = ["install", "--yes", "--no-install-recommends", *(package.name for package in packages)]
    with _no_service_started():
        try:
            _apt(*wanted)
        except subprocess.CalledProcessError:
            _apt("update")
            _apt(*wanted)


def _absent_programs(package: Package) -> list[str]:
    return [program for program in package.programs if shutil.which(program) is None]


def _apt(*arguments: str) -> None:
    subprocess.run(
        ["apt-get", "-qq", "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments],
        check=True,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=os.environ | {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"},
    )


@contextlib.contextmanager
def _no_service_started(policy: Path = Path("/usr/sbin/policy-rc.d")) -> Iterator[None]:
    """Keeps packages from starting their services, unless the machine has a policy of its own (invoke-rc.d(8))."""
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _main(arguments: Sequence[str]) -> None:
    missing = missing_packages()
    failure = ""
    if missing and "--install" in arguments and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stdout.write(f"Installing what the tests need: {' '.join(package.name for package in missing)}\n")
        try:
            install(missing)
        except subprocess.CalledProcessError as error:
            failure = f"{error.stderr.strip()}\n"
        missing = missing_packages()
    if missing:
        lines = [f"  {package.name}: {package.reason}\n" for package in missing]
        sys.stderr.write(f"{failure}Not installed, so the tests that need them are skipped:\n{''.join(lines)}")


if __name__ == "__main__":
    _main(sys.argv[1:])
