"""`task-manager` without the time that loading it takes: a process that has loaded it forks for each call.

`serve` is that process; `install` writes a command `task-manager` that hands its arguments, environment, working folder
and standard streams over to it, waits and exits with the code. All else is as in a process of the call's own.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Final, NoReturn

_LEFT_OUT: Final = tuple(
    f"task_manager.{name}" for name in ("embedded_engine", "__main__", "store.migrations", "dashboard", "testing")
)
_COMMAND: Final = """\
#!{python} -ISs
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(call).to_bytes(4, "big")], [0, 1, 2])
    server.sendall(call)
    answer = server.recv(1)
sys.exit(answer[0] if answer else 70)
"""


def install(folder: Path, address: Path) -> None:
    """Write the command into a folder that stands first in PATH."""
    command = folder / "task-manager"
    command.write_text(_COMMAND.format(python=sys.executable, address=str(address)))
    command.chmod(0o755)


def serve(address: Path) -> NoReturn:
    """Answer calls until this process is ended."""
    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(address))
        listener.listen()
        print("ready", flush=True)  # noqa: T201
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                _answer(connection)
            connection.close()


def _load() -> None:
    package = importlib.import_module("task_manager")
    for module in pkgutil.walk_packages(package.__path__, "task_manager."):
        if not module.name.startswith(_LEFT_OUT):
            importlib.import_module(module.name)


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
    ready, _, _ = select.select([connection.fileno(), ended], [], [])
    if connection.fileno() in ready:  # whoever called is gone
        os.kill(child, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with contextlib.suppress(BrokenPipeError):
        connection.send(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _call(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["task-manager", *arguments]
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


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
