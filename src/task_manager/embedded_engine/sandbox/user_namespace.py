"""Entering the user namespace that the whole session lives in.

Done once, before any thread starts: user_namespaces(7) lets only a single-threaded process enter one. As root every id
of
the surrounding namespace is mapped to itself; otherwise the subordinate ids of /etc/subuid and /etc/subgid are mapped
by newuidmap and newgidmap, and where these are missing, only the user's own id, as 0.
"""

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.errors import SandboxUnavailableError

MapKind = Literal["all", "subordinate", "single"]
_CAP_SETUID = 7


@dataclass(frozen=True)
class IdRange:
    """`count` ids from `inside` on in the namespace stand for those from `outside` on around it."""

    inside: int
    outside: int
    count: int


@dataclass(frozen=True)
class IdMap:
    """Which user and group ids exist in the namespace, and where they come from."""

    kind: MapKind
    users: tuple[IdRange, ...]
    groups: tuple[IdRange, ...]


def planned_map() -> IdMap:
    """Return the best map that this user may have."""
    if _may_set_ids():
        return IdMap("all", _mirrored("/proc/self/uid_map"), _mirrored("/proc/self/gid_map"))
    own_user, own_group = IdRange(0, os.geteuid(), 1), IdRange(0, os.getegid(), 1)
    users, groups = subordinate_ids("/etc/subuid"), subordinate_ids("/etc/subgid")
    if users and groups and shutil.which("newuidmap") and shutil.which("newgidmap"):
        return IdMap("subordinate", (own_user, *users), (own_group, *groups))
    return IdMap("single", (own_user,), (own_group,))


def subordinate_ids(path: str) -> tuple[IdRange, ...]:
    """Return the ranges that `path`, in the form of subuid(5), gives this user, laid out from id 1 on."""
    names = {str(os.geteuid())}
    try:
        names.add(pwd.getpwuid(os.geteuid()).pw_name)
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, KeyError):
        return ()
    ranges: list[IdRange] = []
    for owner, start, count in (line.split(":") for line in lines if line.count(":") == 2):  # noqa: PLR2004
        if owner in names:
            inside = ranges[-1].inside + ranges[-1].count if ranges else 1
            ranges.append(IdRange(inside, int(start), int(count)))
    return tuple(ranges)


def enter(wanted: IdMap) -> IdMap:
    """Move this process into a user and a mount namespace of its own.

    Args:
        wanted: The ids to map; where newuidmap refuses, the single id is mapped instead.

    Returns:
        The map that holds now.

    Raises:
        SandboxUnavailableError: The kernel forbids it.
    """
    before, after = os.pipe(), os.pipe()
    helper = os.fork()
    if helper == 0:
        _map_parent(wanted, before, after)
    os.close(before[0])
    own_user, own_group = IdRange(0, os.geteuid(), 1), IdRange(0, os.getegid(), 1)
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS)
    except OSError as error:
        raise SandboxUnavailableError(f"user namespaces cannot be created: {error.strerror}") from error
    finally:
        os.close(before[1])
        _, status = os.waitpid(helper, 0)
        os.close(after[0])
        os.close(after[1])
    if status != 0:
        wanted = IdMap("single", (own_user,), (own_group,))
        _map_self(wanted)
    kernel.mount("none", "/", "none", kernel.MS_REC | kernel.MS_SLAVE)
    return wanted


def _may_set_ids() -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> _CAP_SETUID & 1)
    return False


def _mirrored(path: str) -> tuple[IdRange, ...]:
    rows = (line.split() for line in Path(path).read_text(encoding="ascii").splitlines())
    return tuple(IdRange(int(inside), int(inside), int(count)) for inside, _, count in rows)


def _map_parent(wanted: IdMap, before: tuple[int, int], after: tuple[int, int]) -> None:
    """Wait until the parent is in its namespace, then map its ids; never returns."""
    code = 1
    try:
        os.close(before[1])
        os.close(after[0])
        kernel.die_with_parent()
        os.read(before[0], 1)
        parent = os.getppid()
        _write_maps(wanted, parent)
        code = 0
    except (OSError, subprocess.SubprocessError):
        code = 1
    finally:
        os._exit(code)


def _write_maps(wanted: IdMap, process: int) -> None:
    if wanted.kind == "single":
        raise OSError("the process maps its single id itself")
    if wanted.kind == "subordinate":
        _run_mapper("newuidmap", process, wanted.users)
        _run_mapper("newgidmap", process, wanted.groups)
        return
    Path(f"/proc/{process}/uid_map").write_text(_lines(wanted.users), encoding="ascii")
    Path(f"/proc/{process}/gid_map").write_text(_lines(wanted.groups), encoding="ascii")


def _run_mapper(program: str, process: int, ranges: Sequence[IdRange]) -> None:
    numbers = [str(number) for r in ranges for number in (r.inside, r.outside, r.count)]
    subprocess.run([program, str(process), *numbers], check=True, capture_output=True)


def _map_self(single: IdMap) -> None:
    # user_namespaces(7): without privilege, setgroups must be denied before the group map is written.
    try:
        Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
        Path("/proc/self/uid_map").write_text(_lines(single.users), encoding="ascii")
        Path("/proc/self/gid_map").write_text(_lines(single.groups), encoding="ascii")
    except OSError as error:
        raise SandboxUnavailableError(f"the ids of a user namespace cannot be mapped: {error.strerror}") from error


def _lines(ranges: Sequence[IdRange]) -> str:
    return "".join(f"{r.inside} {r.outside} {r.count}\n" for r in ranges)
