"""One process of faces over HTTP: who may come in, what is served, how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from task_manager.application import Application
from task_manager.errors import InvalidInput
from task_manager.guard import Guard
from task_manager.health import HealthPages
from task_manager.hook_delivery import HookSender
from task_manager.login import LoginPages
from task_manager.metrics import Metrics
from task_manager.open_connections import OpenConnections
from task_manager.problem_documents import problem_document
from task_manager.request_tracing import traced

if TYPE_CHECKING:
    import uvicorn

    from task_manager.config import Settings

DEFAULT_PORT: Final = 8765
_GRACE_SECONDS: Final = 1
"""How long requests that are being answered have when the server ends."""


class Face(Protocol):
    """Something that answers requests."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Where it answers."""

    def lifespan(self) -> contextlib.AbstractAsyncContextManager[object]:
        """Entered as long as requests are answered."""


def create_app(
    application: Application,
    faces: Sequence[Callable[[Application], Face]],
    *,
    pages: Callable[[Application], Face] | None = None,
    hosts: frozenset[str] = frozenset(),
    require_token: bool = False,
    connections: OpenConnections | None = None,
) -> ASGIApp:
    """The guarded ASGI application of all faces.

    Args:
        application: An open application.
        faces: Make the faces.
        pages: Makes the face that answers whatever nobody else does; none: nobody does.
        hosts: Names of this server beside those of this machine, in lower case, without ports.
        require_token: Whether requests of this machine need a token, too.
        connections: Ends connections that stay open; by default one of its own.
    """
    made = [make(application) for make in faces]
    last = [pages(application)] if pages else []
    metrics = Metrics(application)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for face in (*made, *last):
                await stack.enter_async_context(face.lifespan())
            yield

    routes = [
        *LoginPages(application.access).routes,
        *HealthPages(application).routes,
        *metrics.routes,
        *(route for face in made for route in face.routes),
        Route("/api/{path:path}", _unknown_path, methods=None),
        *(route for face in last for route in face.routes),
    ]
    served = Starlette(routes=routes, lifespan=lifespan)
    guard = Guard(served, application.access, hosts, require_token=require_token, connections=connections)
    return traced(metrics.measured(guard))


async def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    hosts: frozenset[str] = frozenset(),
    require_token: bool = False,
    dashboard: bool = False,
    ready: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve until the task is cancelled.

    Args:
        settings: All settings.
        host: The address to listen on.
        port: The port; 0 for any.
        hosts: Names under which the server is reached, beside those of this machine and `host`.
        require_token: Whether requests of this machine need a token, too.
        dashboard: Whether pages for people are served, too; only once in a process.
        ready: Called with the address once requests are answered.

    Raises:
        InvalidInput: The address cannot be listened on.
        StoreError: The store cannot be opened.
    """
    from task_manager.mcp_server.http import McpFace
    from task_manager.rest_api.face import RestFace

    with _listening(host, port) as listener:
        async with Application(settings) as application:
            names = hosts | {host.lower()}
            pages = _pages() if dashboard else None
            connections = OpenConnections(application.access.accepted)
            app = create_app(
                application,
                (McpFace, RestFace),
                pages=pages,
                hosts=names,
                require_token=require_token,
                connections=connections,
            )

            async def end_streams() -> None:
                await application.broadcast.close()
                connections.end_all()

            http = _http_server(app, lambda: ready(_address_of(listener)), end_streams)
            sending = HookSender(application.store, settings).sending()
            async with _holding_worker(application), sending, application.scheduler.running():
                await _serve_until_cancelled(http, listener)


def _pages() -> Callable[[Application], Face]:
    # It loads a framework that takes seconds and changes the process.
    from task_manager.dashboard.face import DashboardFace

    return DashboardFace


@contextlib.asynccontextmanager
async def _holding_worker(application: Application) -> AsyncIterator[None]:
    """Have a worker as long as it is entered, without waiting for one: requests are answered before it is there."""

    async def hold() -> None:
        workflows = await application.workflows()
        async with workflows.holding_worker():
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold(), name="hold worker")
    try:
        yield
    finally:
        holding.cancel()
        await asyncio.wait([holding])


async def _serve_until_cancelled(http: uvicorn.Server, listener: socket.socket) -> None:
    serving = asyncio.create_task(http.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    finally:
        http.should_exit = True
        await asyncio.wait([serving])


def _http_server(app: ASGIApp, ready: Callable[[], None], end_streams: Callable[[], Awaitable[None]]) -> uvicorn.Server:
    import uvicorn

    class Server(uvicorn.Server):
        """One that leaves signals to whoever runs it."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            """Leave them alone."""
            yield

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            """Begin to answer."""
            await super().startup(sockets)
            ready()

        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            """End what would never end by itself, and then the rest."""
            await end_streams()
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        # What pages are sent is small, and many are sent it: compressing it for each costs more time than it saves.
        ws_per_message_deflate=False,
    )
    return Server(config)


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Its protocol is stated: asyncio sets TCP_NODELAY only on sockets that say they are TCP, and answers wait without.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            raise InvalidInput(
                f"{host} port {port} cannot be listened on: {error}.", remedy="Choose another with --host and --port."
            ) from error
        listener.listen(128)
        yield listener


def _address_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _unknown_path(request: Request) -> Response:
    """What is no path of the API is no page either."""
    return problem_document(404, "no_such_path", f"There is no path {request.url.path[:200]!r}.")
