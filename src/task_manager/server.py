"""One process of faces over HTTP: who may come in, what is served, how it starts and ends."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from task_manager.application import Application
from task_manager.errors import InvalidInput
from task_manager.identity import IDENTITY_KEY, Identity
from task_manager.models import TokenScope

if TYPE_CHECKING:
    import uvicorn

    from task_manager.access import AccessControl
    from task_manager.config import Settings

DEFAULT_PORT: Final = 8765
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")
_GRACE_SECONDS: Final = 3
_OPEN_PATHS: Final = frozenset({"/health"})


class Face(Protocol):
    """Something that answers requests."""

    @property
    def routes(self) -> Sequence[BaseRoute]:
        """Where it answers."""

    def lifespan(self) -> contextlib.AbstractAsyncContextManager[object]:
        """Entered as long as requests are answered."""


class Guard:
    """Lets in who may come in, and says who it is.

    A request must name a host of this server, may come from no page of another origin, and has a token; without one it
    must come from this machine itself, not through a proxy. What it is goes into its scope, under `IDENTITY_KEY`.

    Args:
        app: What is guarded.
        access: Knows tokens.
        hosts: Names of this server, in lower case, without ports.
        require_token: Whether requests of this machine need a token, too.
    """

    def __init__(
        self, app: ASGIApp, access: AccessControl, hosts: frozenset[str], *, require_token: bool = False
    ) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts | _LOOPBACK_NAMES
        self._require_token = require_token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._foreign(Headers(scope=scope))
        if refusal is None and scope["path"] not in _OPEN_PATHS:
            refusal = await self._identify(scope)
        await (refusal or self._app)(scope, receive, send)

    def _foreign(self, headers: Headers) -> Response | None:
        """Why a request is not for this server, or from a page of another one."""
        host = _host_of(headers.get("host", ""))
        if host not in self._hosts:
            return _refused(
                421, "unknown_host", f"This server is not called {host[:100]!r}.", "Start it with --allow-host."
            )
        origin = headers.get("origin")
        if origin is not None and _host_of(origin.partition("://")[2]) not in self._hosts:
            return _refused(403, "foreign_origin", "Pages of other sites may not call this server.", "")
        return None

    async def _identify(self, scope: Scope) -> Response | None:
        """Put into the scope who makes the request; or say why it may not come in."""
        headers = Headers(scope=scope)
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if secret and kind.lower() == "bearer":
            token = await self._access.recognise(secret.strip())
            if token is None:
                return _unauthorised("The token is unknown, revoked or expired.", 'error="invalid_token"')
            _enter(scope, Identity(token.name, token.scope))
            return None
        if self._require_token or not _is_local(scope, headers):
            return _unauthorised("A token is needed.", "")
        _enter(scope, Identity(None, TokenScope.ADMIN))
        return None


def create_app(
    application: Application,
    faces: Sequence[Callable[[Application], Face]],
    *,
    hosts: frozenset[str] = frozenset(),
    require_token: bool = False,
) -> ASGIApp:
    """The guarded ASGI application of all faces.

    Args:
        application: An open application.
        faces: Make the faces.
        hosts: Names of this server beside those of this machine.
        require_token: Whether requests of this machine need a token, too.
    """
    made = [make(application) for make in faces]

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            for face in made:
                await stack.enter_async_context(face.lifespan())
            yield

    routes = [Route("/health", _healthy), *(route for face in made for route in face.routes)]
    return Guard(Starlette(routes=routes, lifespan=lifespan), application.access, hosts, require_token=require_token)


async def serve(
    settings: Settings,
    *,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    hosts: frozenset[str] = frozenset(),
    require_token: bool = False,
    ready: Callable[[str], None] = lambda _address: None,
) -> None:
    """Serve until the task is cancelled.

    Args:
        settings: All settings.
        host: The address to listen on.
        port: The port; 0 for any.
        hosts: Names under which the server is reached, beside those of this machine and `host`.
        require_token: Whether requests of this machine need a token, too.
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
            app = create_app(application, (McpFace, RestFace), hosts=names, require_token=require_token)
            http = _http_server(app, lambda: ready(_address_of(listener)), application.broadcast.close)
            await _serve_until_cancelled(http, listener)


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


async def _healthy(_request: object) -> Response:
    return JSONResponse({"status": "ok"})


def _host_of(authority: str) -> str:
    """The name in `name:port` or `[address]:port`, in lower case."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0].lower()
    return authority.partition("/")[0].partition(":")[0].lower()


def _is_local(scope: Scope, headers: Headers) -> bool:
    """Whether a request was made on this machine, and not passed on by a proxy that runs here."""
    client = scope.get("client")
    if client is None or any(name in headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _enter(scope: Scope, identity: Identity) -> None:
    scope[IDENTITY_KEY] = identity
    scope["state"] = {**scope.get("state", {}), "actor": identity.name or "local"}


def _refused(status: int, code: str, message: str, remedy: str, headers: dict[str, str] | None = None) -> Response:
    """A problem document (RFC 9457), as the REST API answers."""
    document = {
        "type": f"urn:task-manager:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": message,
        "code": code,
        "remedy": remedy,
        "details": {},
    }
    return JSONResponse(document, status, headers, "application/problem+json")


def _unauthorised(message: str, challenge: str) -> Response:
    return _refused(
        401,
        "unauthorised",
        message,
        "Make one with `task-manager token create NAME`, and send it as `Authorization: Bearer TOKEN`.",
        {"WWW-Authenticate": f"Bearer {challenge}".strip()},
    )
