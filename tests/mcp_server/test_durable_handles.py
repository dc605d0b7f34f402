"""Handles of long work: the Tasks extension, and waits, through the death of a server."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from task_manager.mcp_server.client_configuration import NAME
from tests.mcp_server.conftest import Server, shell_pipeline

TASKS = "io.modelcontextprotocol/tasks"
VERSION = "2026-07-28"


class Wire:
    """Requests of the newer era as they are sent, by a client that declares the extension or not."""

    def __init__(self, address: str, *, declares: bool = True) -> None:
        self._http = httpx.AsyncClient(base_url=address, timeout=60)
        self._meta = {
            "io.modelcontextprotocol/protocolVersion": VERSION,
            "io.modelcontextprotocol/clientInfo": {"name": "wire", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {"extensions": {TASKS: {}} if declares else {}},
        }

    def _message(self, method: str, named: str | None, params: Mapping[str, object]) -> dict[str, Any]:
        headers = {
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": VERSION,
            "Mcp-Method": method,
            **({"Mcp-Name": named} if named else {}),
        }
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": self._meta}}
        return {"url": "/mcp", "json": body, "headers": headers}

    async def listen(self, **notifications: object) -> AsyncGenerator[dict[str, Any], None]:
        """What comes on a stream of its own."""
        message = self._message("subscriptions/listen", None, {"notifications": notifications})
        async with self._http.stream("POST", **message) as response:
            async for line in response.aiter_lines():
                if line.startswith("data:"):
                    yield json.loads(line.removeprefix("data:"))

    async def request(self, method: str, named: str | None = None, /, **params: object) -> dict[str, Any]:
        response = await self._http.post(**self._message(method, named, params))
        text = response.text
        if "data:" in text and not text.startswith("{"):
            text = [line for line in text.splitlines() if line.startswith("data:")][-1].removeprefix("data:")
        answer: dict[str, Any] = json.loads(text)
        return answer

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        answer = await self.request("tools/call", tool, name=tool, arguments=arguments)
        result: dict[str, Any] = answer["result"]
        return result

    async def task(self, task_id: str, method: str = "tasks/get", **params: object) -> dict[str, Any]:
        return await self.request(method, task_id, taskId=task_id, **params)

    async def ended(self, task_id: str) -> dict[str, Any]:
        async with asyncio.timeout(90):
            while True:
                task: dict[str, Any] = (await self.task(task_id))["result"]
                if task["status"] != "working":
                    return task
                await asyncio.sleep(task["pollIntervalMs"] / 1000)


async def test_a_client_that_declares_the_extension_gets_a_handle_with_the_runs_id(address: str) -> None:
    wire, plain = Wire(address), Wire(address, declares=False)
    discovered = (await wire.request("server/discover"))["result"]
    assert TASKS in discovered["capabilities"]["extensions"]
    made = await wire.call("create_task", title="Greet", pipeline=shell_pipeline("echo hello"))
    task_id = made["structuredContent"]["id"]
    handle = await wire.call("execute_task_workflow", task_id=task_id)
    assert (handle["resultType"], handle["ttlMs"]) == ("task", None)
    ended = await wire.ended(handle["taskId"])
    assert (ended["status"], ended["result"]["isError"]) == ("completed", False)
    assert ended["result"]["structuredContent"]["id"] == handle["taskId"]
    run = await plain.call("execute_task_workflow", task_id=task_id)
    assert run["structuredContent"]["id"].startswith("run-")
    await plain.call("wait_for_run", run_id=run["structuredContent"]["id"])

    missing = await wire.task("run-0")
    assert missing["error"]["code"] == -32602
    undeclared = await plain.task(handle["taskId"])
    assert undeclared["error"]["code"] == -32021
    misrouted = await wire.request("tasks/get", "run-0", taskId=handle["taskId"])
    assert misrouted["error"]["code"] == -32020
    assert (await wire.task(handle["taskId"], "tasks/update", inputResponses={}))["result"]["resultType"] == "complete"


async def test_a_handle_is_cancelled(address: str) -> None:
    wire = Wire(address)
    made = await wire.call("create_task", title="Sleep", pipeline=shell_pipeline("sleep 300"))
    handle = await wire.call("execute_task_workflow", task_id=made["structuredContent"]["id"])
    await wire.task(handle["taskId"], "tasks/cancel")
    assert (await wire.ended(handle["taskId"]))["status"] == "cancelled"


async def test_handles_and_waits_outlive_the_server(surroundings: Path) -> None:
    """The server is killed while both are open; the next one answers for both."""
    first = Server()
    wire, plain = Wire(first.address), Wire(first.address, declares=False)
    made = await wire.call("create_task", title="Slow", pipeline=shell_pipeline("sleep 4; echo done"))
    task_id = made["structuredContent"]["id"]
    handle = await wire.call("execute_task_workflow", task_id=task_id)
    waiting = asyncio.create_task(plain.call("wait_for_run", run_id=handle["taskId"]))
    assert (await wire.task(handle["taskId"]))["result"]["status"] == "working"
    first.end(signal.SIGKILL)
    with pytest.raises(httpx.HTTPError):
        await waiting
    second = Server()
    try:
        wire, plain = Wire(second.address), Wire(second.address, declares=False)
        waited: dict[str, Any] = {}
        while not waited.get("over"):
            waited = (await plain.call("wait_for_run", run_id=handle["taskId"]))["structuredContent"]
        ended = await wire.ended(handle["taskId"])
        assert (waited["status"], ended["status"], ended["result"]["isError"]) == ("succeeded", "completed", False)
    finally:
        second.end()


async def test_a_server_says_who_it_is(address: str) -> None:
    discovered = (await Wire(address).request("server/discover"))["result"]
    assert discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == NAME
    assert len(discovered["instructions"].splitlines()) <= 12


async def test_a_listener_is_told_of_a_task_until_its_end(address: str) -> None:
    """It hears of a task once at the beginning, so that it misses no end, and of every change after that."""
    wire = Wire(address)
    made = await wire.call("create_task", title="Greet", pipeline=shell_pipeline("sleep 1; echo hello"))
    handle = (await wire.call("execute_task_workflow", task_id=made["structuredContent"]["id"]))["taskId"]
    told: list[dict[str, Any]] = []
    async with asyncio.timeout(60), contextlib.aclosing(wire.listen(taskIds=[handle, "run-0"])) as messages:
        async for message in messages:
            told.append(message)
            if message["params"].get("status") == "completed":
                break
    acknowledged, *news = told
    assert acknowledged["method"] == "notifications/subscriptions/acknowledged"
    assert acknowledged["params"]["notifications"] == {"taskIds": [handle]}
    assert {(one["method"], one["params"]["taskId"]) for one in news} == {("notifications/tasks", handle)}
    asked = (await wire.task(handle))["result"]
    last = {name: value for name, value in news[-1]["params"].items() if name != "_meta"}
    assert last == {name: value for name, value in asked.items() if name not in ("resultType", "_meta")}
    refused = await Wire(address, declares=False).request("subscriptions/listen", notifications={"taskIds": [handle]})
    assert refused["error"]["code"] == -32021
