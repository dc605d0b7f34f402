"""Whether sandboxes work on this machine, and if not, why and what to do."""

import errno
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from task_manager.embedded_engine.errors import SandboxUnavailableError, StorageError


@dataclass(frozen=True)
class Finding:
    """One thing that was checked. `required` ones must be `ok` for sandboxes to work."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    required: bool = True

    def plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return asdict(self)

    def line(self) -> str:
        """Return it as a line for people."""
        mark = "ok     " if self.ok else ("FAILED " if self.required else "note   ")
        return f"{mark} {self.name}: {self.detail}" + (f"\n        {self.remedy}" if self.remedy else "")


def require_usable(state_dir: Path) -> None:
    """Check what a session cannot do without.

    Raises:
        SandboxUnavailableError: The machine forbids or lacks it.
        StorageError: The state folder cannot hold layers.
    """
    for finding in examine(state_dir):
        if finding.required and not finding.ok:
            kind = StorageError if finding.name == "state folder" else SandboxUnavailableError
            raise kind(f"{finding.name}: {finding.detail}. {finding.remedy}")


def examine(state_dir: Path) -> list[Finding]:
    """Return every finding; what depends on a failed one is not checked."""
    if sys.platform != "linux":
        return [_other_system()]
    findings = [_user_namespace()]
    if not findings[0].ok:
        return findings
    findings += [_ids(), _state_folder(state_dir)]
    if findings[-1].ok:
        findings += _in_namespace(state_dir)
    return findings


def _other_system() -> Finding:
    system = {"darwin": "macOS", "win32": "Windows"}.get(sys.platform, sys.platform)
    remedy = (
        "Use a Dagger engine: install Docker Desktop (or another container runtime) and the dagger CLI; "
        "or run inside a Linux virtual machine."
    )
    return Finding("operating system", False, f"{system} has no Linux namespaces", remedy)


def _user_namespace() -> Finding:
    from task_manager.embedded_engine import kernel

    failure = _in_child(lambda: kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNS))
    if failure is None:
        return Finding("user namespaces", True, "can be created")
    detail, remedy = _namespace_cause(failure)
    return Finding("user namespaces", False, detail, remedy)


def _namespace_cause(failure: OSError) -> tuple[str, str]:
    """Return why user namespaces are refused, and what helps."""
    if _setting("user/max_user_namespaces") == "0":
        return "user.max_user_namespaces is 0", "Run: sudo sysctl -w user.max_user_namespaces=15000"
    if _setting("kernel/unprivileged_userns_clone") == "0":
        return "kernel.unprivileged_userns_clone is 0", "Run: sudo sysctl -w kernel.unprivileged_userns_clone=1"
    if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
        return _apparmor()
    if failure.errno == errno.ENOSPC:
        return "the limit of user namespaces is reached", "Run: sudo sysctl -w user.max_user_namespaces=15000"
    return _surroundings_cause(failure)


def _surroundings_cause(failure: OSError) -> tuple[str, str]:
    if _in_container():
        return _nested()
    if _seccomp_filtered():
        return (
            "a seccomp filter forbids them",
            "Start the surrounding service without the filter (systemd: RestrictNamespaces=no, SystemCallFilter=), "
            "or use a Dagger engine.",
        )
    return f"the kernel refused: {failure.strerror}", "Use a kernel with CONFIG_USER_NS, or a Dagger engine."


def _apparmor() -> tuple[str, str]:
    detail = "AppArmor forbids them to programs without a profile (kernel.apparmor_restrict_unprivileged_userns is 1)"
    remedy = (
        "Run: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0 "
        f"(or add an AppArmor profile with `userns,` for {os.path.realpath(sys.executable)})"
    )
    return detail, remedy


def _nested() -> tuple[str, str]:
    remedy = (
        "Start the surrounding container with: --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
        "--security-opt systempaths=unconfined (or --privileged), or use a Dagger engine."
    )
    return "the surrounding container forbids them", remedy


def _ids() -> Finding:
    from task_manager.embedded_engine.sandbox.user_namespace import planned_map

    kind = planned_map().kind
    if kind == "all":
        return Finding("ids", True, "all of the surrounding system's", required=False)
    if kind == "subordinate":
        return Finding("ids", True, "subordinate ids of /etc/subuid and /etc/subgid", required=False)
    remedy = (
        "For containers with several users: install newuidmap and newgidmap (package uidmap or shadow-utils), "
        "then run: sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER"
    )
    return Finding(
        "ids",
        False,
        "one id only: every file in a container belongs to it, and chown fails",
        remedy,
        required=False,
    )


def _state_folder(state_dir: Path) -> Finding:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        # A file without a name: nothing is left of it, however this process ends.
        with tempfile.TemporaryFile(dir=state_dir) as probe:
            probe.write(b"x" * 4096)
    except OSError as error:
        reason = (
            "is full"
            if error.errno in (errno.ENOSPC, errno.EDQUOT)
            else f"cannot be written: {(error.strerror or '').lower()}"
        )
        return Finding(
            "state folder",
            False,
            f"{state_dir} {reason}",
            "Free space, or name another with --state-dir or TASK_MANAGER_ENGINE_STATE_DIR.",
        )
    return Finding("state folder", True, str(state_dir))


def _in_namespace(state_dir: Path) -> list[Finding]:
    """Check what is only possible inside the user namespace, each in a process of its own."""
    overlay = _in_child(lambda: _try_overlay(state_dir))
    processes = _in_child(_try_processes)
    network = _in_child(_try_network)
    nested, sysctl = (
        _nested()[1],
        "Run: sudo sysctl -w user.max_net_namespaces=15000; in a container, use --privileged.",
    )
    return [
        _overlay_finding(overlay, state_dir),
        _finding(
            "process namespaces", processes, "a new /proc can be mounted", "a new /proc cannot be mounted", nested
        ),
        _finding("network namespaces", network, "can be created", "cannot be created", sysctl),
    ]


def _finding(name: str, failure: OSError | None, good: str, bad: str, remedy: str) -> Finding:
    if failure is None:
        return Finding(name, True, good)
    return Finding(name, False, f"{bad}: {(failure.strerror or str(failure)).lower()}", remedy)


def _overlay_finding(failure: OSError | None, state_dir: Path) -> Finding:
    if failure is None:
        return Finding("overlay file systems", True, f"can be mounted on {state_dir}")
    if failure.errno == errno.ENODEV:
        return Finding("overlay file systems", False, "the kernel has none", "Run: sudo modprobe overlay")
    remedy = (
        "Name a folder on ext4, xfs, btrfs or tmpfs with --state-dir or TASK_MANAGER_ENGINE_STATE_DIR "
        "(not on overlay, NFS or eCryptfs); kernels before 5.11 cannot mount overlays without root "
        f"(this is {platform.release()})."
    )
    return Finding(
        "overlay file systems", False, f"cannot be mounted on {state_dir}: {(failure.strerror or '').lower()}", remedy
    )


def _try_overlay(state_dir: Path) -> None:
    from task_manager.embedded_engine.sandbox.overlay import mount_overlay
    from task_manager.embedded_engine.sandbox.user_namespace import enter, planned_map
    from task_manager.embedded_engine.store.trees import remove_tree

    enter(planned_map())
    folder = state_dir / f".overlay-{os.getpid()}"
    try:
        paths = [folder / name for name in ("lower", "upper", "work")]
        for path in paths:
            path.mkdir(parents=True)
        (paths[0] / "file").touch()
        mounted = mount_overlay([str(paths[0])], str(paths[1]), str(paths[2]))
        os.unlink("file", dir_fd=mounted)
        os.close(mounted)
    finally:
        remove_tree(folder)


def _try_processes() -> None:
    from task_manager.embedded_engine import kernel
    from task_manager.embedded_engine.sandbox.user_namespace import enter, planned_map

    enter(planned_map())
    child = kernel.clone(kernel.CLONE_NEWPID | kernel.CLONE_NEWNS | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS)
    if child == 0:
        code = 0
        try:
            os.close(kernel.new_mount("proc", []))
        except OSError as error:
            code = error.errno or errno.EIO
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        raise OSError(code, os.strerror(code))


def _try_network() -> None:
    from task_manager.embedded_engine import kernel
    from task_manager.embedded_engine.sandbox.user_namespace import enter, planned_map

    enter(planned_map())
    kernel.unshare(kernel.CLONE_NEWNET)


def _in_child(attempt: Callable[[], None]) -> OSError | None:
    """Try something in a forked process and return its failure."""
    child = os.fork()
    if child == 0:
        code = 0
        try:
            attempt()
        except OSError as error:
            code = error.errno or errno.EIO
        except SandboxUnavailableError:
            code = errno.EPERM
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return OSError(code, os.strerror(code)) if code else None


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _in_container() -> bool:
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        return True
    try:
        return b"container=" in Path("/proc/1/environ").read_bytes()
    except OSError:
        return False


def _seccomp_filtered() -> bool:
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("Seccomp:"):
            return line.split()[1] == "2"
    return False
