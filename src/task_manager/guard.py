"""The guard before all faces: who may come in over HTTP and websockets, and who that is."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from task_manager.identity import IDENTITY_KEY, Identity
from task_manager.models import TokenScope
from task_manager.open_connections import OpenConnection, OpenConnections
from task_manager.problem_documents import problem_document

if TYPE_CHECKING:
    from task_manager.access import AccessControl
    from task_manager.models import AccessToken

SESSION_COOKIE: Final = "task_manager_session"
"""What a browser that has logged in shows."""

LOGIN_PATH: Final = "/login"
LOGOUT_PATH: Final = "/logout"
WEBHOOKS_PATH: Final = "/api/v1/webhooks"
"""Below it anybody may send what is signed; who takes it in looks at the signature."""

PROBE_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""What anybody may ask, by whatever name of the server: whether it lives and is ready."""

_OPEN_PATHS: Final = frozenset({LOGIN_PATH, LOGOUT_PATH, "/favicon.ico"})
_BEARER_ALONE: Final = "/mcp"
_PROGRAMS: Final = ("/api", _BEARER_ALONE, "/metrics")
_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip")


@dataclass(frozen=True)
class _Admitted:
    """Who was let in, and the digest of what they showed; none: they showed nothing."""

    identity: Identity
    digest: str | None = None


class Guard:
    """Lets in who may come in, and says who it is.

    A request must name a host of this server, may come from no page of another origin, and shows a token, or the cookie
    of a browser that has logged in with one; without these it must come from this machine itself, not through a proxy.
    Who it is goes into its scope, under `IDENTITY_KEY`. A connection that stays open ends within seconds after its
    token was revoked or has expired, or its session has ended.

    Args:
        app: What is guarded.
        access: Knows tokens and sessions.
        hosts: Names of this server, in lower case, without ports.
        require_token: Whether requests of this machine need a token, too.
        connections: Ends those that stay open; by default one of its own.
    """

    def __init__(
        self,
        app: ASGIApp,
        access: AccessControl,
        hosts: frozenset[str],
        *,
        require_token: bool = False,
        connections: OpenConnections | None = None,
    ) -> None:
        self._app = app
        self._access = access
        self._hosts = hosts
        self._require_token = require_token
        self._connections = OpenConnections(access.accepted) if connections is None else connections

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request or serve one websocket, or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in PROBE_PATHS:
            await self._app(scope, receive, send)
            return
        # White space around a value is not part of it (RFC 9110, 5.5), which not every server's parser knows.
        scope["headers"] = [(name, value.strip(b" \t")) for name, value in scope["headers"]]
        headers = Headers(scope=scope)
        admitted = self._foreign(headers) or await self._admit(scope, headers)
        if isinstance(admitted, Response):
            await admitted(scope, receive, send)
            return
        scope[IDENTITY_KEY] = admitted.identity
        scope["state"] = {**scope.get("state", {}), "actor": admitted.identity.name or "local"}
        await self._pass_on(admitted.digest, scope, receive, send)

    async def _pass_on(self, digest: str | None, scope: Scope, receive: Receive, send: Send) -> None:
        connection = OpenConnection(scope, receive, send, self._connections, digest)
        try:
            await self._app(scope, connection.receive, connection.send)
        finally:
            await connection.close()

    def _foreign(self, headers: Headers) -> Response | None:
        """Why a request is not for this server, or from a page of another one."""
        authority = headers.get("host", "").lower()
        host = _host_of(authority)
        if host not in self._hosts | _LOOPBACK_NAMES:
            return problem_document(
                421,
                "unknown_host",
                f"This server is not called {host[:100]!r}.",
                remedy="Start it with --allow-host NAME.",
            )
        origin = headers.get("origin")
        if origin is None:
            return None
        # Other programs of this machine show pages, too, so of its own names only the same port is this server.
        asking = origin.partition("://")[2].lower()
        if asking == authority or _host_of(asking) in self._hosts - _LOOPBACK_NAMES:
            return None
        return problem_document(403, "foreign_origin", "Pages of other sites may not call this server.")

    async def _admit(self, scope: Scope, headers: Headers) -> _Admitted | Response:
        """Who makes the request; or why they may not come in."""
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if secret and kind.lower() == "bearer":
            token = await self._access.recognise(secret.strip())
            if token is None:
                return _unauthorised("The token is unknown, revoked or expired.", 'error="invalid_token"')
            return _Admitted(_identity(token), token.digest)
        if (shown := _cookie(scope, headers)) and (session := await self._access.recognise_session(shown)):
            return _Admitted(_identity(session.token), session.digest)
        if scope["path"] in _OPEN_PATHS or _is_webhook(scope):
            return _Admitted(Identity(None, TokenScope.READ))
        if self._require_token or not _is_local(scope, headers):
            return _to_login(scope) if _is_page(scope, headers) else _unauthorised("A token is needed.", "")
        return _Admitted(Identity(None, TokenScope.ADMIN))


def _is_webhook(scope: Scope) -> bool:
    is_below = str(scope["path"]).startswith(f"{WEBHOOKS_PATH}/")
    return bool(is_below and scope["type"] == "http" and scope["method"] == "POST")


def session_shown(headers: Headers) -> str | None:
    """What a browser that has logged in shows; None when it shows nothing."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def inside(target: str) -> str:
    """A path of this server that somebody wants to come back to; the root for anything else."""
    parts = urlsplit(target.replace("\\", "/"))
    is_inside = target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if is_inside and not parts.scheme and not parts.netloc else "/"


def _cookie(scope: Scope, headers: Headers) -> str | None:
    # Agents show bearer tokens; a page in a browser has no business there.
    return None if _is_below(scope["path"], _BEARER_ALONE) else session_shown(headers)


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _is_page(scope: Scope, headers: Headers) -> bool:
    """Whether a person looks at what is answered."""
    is_read = scope["type"] == "http" and scope["method"] in ("GET", "HEAD")
    is_for_programs = any(_is_below(scope["path"], prefix) for prefix in _PROGRAMS)
    return is_read and not is_for_programs and "text/html" in headers.get("accept", "")


def _to_login(scope: Scope) -> Response:
    query = scope.get("query_string", b"").decode("latin-1")
    wanted = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"{LOGIN_PATH}?next={quote(wanted, safe='/')}", 303, {"Cache-Control": "no-store"})


def _identity(token: AccessToken) -> Identity:
    return Identity(token.name, token.scope)


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


def _unauthorised(message: str, challenge: str) -> Response:
    return problem_document(
        401,
        "unauthorised",
        message,
        remedy="Make one with `task-manager token create NAME`, and send it as `Authorization: Bearer TOKEN`.",
        headers={"WWW-Authenticate": f"Bearer {challenge}".strip()},
    )
