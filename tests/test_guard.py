"""Who may come in, by requests and websockets, with tokens and as a browser that has logged in."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from task_manager.access import AccessControl
from task_manager.guard import SESSION_COOKIE, Guard, inside
from task_manager.identity import IDENTITY_KEY
from task_manager.login import LoginPages
from task_manager.models import TokenScope, utc_now
from task_manager.open_connections import OpenConnections
from task_manager.store import Store

HOST = "http://tasks.example"
SOCKET = "ws://tasks.example/socket"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(tmp_path) as store:
        yield store


@pytest.fixture
def access(store: Store) -> AccessControl:
    return AccessControl(store)


async def _who(request: Request) -> Response:
    identity = request.scope[IDENTITY_KEY]
    return JSONResponse([identity.name, identity.scope])


async def _endless(_request: Request) -> Response:
    async def content() -> AsyncIterator[bytes]:
        yield b"begun\n"
        await asyncio.Event().wait()

    return StreamingResponse(content())


async def _talk(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_json(socket.scope[IDENTITY_KEY].name)
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.send_text(await socket.receive_text())


def guarded(access: AccessControl, **how: Any) -> Guard:
    routes = [
        *LoginPages(access).routes,
        Route("/who", _who, methods=["GET", "POST"]),
        Route("/api/v1/who", _who),
        Route("/api/v1/webhooks/github", _who, methods=["POST"]),
        Route("/mcp", _who),
        Route("/healthz", lambda _: Response("ok")),
        Route("/endless", _endless),
        WebSocketRoute("/socket", _talk),
    ]
    return Guard(Starlette(routes=routes), access, frozenset({"tasks.example"}), **how)


@pytest.fixture
def visitor(access: AccessControl) -> Iterator[TestClient]:
    """One from another machine, who has nothing to show yet."""
    with TestClient(guarded(access), HOST, follow_redirects=False, client=("192.0.2.7", 4711)) as client:
        yield client


def created(store: Store, name: str = "claude", scope: TokenScope = TokenScope.RUN) -> str:
    return asyncio.run(AccessControl(store).create(name, scope))[1]


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def test_a_browser_logs_in_with_a_token_and_out_again(visitor: TestClient, store: Store) -> None:
    secret = created(store)
    page = visitor.get("/runs/7?tab=log", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["Location"]) == (303, "/login?next=/runs/7%3Ftab%3Dlog")
    form = visitor.get(page.headers["Location"])
    assert 'value="/runs/7?tab=log"' in form.text
    wrong = visitor.post("/login", data={"token": "tm_wrong", "next": "/runs/7"})
    assert (wrong.status_code, SESSION_COOKIE in visitor.cookies) == (403, False)
    entered = visitor.post("/login", data={"token": f" {secret}\n", "next": "/runs/7?tab=log"})
    assert (entered.status_code, entered.headers["Location"]) == (303, "/runs/7?tab=log")
    cookie = entered.headers["Set-Cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "secure" not in cookie
    assert visitor.get("/who").json() == visitor.get("/api/v1/who").json() == ["claude", "run"]
    with visitor.websocket_connect(SOCKET) as socket:
        assert socket.receive_json() == "claude"
    shown = visitor.cookies[SESSION_COOKIE]
    assert visitor.post("/logout").headers["Location"] == "/login"
    assert visitor.get("/who", headers={"Cookie": f"{SESSION_COOKIE}={shown}"}).status_code == 401


def test_a_session_is_only_sent_over_tls_where_a_browser_uses_it(visitor: TestClient, store: Store) -> None:
    data = {"token": created(store)}
    entered = visitor.post("/login", data=data, headers={"Origin": "https://tasks.example"})
    assert "secure" in entered.headers["Set-Cookie"].lower()


def test_agents_show_tokens_and_programs_are_not_sent_to_a_page(visitor: TestClient, store: Store) -> None:
    visitor.post("/login", data={"token": created(store)})
    assert visitor.get("/mcp").status_code == 401
    visitor.cookies.clear()
    for path in ("/api/v1/who", "/mcp"):
        refused = visitor.get(path, headers={"Accept": "text/html"})
        assert refused.status_code == 401
        assert refused.json()["code"] == "unauthorised"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Cookie": f"{SESSION_COOKIE}=guessed"}, 401),
        ({"Cookie": f'{SESSION_COOKIE}="\\777'}, 401),
        ({"Authorization": "Bearer guessed"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
def test_requests_and_websockets_are_refused_alike(visitor: TestClient, headers: dict[str, str], status: int) -> None:
    assert visitor.get("/who", headers=headers).status_code == status
    with pytest.raises(WebSocketDenialResponse) as refused, visitor.websocket_connect(SOCKET, headers=headers):
        pass
    assert refused.value.status_code == status


@pytest.mark.parametrize(
    ("origin", "status"),
    [("http://127.0.0.1:8765", 200), ("http://127.0.0.1:3000", 403), ("http://localhost", 403), ("x", 403)],
)
def test_pages_of_other_programs_of_this_machine_are_foreign(access: AccessControl, origin: str, status: int) -> None:
    with TestClient(guarded(access), "http://127.0.0.1:8765", client=("127.0.0.1", 4711)) as local:
        assert local.get("/who").json() == [None, "admin"]
        assert local.post("/who", headers={"Origin": origin}).status_code == status
        assert local.get("/who", headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 401
    with TestClient(guarded(access, require_token=True), "http://localhost", client=("127.0.0.1", 4711)) as local:
        assert local.get("/who").status_code == 401


def test_anybody_may_ask_whether_the_server_lives(visitor: TestClient) -> None:
    assert visitor.get("/healthz", headers={"Host": "10.0.0.7"}).text == "ok"


def test_a_login_of_endless_size_is_refused(visitor: TestClient) -> None:
    assert visitor.post("/login", content=b"token=" + b"x" * 10_000).status_code == 413


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/runs/7?tab=log#end", "/runs/7?tab=log#end"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
    ],
)
def test_one_comes_back_to_pages_of_this_server_alone(target: str, path: str) -> None:
    assert inside(target) == path


def database(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("task-manager.db*"))


async def test_what_a_browser_holds_is_kept_as_a_digest_and_ends_in_time(store: Store, tmp_path: Path) -> None:
    access = AccessControl(store)
    _, secret = await access.create("claude", TokenScope.RUN)
    entered = await access.log_in(secret)
    assert entered is not None
    session, shown = entered
    assert shown.encode() not in database(tmp_path)
    assert await access.accepted([session.digest, session.token.digest, "unknown"]) == {
        session.digest,
        session.token.digest,
    }
    later = AccessControl(store, lambda: utc_now() + timedelta(days=31))
    assert await later.recognise_session(shown) is None
    assert await later.accepted([session.digest, session.token.digest]) == {session.token.digest}
    await access.revoke("claude")
    assert await access.recognise_session(shown) is None
    assert await access.accepted([session.digest, session.token.digest]) == frozenset()


def _opened(messages: asyncio.Queue[dict[str, Any]], begun: asyncio.Event) -> tuple[Callable[..., Any], ...]:
    async def send(message: dict[str, Any]) -> None:
        if message.get("body") or message["type"] == "websocket.send":
            begun.set()

    return messages.get, send


@pytest.mark.parametrize(
    ("kind", "path", "first"),
    [
        ("http", "/endless", {"type": "http.request", "body": b"", "more_body": False}),
        ("websocket", "/socket", {"type": "websocket.connect"}),
    ],
)
async def test_a_connection_ends_when_its_token_is_revoked(
    access: AccessControl, kind: str, path: str, first: dict[str, Any]
) -> None:
    _, secret = await access.create("claude", TokenScope.RUN)
    headers = [(b"host", b"tasks.example"), (b"authorization", f"Bearer {secret}".encode())]
    scope = {
        "type": kind,
        "asgi": {"version": "3.0"},
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("192.0.2.7", 4711),
    }
    messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    messages.put_nowait(first)
    begun = asyncio.Event()
    receive, send = _opened(messages, begun)
    serving = asyncio.create_task(guarded(access)(scope, receive, send))
    async with asyncio.timeout(60):
        await begun.wait()
        assert not serving.done()
        await access.revoke("claude")
        await serving


async def test_nothing_is_looked_at_when_nothing_is_open(access: AccessControl) -> None:
    asked: list[str] = []

    async def accepted(digests: Any) -> frozenset[str]:
        asked.extend(digests)
        return frozenset()

    connections = OpenConnections(accepted, look_seconds=0)
    end = connections.add("digest")
    async with asyncio.timeout(60):
        await end.wait()
    assert (len(connections), set(asked)) == (1, {"digest"})
    connections.remove("digest", end)
    assert len(connections) == 0
    await asyncio.sleep(0)
    assert "open connections" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_white_space_around_a_header_s_value_is_not_part_of_it(access: AccessControl) -> None:
    seen: list[tuple[bytes, bytes]] = []

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        seen.extend(scope["headers"])

    async def unused() -> Message:
        raise AssertionError("nothing is read")

    async def unsent(_message: Message) -> None:
        raise AssertionError("nothing is answered")

    headers = [(b"host", b"\ttasks.example "), (b"mcp-name", b" list ")]
    scope = {"type": "http", "method": "POST", "path": "/who", "headers": headers, "client": ("127.0.0.1", 1)}
    await Guard(app, access, frozenset({"tasks.example"}))(scope, unused, unsent)
    assert seen == [(b"host", b"tasks.example"), (b"mcp-name", b"list")]


def test_webhooks_may_come_from_anywhere_for_their_signature_is_looked_at(visitor: TestClient) -> None:
    assert visitor.post("/api/v1/webhooks/github").status_code == 200
    assert visitor.get("/api/v1/webhooks/github").status_code == 401
    assert visitor.post("/api/v1/webhooks").status_code == 401
    assert visitor.post("/api/v1/who").status_code == 401
