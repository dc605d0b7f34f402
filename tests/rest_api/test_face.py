"""The API behind the server's guard: who may do what, and a shutdown that open streams do not delay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from task_manager.access import AccessControl
from task_manager.application import Application
from task_manager.models import TokenScope
from task_manager.server import serve
from task_manager.store import Store
from tests.rest_api.asking import problem, step
from tests.rest_api.conftest import settings_of


@asynccontextmanager
async def server(data_dir: Path, **how: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server of all faces, which ends with it."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings_of(data_dir), port=0, ready=ready.set_result, **how))
    try:
        address = await ready
        async with httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=60, trust_env=False) as client:
            yield client
    finally:
        serving.cancel()
        await asyncio.wait([serving])


async def _token(data_dir: Path, scope: TokenScope) -> dict[str, str]:
    with Store.open(data_dir) as store:
        _, secret = await AccessControl(store).create(scope.value, scope)
    return {"Authorization": f"Bearer {secret}"}


async def test_the_server_serves_the_api_and_its_document(data_dir: Path) -> None:
    async with server(data_dir) as client:
        assert (await client.post("/projects", json={"name": "p"})).status_code == 201
        assert "/projects" in (await client.get("/openapi.json")).json()["paths"]
        assert problem(await client.get("/nothing")) == (404, "no_such_path")


async def test_a_token_allows_what_its_scope_says(data_dir: Path) -> None:
    tokens = {scope: await _token(data_dir, scope) for scope in TokenScope}
    async with server(data_dir, require_token=True) as client:
        assert problem(await client.get("/projects")) == (401, "unauthorised")
        for number, (scope, headers) in enumerate(tokens.items()):
            name = f"p{number}"
            assert (await client.get("/projects", headers=headers)).status_code == 200
            created = await client.post("/projects", json={"name": name}, headers=headers)
            removed = await client.delete(f"/projects/{name}", headers=headers)
            if scope is TokenScope.READ:
                assert problem(created) == problem(removed) == (403, "forbidden")
            else:
                assert created.status_code == 201
                assert (removed.status_code == 200) is (scope is TokenScope.ADMIN)


@pytest.mark.parametrize("headers", [{"Host": "elsewhere.example"}, {"Origin": "https://elsewhere.example"}])
async def test_requests_for_others_and_from_foreign_pages_are_refused(data_dir: Path, headers: dict[str, str]) -> None:
    async with server(data_dir) as client:
        refused = await client.post("/projects", json={"name": "p"}, headers=headers)
        assert problem(refused)[0] in (403, 421)
        assert (await client.get("/projects")).json()["items"] == []


VERSION = "2026-07-28"


def _modern() -> dict[str, Any]:
    """What a client of the newer era of MCP sends to listen."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    params = {"notifications": {"resourceSubscriptions": ["task-manager://inbox"]}, "_meta": meta}
    headers = {"MCP-Protocol-Version": VERSION, "Mcp-Method": "subscriptions/listen"}
    body = {"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}
    return {"method": "POST", "json": body, "headers": {"Accept": "application/json, text/event-stream", **headers}}


async def _legacy(outside: httpx.AsyncClient, address: str) -> dict[str, Any]:
    """What a client of the older era of MCP sends to listen, after it has introduced itself."""
    accept = {"Accept": "application/json, text/event-stream"}
    about = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    body = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": about}
    answer = await outside.post(address, json=body, headers=accept)
    session = {"Mcp-Session-Id": answer.headers["Mcp-Session-Id"], "MCP-Protocol-Version": "2025-06-18"}
    return {"method": "GET", "headers": {"Accept": "text/event-stream", **session}}


class _SocketFace:
    """Serves a websocket that never ends by itself."""

    def __init__(self, _application: Application) -> None:
        self.routes = [WebSocketRoute("/socket", self._talk)]

    def lifespan(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    async def _talk(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text("begun")
        await socket.receive_text()


async def _waiting_run(client: httpx.AsyncClient) -> str:
    """The id of a run that does not begin."""
    await client.post("/projects", json={"name": "work"})
    await client.post("/tasks", json={"project_id": "work", "title": "Job", "pipeline": {"steps": [step()]}})
    await client.post("/projects/work/pause")
    run_id: str = (await client.post("/tasks/Job/runs", json={})).json()["id"]
    return run_id


@pytest.mark.alone
async def test_whatever_is_open_ends_with_the_server_at_once(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("task_manager.server._pages", lambda: _SocketFace)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as outside, AsyncExitStack() as stack:
        async with server(data_dir, dashboard=True) as client:
            root = str(client.base_url).partition("/api/")[0]
            run = await _waiting_run(client)
            asked = {
                f"{root}/api/v1/events/stream": {"method": "GET"},
                f"{root}/api/v1/runs/{run}/logs/stream": {"method": "GET"},
                f"{root}/mcp?modern": _modern(),
                f"{root}/mcp?legacy": await _legacy(outside, f"{root}/mcp"),
            }
            streams = [await stack.enter_async_context(outside.stream(url=url, **how)) for url, how in asked.items()]
            assert [stream.headers["Content-Type"].partition(";")[0] for stream in streams] == 4 * ["text/event-stream"]
            socket = await stack.enter_async_context(connect(f"{root.replace('http', 'ws', 1)}/socket", proxy=None))
            assert await socket.recv() == "begun"
            began = time.monotonic()
        assert time.monotonic() - began < 2, "two seconds are promised"
        for stream in streams:
            # One that was broken off raises.
            await stream.aread()
        with pytest.raises(ConnectionClosed):
            await socket.recv()
