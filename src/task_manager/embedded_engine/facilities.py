"""What sandboxes offer on this machine beyond what they need: other machines, a filter of system calls, limits."""

import os
import platform
import shutil
from typing import TYPE_CHECKING, NoReturn

from task_manager.embedded_engine.config import NETWORK_VARIABLE, EngineConfig
from task_manager.embedded_engine.doctor import Finding
from task_manager.embedded_engine.quantities import format_size

if TYPE_CHECKING:
    from task_manager.embedded_engine.sandbox.uplink import Carrier

_ALONE = "commands reach their loopback and their services alone"
_SHARED = f"or share the host's network with commands: set network to host, or {NETWORK_VARIABLE}=host."


def examine_facilities(config: EngineConfig) -> list[Finding]:
    """Return what commands of a session with these settings get; call it where sandboxes work."""
    return [_network(config), _filter(), *_limits(config)]


def _network(config: EngineConfig) -> Finding:
    if config.network == "host":
        return _offered("network", "commands share the host's, loopback included, since the setting network is host")
    if config.network == "none":
        return _offered("network", f"{_ALONE}, since the setting network is none")
    return _way_out()


def _filter() -> Finding:
    from task_manager.embedded_engine import kernel
    from task_manager.embedded_engine.sandbox.seccomp import assemble

    name, machine = "system call filter", platform.machine()
    if not assemble(machine):
        return _missing(name, f"none: no system call numbers are known for {machine}", "Use x86_64 or aarch64.")
    if not kernel.takes_filters():
        return _missing(name, "none: the kernel offers none", "Use a kernel with CONFIG_SECCOMP_FILTER.")
    return _offered(name, "commands are refused what containers are refused by default")


def _limits(config: EngineConfig) -> list[Finding]:
    return [_processes(config.max_processes), _memory(config.max_memory), _output(config.max_output)]


def _processes(limit: int | None) -> Finding:
    from task_manager.embedded_engine import kernel

    name = "limit of processes"
    if limit is None:
        return _offered(name, "none, since the setting max_processes is none")
    if kernel.bounds_process_namespaces():
        return _offered(name, f"{limit} for each command")
    detail = f"{limit} for all commands of a session that run as one user; none for those of the real root"
    return _missing(name, detail, "For a limit of each command: use Linux 6.14 or later.")


def _memory(limit: int | None) -> Finding:
    if limit is None:
        return _offered("limit of memory", "none; the setting max_memory gives each process one")
    return _offered("limit of memory", f"{format_size(limit)} for each process; none for commands as a whole")


def _output(limit: int | None) -> Finding:
    kept = "all" if limit is None else f"{format_size(limit)} of each stream, and its end"
    return _offered("limit of output", f"{kept} is kept; the setting max_output")


def _way_out() -> Finding:
    from task_manager.embedded_engine.sandbox.uplink import TUNNELS, find_carrier, open_way_out

    carrier, reason = open_way_out(shutil.which)
    if carrier is None and find_carrier(shutil.which) is None:
        return _missing("network", f"{_ALONE}: {reason}", f"Install pasta (package passt) or slirp4netns, {_SHARED}")
    if carrier is None:
        remedy = f"Run: sudo modprobe tun && sudo chmod 666 {TUNNELS} (in a container: --device {TUNNELS}), {_SHARED}"
        return _missing("network", f"{_ALONE}: {reason}", remedy)
    failure = _connecting_failure(carrier)
    if carrier.gateway >= 0:
        os.close(carrier.gateway)
    if failure is None and carrier.gateway >= 0:
        return _offered("network", f"commands reach other machines by address translation ({carrier.path})")
    if failure is None:
        return _offered("network", f"commands reach other machines by {carrier.name} ({carrier.path})")
    return _missing("network", f"{_ALONE}, since {carrier.path} fails: {failure}", f"Mend it, {_SHARED}")


def _offered(name: str, detail: str) -> Finding:
    return Finding(name, True, detail, required=False)


def _missing(name: str, detail: str, remedy: str) -> Finding:
    return Finding(name, False, detail, remedy, required=False)


def _connecting_failure(carrier: "Carrier") -> str | None:
    """Connect a network namespace as a session does; return what went wrong."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        _connect(carrier, writing)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8", errors="replace") as pipe:
        said = " ".join(pipe.read().split())
    _, status = os.waitpid(child, 0)
    return said or ("no network namespace can be made" if status else None)


def _connect(carrier: "Carrier", complaints: int) -> NoReturn:
    """Be the process that holds a connected namespace for a moment."""
    from task_manager.embedded_engine.sandbox.uplink import Uplinks
    from task_manager.embedded_engine.sandbox.user_namespace import enter, planned_map

    code = 1
    try:
        # The keeper of a namespace says on standard error what fails.
        os.dup2(complaints, 2)
        enter(planned_map())
        uplink = Uplinks(carrier).take()
        if uplink is not None:
            uplink.wait()
            code = 0
    finally:
        os._exit(code)
