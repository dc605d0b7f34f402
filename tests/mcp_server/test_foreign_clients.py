"""Clients that others wrote work with the server, over standard input and over HTTP."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.environment import node
from tests.environment.warm_program import warm_program

FOLDER = Path(__file__).parent / "foreign_clients"
INSPECTOR = "@modelcontextprotocol/inspector/clients/launcher/build/index.js"


@pytest.fixture(scope="session")
def modules() -> Path:
    return node.node_modules(FOLDER)


async def answer_of(*command: str) -> str:
    """What a program printed that must succeed."""
    running = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=os.environ
    )
    printed, errors = await running.communicate()
    assert running.returncode == 0, (printed + errors).decode()[-3000:]
    return printed.decode()


async def session(modules: Path, folder: Path, generation: str, *target: str) -> dict[str, Any]:
    program = folder / "session.mjs"
    program.write_bytes((FOLDER / "session.mjs").read_bytes())
    (folder / "node_modules").symlink_to(modules)
    told: dict[str, Any] = json.loads(await answer_of(str(node.node_program()), str(program), generation, *target))
    return told


def check(told: dict[str, Any]) -> None:
    assert {"create_task", "execute_task_workflow", "get_workflow_status"} <= set(told["tools"])
    assert (told["status"], told["read"]) == ("succeeded", "succeeded")
    assert told["told"] == [told["uri"]]
    assert "diagnose_run" in told["prompts"]


@pytest.mark.parametrize("generation", ["v1", "v2", "v2-auto"])
async def test_the_typescript_sdks_run_a_task_over_http(
    modules: Path, address: str, tmp_path: Path, generation: str
) -> None:
    check(await session(modules, tmp_path, generation, f"{address}/mcp"))


@pytest.mark.parametrize("generation", ["v1", "v2-auto"])
async def test_the_typescript_sdks_run_a_task_over_standard_input(
    modules: Path, surroundings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, generation: str
) -> None:
    monkeypatch.setenv("TASK_MANAGER_WORKER", "here")
    check(await session(modules, tmp_path, generation, str(warm_program()), "mcp"))


@pytest.mark.parametrize("over_http", [True, False])
async def test_the_inspector_finds_nothing_to_complain_of(modules: Path, address: str, over_http: bool) -> None:
    inspect = [str(node.node_program()), str(modules / INSPECTOR), "--cli"]
    target = [f"{address}/mcp"] if over_http else [str(warm_program()), "mcp"]
    listed = json.loads(await answer_of(*inspect, *target, "--method", "tools/list", "--strict"))
    assert "create_task" in {tool["name"] for tool in listed["tools"]}
    if not over_http:
        return
    arguments = ["--method", "tools/call", "--tool-name", "list_workflow_templates", "--tool-arg", "category=testing"]
    called = json.loads(await answer_of(*inspect, *target, *arguments))
    assert called["structuredContent"]["templates"]
