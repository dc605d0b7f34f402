"""The server over HTTP: both eras, tokens and their scopes, hosts and origins."""

import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from task_manager import Application, Settings
from task_manager.access import AccessControl
from task_manager.models import TokenScope, utc_now
from tests.mcp_server.conftest import Agent, held, named, running, shell_pipeline


@contextlib.asynccontextmanager
async def with_token(address: str, token: str) -> AsyncIterator[Agent]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=60) as http:
        transport = streamable_http_client(f"{address}/mcp", http_client=http)
        async with held(Client(transport, cache=None)) as client:
            yield Agent(client)


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_task_is_run_over_http_in_both_eras(
    address: str, application: Application, project: str, mode: str
) -> None:
    async with held(Client(f"{address}/mcp", mode=mode, client_info=named("claude-code"), cache=None)) as client:
        agent = Agent(client)
        pipeline = shell_pipeline("echo hello")
        task = await agent.call("create_task", title="Greet", project_id=project, pipeline=pipeline)
        run = await agent.call("execute_task_workflow", task_id=task["id"])
        assert (await agent.finished(run["id"]))["status"] == "succeeded"
    (event, *_) = await application.runs.events(run["id"])
    assert event.actor == "mcp:claude-code"


async def test_tokens_beyond_their_scope_see_and_do_less(
    settings: Settings, application: Application, project: str
) -> None:
    control = AccessControl(application.store)
    _, reader = await control.create("watcher", TokenScope.READ)
    _, runner = await control.create("worker", TokenScope.RUN)
    async with running(settings, require_token=True) as address:
        async with with_token(address, reader) as agent:
            names = {tool.name for tool in (await agent.client.list_tools()).tools}
            assert "get_workflow_status" in names
            assert "create_task" not in names
            error = await agent.error("create_task", title="No", project_id=project)
            assert "scope run" in error["message"]
            found = await agent.call("more_tools")
            assert "cancel_run" not in {one["name"] for one in found["tools"]}
        async with with_token(address, runner) as agent:
            task = await agent.call("create_task", title="Yes", project_id=project, pipeline=shell_pipeline("true"))
            run = await agent.call("execute_task_workflow", task_id=task["id"])
            error = await agent.error("more_tools", name="delete_task", arguments={"task_id": task["id"]})
            assert error["code"] == "not_found"
    (event, *_) = await application.runs.events(run["id"])
    assert event.actor == "worker"
    assert (await control.list())[0].used_at is not None


async def test_without_a_token_only_programs_of_this_machine_come_in(settings: Settings) -> None:
    request = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    async with running(settings) as address, httpx.AsyncClient(base_url=address) as http:
        assert (await http.get("/healthz")).json() == {"status": "ok"}
        proxied = await http.post("/mcp", json=request, headers={"X-Forwarded-For": "192.0.2.1"})
        assert proxied.status_code == 401
        assert proxied.headers["WWW-Authenticate"] == "Bearer"
        wrong = await http.post("/mcp", json=request, headers={"Authorization": "Bearer tm_wrong"})
        assert wrong.status_code == 401
    async with running(settings, require_token=True) as address, httpx.AsyncClient(base_url=address) as http:
        assert (await http.post("/mcp", json=request)).status_code == 401


async def test_revoked_and_expired_tokens_are_refused(application: Application) -> None:
    control = AccessControl(application.store)
    _, revoked = await control.create("gone", TokenScope.RUN)
    _, expiring = await control.create("short", TokenScope.RUN, lifetime=timedelta(seconds=60))
    assert await control.recognise(revoked)
    await control.revoke("gone")
    later = AccessControl(application.store, lambda: utc_now() + timedelta(seconds=61))
    assert await control.recognise(expiring)
    assert [await later.recognise(secret) for secret in (revoked, expiring)] == [None, None]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({}, 200),
    ],
)
async def test_other_hosts_and_origins_are_refused(address: str, headers: dict[str, str], status: int) -> None:
    async with httpx.AsyncClient(base_url=address) as http:
        assert (await http.get("/login", headers=headers)).status_code == status


async def test_a_token_is_shown_once_and_kept_as_a_digest(application: Application) -> None:
    token, secret = await AccessControl(application.store).create("claude", TokenScope.RUN)
    database = (application.settings.data_dir / "task-manager.db").read_bytes()
    assert secret not in token.model_dump_json()
    assert secret.encode() not in database
