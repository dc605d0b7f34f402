"""The API behind the server's guard: who may do what, and a shutdown that open streams do not delay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from task_manager.access import AccessControl
from task_manager.models import TokenScope
from task_manager.server import serve
from task_manager.store import Store
from tests.rest_api.asking import problem
from tests.rest_api.conftest import settings_of


@asynccontextmanager
async def server(data_dir: Path, *, require_token: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server of all faces, which ends with it."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(
        serve(settings_of(data_dir), port=0, require_token=require_token, ready=ready.set_result)
    )
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


@pytest.mark.alone
async def test_open_streams_end_with_the_server_at_once(data_dir: Path) -> None:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as outside:
        async with server(data_dir) as client:
            request = outside.build_request("GET", f"{client.base_url}events/stream")
            stream = await outside.send(request, stream=True)
            lines = stream.aiter_lines()
            assert await anext(lines) == "retry: 1000"
            began = time.monotonic()
        assert time.monotonic() - began < 2.5, "the server waits three seconds for streams that do not end"
        assert [line async for line in lines if line] == []
