"""Process 1 of a sandbox: builds the file system, starts the command, reaps what is left behind.

It runs as a clone of the launcher. After the root is entered nothing may be imported any more: the interpreter's own
files are out of reach.
"""

import errno
import json
import os
import resource
import select
import signal
import socket
import stat
import subprocess
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from task_manager.embedded_engine import kernel
from task_manager.embedded_engine.sandbox.filesystem import build_root
from task_manager.embedded_engine.sandbox.links import raise_interface
from task_manager.embedded_engine.sandbox.network import plug_in
from task_manager.embedded_engine.sandbox.spec import DEFAULT_PATH, SandboxSpec
from task_manager.embedded_engine.sandbox.uplink import Uplink
from task_manager.embedded_engine.sandbox.users import Identity, UnknownUserError, resolve_identity

# The capabilities that container engines leave a root user by default; capability(7).
_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_FSETID, _CAP_KILL = 0, 1, 3, 4, 5
_CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP, _CAP_NET_BIND_SERVICE, _CAP_NET_RAW = 6, 7, 8, 10, 13
_CAP_SYS_CHROOT, _CAP_MKNOD, _CAP_AUDIT_WRITE, _CAP_SETFCAP = 18, 27, 29, 31
DEFAULT_CAPABILITIES = frozenset(
    {
        *(_CAP_CHOWN, _CAP_DAC_OVERRIDE, _CAP_FOWNER, _CAP_FSETID, _CAP_KILL, _CAP_SETGID, _CAP_SETUID, _CAP_SETPCAP),
        *(_CAP_NET_BIND_SERVICE, _CAP_NET_RAW, _CAP_SYS_CHROOT, _CAP_MKNOD, _CAP_AUDIT_WRITE, _CAP_SETFCAP),
    }
)
# To pass signals on to a command of another user.
_INIT_CAPABILITIES = frozenset({_CAP_KILL})
# The kernel does not give numbers below this one out again.
_RESERVED_PROCESSES = 300
_FIRST_INHERITED = 3
# What commands see as process 1, as in other engines.
_NAME = b".init"
_SIGNAL_BASE = 128


@dataclass(frozen=True)
class Surroundings:
    """What the launcher has for a sandbox.

    Attributes:
        network: The session's network; -1 where the spec does not ask for it.
        uplink: The way out, a network namespace to move to; None where process 1 is in its final one.
        call_filter: The filter of system calls that the command runs under; empty for none.
        bounds_processes: Whether the kernel bounds the processes of a namespace.
    """

    network: int
    uplink: Uplink | None
    call_filter: bytes
    bounds_processes: bool


def run(spec: SandboxSpec, standard: tuple[int, int, int], report: int, surroundings: Surroundings) -> NoReturn:
    """Be process 1 of a new sandbox; never returns.

    Args:
        spec: What to run.
        standard: The command's standard input, output and error.
        report: A pipe that takes one JSON object: `created` (paths made for mounts) or `error`.
        surroundings: What else it uses.
    """
    code = 1
    try:
        code = _run(spec, standard, report, surroundings)
    except UnknownUserError as error:
        _tell(report, {"error": str(error), "errno": 0})
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        _tell(report, {"error": f"{error.strerror}{where}", "errno": error.errno})
    finally:
        os._exit(code)


def is_abandoned(report: int) -> bool:
    """Return whether the session that would read a pipe is gone already.

    A parent that died before PR_SET_PDEATHSIG was set is never told of, prctl(2).

    Args:
        report: The pipe's writing end.
    """
    watched = select.poll()
    watched.register(report, 0)
    return bool(watched.poll(0))


def _run(spec: SandboxSpec, standard: tuple[int, int, int], report: int, surroundings: Surroundings) -> int:
    kernel.die_with_parent()
    if is_abandoned(report):
        return 1
    kernel.hide_from_tracing()
    kernel.name_process(_NAME)
    os.setsid()
    os.umask(0o022)
    socket.sethostname(spec.hostname)
    limits = _limit_processes(spec, surroundings)
    _enter_network(spec, surroundings.network, surroundings.uplink)
    root = build_root(spec)
    identity = resolve_identity(root.descriptor, spec.user)
    os.fchdir(root.descriptor)
    kernel.pivot_root_here()
    _enter_working_folder(spec.working_folder)
    if surroundings.uplink is not None:
        surroundings.uplink.wait()
    kernel.restrict_bounding_set(DEFAULT_CAPABILITIES)
    kernel.forbid_new_privileges()
    _tell(report, {"created": root.created})
    streams = _redirected(spec, standard)
    command = _Command(spec, identity, streams.command, limits, surroundings.call_filter)
    if not spec.init:
        _execute(command)
    forwarding = _Forwarding()
    # The object is kept: forgotten, it would wait for its process itself.
    spawned = _spawned(command, forwarding)
    child = spawned.pid if spawned else _forked(command)
    forwarding.begin(child)
    kernel.set_capabilities(_INIT_CAPABILITIES)
    return _attend(child, streams)


def _limit_processes(spec: SandboxSpec, surroundings: Surroundings) -> Mapping[int, int]:
    """Bound the processes of this process namespace; where that is not possible, return the limit of the user's own."""
    processes = spec.limits.get("processes")
    if processes is None:
        return {}
    if surroundings.bounds_processes:
        setting = os.open("/proc/sys/kernel/pid_max", os.O_WRONLY | os.O_CLOEXEC)
        os.write(setting, b"%d" % (processes + _RESERVED_PROCESSES + 1))
        os.close(setting)
        return {}
    return {resource.RLIMIT_NPROC: processes}


def _lower(limits: Mapping[int, int]) -> None:
    for limit, value in limits.items():
        _, hard = resource.getrlimit(limit)
        lower = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (lower, lower))


def _enter_network(spec: SandboxSpec, network: int, uplink: Uplink | None) -> None:
    if uplink is not None:
        kernel.enter_namespace(uplink.namespace)
    elif spec.network != "host":
        raise_interface("lo")
    if spec.address:
        plug_in(network, spec.address, isolated=spec.isolated)


def _tell(report: int, message: Mapping[str, object]) -> None:
    os.write(report, json.dumps(message).encode() + b"\n")


def _enter_working_folder(path: str) -> None:
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
        os.chdir(path)
    except FileExistsError:
        raise OSError(errno.ENOTDIR, "the working folder is not a folder:", path) from None


class _Forwarding:
    """Passes SIGTERM on to the command, also one that came before the command was there.

    The launcher hands it down blocked, so that none is lost on the way to here.
    """

    def __init__(self) -> None:
        self._child = 0
        self._early = False

    def expect(self) -> None:
        """Take signals from now on, for a command that is about to begin."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})

    def begin(self, child: int) -> None:
        """Pass on to a command what comes, and what came."""
        self.expect()
        self._child = child
        if self._early:
            os.kill(child, signal.SIGTERM)

    def _on_signal(self, *_: object) -> None:
        if self._child:
            os.kill(self._child, signal.SIGTERM)
        else:
            self._early = True


class _Streams:
    """The command's standard streams, and the pipes that are copied twice: to the session and to a file."""

    def __init__(self, command: tuple[int, int, int]) -> None:
        self.command = command
        # A pipe's reading end, then where its bytes go.
        self.copies: dict[int, tuple[int, int]] = {}


def _redirected(spec: SandboxSpec, standard: tuple[int, int, int]) -> _Streams:
    source, *sinks = standard
    if spec.redirect_stdin:
        source = os.open(spec.redirect_stdin, os.O_RDONLY | os.O_CLOEXEC)
    streams = _Streams((source, sinks[0], sinks[1]))
    ends = []
    for sink, path in zip(sinks, (spec.redirect_stdout, spec.redirect_stderr), strict=True):
        if not path:
            ends.append(sink)
            continue
        reading, writing = os.pipe()
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        streams.copies[reading] = (sink, file)
        ends.append(writing)
    streams.command = (source, ends[0], ends[1])
    return streams


def _attend(child: int, streams: _Streams) -> int:
    """Copy redirected output, reap every orphan, and return the command's exit code."""
    kept = {*streams.copies, *(sink for pair in streams.copies.values() for sink in pair)}
    for descriptor in streams.command:
        if descriptor not in kept:
            os.close(descriptor)
    ended: int | None = None
    while streams.copies and ended is None:
        _copy_ready(streams, seconds=0.02)
        ended = _reaped(child, os.WNOHANG)
    while ended is None:
        ended = _reaped(child, 0)
    while streams.copies and _copy_ready(streams, seconds=0):
        pass
    return ended


def _reaped(child: int, options: int) -> int | None:
    process, status = os.waitpid(-1, options)
    if process != child:
        return None
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else _SIGNAL_BASE - code


def _copy_ready(streams: _Streams, *, seconds: float) -> bool:
    ready, _, _ = select.select(list(streams.copies), [], [], seconds)
    for reading in ready:
        data = os.read(reading, 65536)
        if not data:
            del streams.copies[reading]
        for sink in streams.copies.get(reading, ()):
            _write_all(sink, data)
    return bool(ready)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


@dataclass(frozen=True)
class _Command:
    """What is to be started: as whom, with which standard streams, limits and filter of system calls."""

    spec: SandboxSpec
    identity: Identity
    streams: tuple[int, int, int]
    limits: Mapping[int, int]
    call_filter: bytes

    def environment(self) -> dict[str, str]:
        """Return its environment."""
        return {"PATH": DEFAULT_PATH, "HOME": self.identity.home, **dict(self.spec.environment)}

    def find(self) -> str:
        """Return its program.

        Raises:
            FileNotFoundError: Its search path has none of that name.
        """
        return _find(self.spec.arguments[0], self.environment().get("PATH", ""))

    def become(self, blocked: Collection[int] = ()) -> None:
        """Take on what the program inherits: identity, signals, limits, filter.

        Args:
            blocked: The signals that stay blocked for now.

        Raises:
            OSError: The kernel refused.
        """
        _become(self.identity)
        kernel.default_signals(blocked)
        _lower(self.limits)
        if self.call_filter:
            kernel.filter_calls(self.call_filter)


def _spawned(command: _Command, forwarding: _Forwarding) -> subprocess.Popen[bytes] | None:
    """Start a command of root by vfork(2): copying this process's memory takes longer than many a command.

    Returns:
        The command; None where it is another user's, has a limit of memory that this process shall not share, or
        cannot be started: a copy of this process says why.
    """
    if (command.identity.user, command.identity.group) != (0, 0) or "memory" in command.spec.limits:
        return None
    command.become(blocked={signal.SIGTERM})
    # What is blocked here would be so in the command.
    forwarding.expect()
    try:
        return subprocess.Popen(
            command.spec.arguments,
            executable=command.find(),
            stdin=command.streams[0],
            stdout=command.streams[1],
            stderr=command.streams[2],
            env=command.environment(),
            start_new_session=True,
        )
    except OSError:
        return None


def _forked(command: _Command) -> int:
    # The copy must not take for its own what comes before it lets signals through.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    child = os.fork()
    if child == 0:
        _execute(command)
    return child


def _execute(command: _Command) -> NoReturn:
    """Become the command; where that fails, say on its standard error what a Go program would, and end with 1."""
    try:
        if command.spec.init:
            os.setsid()
        for target, descriptor in enumerate(command.streams):
            os.dup2(descriptor, target)
        os.closerange(_FIRST_INHERITED, os.sysconf("SC_OPEN_MAX"))
        command.become()
        program, arguments, environment = command.find(), list(command.spec.arguments), command.environment()
        if memory := command.spec.limits.get("memory"):
            _lower({resource.RLIMIT_DATA: memory})
        os.execve(program, arguments, environment)  # noqa: S606 - running commands is its purpose
    except OSError as error:
        os.write(2, _refusal(command.spec.arguments[0], error).encode())
    finally:
        os._exit(1)


def _become(identity: Identity) -> None:
    # user_namespaces(7): setgroups stays denied where only one id is mapped; then there is no group to give up.
    with suppress(PermissionError):
        os.setgroups(list(identity.groups))
    try:
        os.setgid(identity.group)
        os.setuid(identity.user)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _rename_single_id(identity)
        return
    if identity.user == 0:
        kernel.set_capabilities(DEFAULT_CAPABILITIES)


def _rename_single_id(identity: Identity) -> None:
    """Where the session has one id only, let it go by the wanted one in a user namespace of the command's own."""
    kernel.show_to_tracing()
    kernel.unshare(kernel.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"{identity.user} 0 1\n", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{identity.group} 0 1\n", encoding="ascii")
    kernel.set_capabilities(frozenset())


def _find(program: str, path: str) -> str:
    """Return the file that a program's name stands for, looked for in `path` unless it has a folder part."""
    if "/" in program:
        return program
    for folder in path.split(":"):
        candidate = f"{folder or '.'}/{program}"
        if _runnable(candidate):
            return candidate
    raise FileNotFoundError(errno.ENOENT, "executable file not found in $PATH", None)


def _runnable(path: str) -> bool:
    try:
        mode = Path(path).stat().st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and bool(mode & 0o111)


def _refusal(program: str, error: OSError) -> str:
    if "/" in program:
        return f"fork/exec {program}: {(error.strerror or '').lower()}\n"
    if error.strerror == "executable file not found in $PATH":
        return f'exec: "{program}": executable file not found in $PATH\n'
    return f"fork/exec {program}: {(error.strerror or '').lower()}\n"
