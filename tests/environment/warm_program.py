"""`task-manager` without the time that loading it takes: a process that has loaded it forks for each call.

`warm_program` gives a command `task-manager` that hands its arguments, environment, working folder, standard streams
and signals over to that process, and ends as the call does. All else is as in a process of the call's own. Workers that
such calls start come to be in the same way. The process is started by the first of a test run that asks for it, and
ends with that run.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import importlib
import json
import os
import pkgutil
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final, NoReturn

PROGRAM: Final = "task-manager"
_RUN: Final = "WARM_PROGRAM_OF_TESTS"
_ADDRESS: Final = "address"
_LEFT_OUT: Final = tuple(
    f"task_manager.{name}" for name in ("embedded_engine", "__main__", "store.migrations", "dashboard", "testing")
)
_LOADED_LATE: Final = ("dagger", "dbos._sys_db_sqlite", "dbos._sys_db_postgres")
"""What is loaded by functions of those modules, and takes long."""

_COMMAND: Final = """\
#!{python} -ISs
import contextlib, json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(call)
    process = int.from_bytes(server.recv(4, socket.MSG_WAITALL), "big")
    def pass_on(number, _):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    code = int.from_bytes(server.recv(2, socket.MSG_WAITALL) or bytes([0, 70]), "big", signed=True)
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


def begin_run() -> None:
    """Have all processes of the test run that begins share one process that has loaded the program."""
    if _RUN not in os.environ:
        os.environ[_RUN] = f"{os.getpid()} {tempfile.gettempdir()}/warm-{os.urandom(8).hex()}"


def warm_program() -> Path:
    """The command `task-manager` of this test run, alone in its folder."""
    owner, _, place = os.environ[_RUN].partition(" ")
    folder = Path(place)
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / _ADDRESS).exists():
            _start(folder, owner)
    return folder / "bin" / PROGRAM


def _start(folder: Path, owner: str) -> None:
    command = [sys.executable, "-m", __name__, str(folder), owner]
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, start_new_session=True
    )
    assert process.stdout is not None
    with process.stdout as told:
        assert told.readline() == b"ready\n"
    process.returncode = 0  # It is nobody's to wait for: it ends with the run.


def _install(folder: Path) -> None:
    command = folder / "bin" / PROGRAM
    command.parent.mkdir()
    command.write_text(_COMMAND.format(python=sys.executable, address=str(folder / _ADDRESS)))
    command.chmod(0o755)
    from task_manager import worker_starting

    worker_starting.PROGRAM = (str(command),)


def _serve(folder: Path, owner: int) -> NoReturn:
    """Answer calls until the owner has ended."""
    run = os.pidfd_open(owner)
    _load()
    _install(folder)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / _ADDRESS))
        listener.listen()
        print("ready", flush=True)  # noqa: T201
        while run not in select.select([listener.fileno(), run], [], [])[0]:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _answer(connection)
            connection.close()
    shutil.rmtree(folder, ignore_errors=True)
    sys.exit()


def _load() -> None:
    package = importlib.import_module("task_manager")
    for module in pkgutil.walk_packages(package.__path__, "task_manager."):
        if not module.name.startswith(_LEFT_OUT):
            importlib.import_module(module.name)
    for name in _LOADED_LATE:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # What all calls share is then neither searched nor copied by each of them.


def _answer(connection: socket.socket) -> NoReturn:
    length, streams, _, _ = socket.recv_fds(connection, 4, 3)
    (size,) = struct.unpack(">I", length)
    arguments, folder, environment = json.loads(connection.recv(size, socket.MSG_WAITALL))
    child = os.fork()
    if child == 0:
        connection.close()
        _call(streams, arguments, folder, environment)
    for stream in streams:
        os.close(stream)
    ended = os.pidfd_open(child)
    with contextlib.suppress(BrokenPipeError):
        connection.send(struct.pack(">I", child))
    ready, _, _ = select.select([connection.fileno(), ended], [], [])
    if connection.fileno() in ready:  # whoever called is gone
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.send(struct.pack(">h", code))
    os._exit(0)


def _call(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    _take_over(streams)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = [PROGRAM, *arguments]
    code: object = 1
    try:
        importlib.import_module("task_manager.cli").main()
    except SystemExit as error:
        code = error.code
    finally:
        with contextlib.suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _take_over(streams: list[int]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115


if __name__ == "__main__":
    _serve(Path(sys.argv[1]), int(sys.argv[2]))
