"""Toolchains of other languages, which come as packages of Python: where they lie and how they are run."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.environment.oci import SYSTEM_PATH

_PASSED_ON: Final = re.compile(
    r"home|xdg_config_home|npm_config_\w+|go(proxy|sumdb|nosumdb|noproxy|private|insecure|env)"
    r"|(https?|all|no)_proxy|ssl_cert_(file|dir)|node_extra_ca_certs",
    re.IGNORECASE,
)
"""The variables that say where packages are fetched from; nothing else of the environment changes what is built."""


def toolchain_folder(package: str) -> Path:
    """Returns the folder that a toolchain's package of Python is installed in."""
    found = find_spec(package)
    if found is None or found.origin is None:
        raise RuntimeError(f"the package {package} is not installed: install requirements/dev.txt")
    return Path(found.origin).parent


def run_toolchain(command: Sequence[str | Path], folder: Path, settings: Mapping[str, str]) -> None:
    """Runs a command of a toolchain in a folder, with little more in its environment than `settings`.

    Raises:
        RuntimeError: The command failed; the message has what it wrote.
    """
    passed_on = {name: value for name, value in os.environ.items() if value and _PASSED_ON.fullmatch(name)}
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={"PATH": SYSTEM_PATH, **passed_on, **settings},
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))} failed with exit code {done.returncode}:\n{done.stdout}")
