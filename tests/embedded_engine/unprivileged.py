"""Runs a command as an ordinary user, in a mount namespace where the interpreter can be reached; needs root.

    python -m tests.embedded_engine.unprivileged --ids subordinate|single FOLDER COMMAND...

The interpreter may live in a folder that only root can enter, such as root's home. In a namespace of its own, such
folders are covered by an empty one that everybody can enter, and what is needed of them is bound back at its place.
With `subordinate`, /etc/subuid and /etc/subgid there give the user ids of its own; with `single` they give none.
"""

import argparse
import os
import stat
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NoReturn

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox.uplink import TUNNELS

Ids = Literal["subordinate", "single"]
USER, USER_ID, GROUP_ID = "nobody", 65534, 65534
_FIRST_SUBORDINATE, _SUBORDINATE_COUNT = 1_200_000, 65536


def run_unprivileged(
    folder: Path, command: Sequence[str], *, ids: Ids, timeout: float, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a command as an ordinary user; HOME and TMPDIR are in `folder`, which becomes that user's."""
    for name in ("home", "tmp"):
        (folder / name).mkdir(exist_ok=True)
        os.chown(folder / name, USER_ID, GROUP_ID)
    os.chown(folder, USER_ID, GROUP_ID)
    return subprocess.run(
        [sys.executable, "-m", __name__, "--ids", ids, str(folder), *command],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )


def needed_folders() -> list[Path]:
    """Returns the folders that the tests are run from: the interpreter's and this checkout."""
    found = {Path(prefix) for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}
    return sorted({*found, Path(__file__).parents[2]})


def closed_ancestor(path: Path) -> Path | None:
    """Returns the uppermost folder above a path that only its owner can enter, if there is one."""
    for ancestor in reversed(path.parents):
        if not ancestor.stat().st_mode & stat.S_IXOTH:
            return ancestor
    return None


def _uncover(needed: Sequence[Path]) -> None:
    """Covers closed folders and binds what is needed of them back."""
    inside: dict[Path, list[Path]] = {}
    for path in needed:
        if (closed := closed_ancestor(path)) is not None:
            inside.setdefault(closed, []).append(path)
    for closed, paths in inside.items():
        kept = [(path, kernel.open_tree(str(path), recursive=True)) for path in paths]
        kernel.mount("tmpfs", str(closed), "tmpfs", 0, "mode=755")
        for path, mounted in kept:
            path.mkdir(parents=True, exist_ok=True)
            landing = os.open(path, os.O_PATH | os.O_DIRECTORY)
            kernel.move_mount(mounted, landing)


def _give_ids(folder: Path, ids: Ids) -> None:
    line = f"{USER}:{_FIRST_SUBORDINATE}:{_SUBORDINATE_COUNT}\n" if ids == "subordinate" else ""
    for name in ("subuid", "subgid"):
        own = folder / name
        own.write_text(line)
        target = Path("/etc") / name
        if ids == "subordinate":
            target.touch()
        if target.exists():
            kernel.mount(str(own), str(target), "none", kernel.MS_BIND)


def _open_tunnels() -> None:
    """Gives everybody in the namespace the device that connects networks, as most distributions do."""
    device = Path(TUNNELS)
    if not device.exists():
        return
    number = device.stat().st_rdev
    kernel.mount("tmpfs", str(device.parent), "tmpfs", 0, "mode=755")
    os.mknod(device, stat.S_IFCHR | 0o666, number)
    device.chmod(0o666)


def _become_user(folder: Path, command: Sequence[str]) -> NoReturn:
    os.setgroups([])
    os.setgid(GROUP_ID)
    os.setuid(USER_ID)
    os.umask(0o022)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "PYTEST_"))}
    environment = {**kept, "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"), "USER": USER}
    os.execvpe(command[0], list(command), environment)  # noqa: S606 - becoming a command is its purpose


def main() -> NoReturn:
    """Enters the namespace, gives up root and becomes the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--ids", choices=("subordinate", "single"), required=True)
    parser.add_argument("folder", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    kernel.unshare(kernel.CLONE_NEWNS)
    kernel.mount("none", "/", "none", kernel.MS_REC | kernel.MS_PRIVATE)
    _give_ids(options.folder, options.ids)
    _uncover(needed_folders())
    _open_tunnels()
    _become_user(options.folder, options.command)


if __name__ == "__main__":
    main()
