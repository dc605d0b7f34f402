"""The life of a session process: namespaces, launcher, server, end of standard input."""

import asyncio
import json
import logging
import os
import secrets
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from task_manager.embedded_engine.config import EngineConfig
from task_manager.embedded_engine.doctor import require_usable
from task_manager.embedded_engine.sandbox import user_namespace, zygote
from task_manager.embedded_engine.sandbox.uplink import open_way_out

if TYPE_CHECKING:
    from uvicorn import Server

    from task_manager.embedded_engine.session import Session

# Every level of a query costs the executor several frames.
_RECURSION_LIMIT = 50_000


def serve(config: EngineConfig, workdir: str | None) -> int:
    """Serve the Dagger API until standard input ends; return the exit code.

    Raises:
        SandboxUnavailableError: The machine forbids or lacks what a sandbox needs.
        StorageError: The state folder cannot be used.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Programs of SDKs show what the session writes here: not each request, nor that the server started and ended.
    for library in ("httpx", "uvicorn"):
        logging.getLogger(library).setLevel(logging.WARNING)
    folder = Path(workdir or Path.cwd()).absolute()
    require_usable(config.state_dir)
    # Before anything that starts a thread, and before the heavy imports that sandboxes would inherit.
    carrier, no_way_out = None, "the setting network is none"
    if config.network != "none":
        carrier, no_way_out = open_way_out(shutil.which)
    user_namespace.enter(user_namespace.planned_map())
    _, connection = zygote.start(carrier)
    has_gateway = carrier is not None and carrier.gateway >= 0
    if carrier is not None and has_gateway:
        # It ends with the last who could ask it for anything.
        os.close(carrier.gateway)
    sys.setrecursionlimit(_RECURSION_LIMIT)
    asyncio.run(_serve(config, connection, folder, no_way_out, has_gateway=has_gateway))
    return 0


async def _serve(
    config: EngineConfig, connection: socket.socket, workdir: Path, no_way_out: str, *, has_gateway: bool
) -> None:
    from task_manager.embedded_engine.sandbox.launcher import Launcher
    from task_manager.embedded_engine.session import Session

    session = Session(config, Launcher(connection), workdir, no_way_out, has_gateway=has_gateway)
    await session.open()
    try:
        token, listener = secrets.token_urlsafe(32), _listening_socket()
        # Clients take a while to connect; what they connect to is loaded meanwhile.
        _announce(listener.getsockname()[1], token)
        http = _http_server(session, token)
        serving = asyncio.ensure_future(http.serve(sockets=[listener]))
        await _end_wanted()
        session.events.close()
        http.should_exit = True
        await serving
    finally:
        await session.close()


def _http_server(session: "Session", token: str) -> "Server":
    from task_manager.embedded_engine.answering import Answerer
    from task_manager.embedded_engine.server import application, server

    return server(application(Answerer(session), session.events, token))


def _listening_socket() -> socket.socket:
    """Return a socket that listens on a free loopback port.

    Its protocol is stated: asyncio sets TCP_NODELAY only on sockets that say they are TCP, and answers wait without it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    return listener


def _announce(port: int, token: str) -> None:
    """Print the one line that SDKs read."""
    sys.stdout.write(json.dumps({"port": port, "session_token": token}) + "\n")
    sys.stdout.flush()


async def _end_wanted() -> None:
    """Wait for the end of standard input, or for a signal to end."""
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)

    def on_input() -> None:
        if not os.read(0, 4096):
            loop.remove_reader(0)
            ended.set()

    try:
        loop.add_reader(0, on_input)
    except PermissionError:
        # A regular file, such as /dev/null redirected: epoll takes none, and its end is there already.
        return
    await ended.wait()
