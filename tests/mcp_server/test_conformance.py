"""The protocol's official suite, in both eras: on the product as it is, and with the suite's fixtures."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import uvicorn

from task_manager import Application
from task_manager.mcp_server.http import McpFace
from task_manager.mcp_server.server import ProductServer
from task_manager.server import create_app
from tests.mcp_server.conformance.content_fixtures import add_content
from tests.mcp_server.conformance.input_fixtures import add_input
from tests.mcp_server.conformance.suite import Check, Outcome, expected_failures, outcome
from tests.mcp_server.conformance.task_fixtures import add_tasks
from tests.mcp_server.conftest import shell_pipeline

NEW, OLD = "2026-07-28", "2025-11-25"
FOR_EVERY_SERVER = {
    NEW: {
        "tools-list",
        "resources-list",
        "prompts-list",
        "completion-complete",
        "sep-2164-resource-not-found",
        "dns-rebinding-protection",
        "caching",
        "http-header-validation",
        "server-sse-multiple-streams",
    },
    OLD: {
        "server-initialize",
        "server-session-lifecycle",
        "ping",
        "tools-list",
        "resources-list",
        "resources-subscribe",
        "resources-unsubscribe",
        "prompts-list",
        "completion-complete",
        "dns-rebinding-protection",
        "server-sse-multiple-streams",
    },
}
"""Scenarios that ask for no tool, resource or prompt of their own."""


class Listener(uvicorn.Server):
    """One that tells when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextlib.asynccontextmanager
async def served(application: Application, *faces: type[McpFace] | partial[McpFace]) -> AsyncIterator[str]:
    """The faces on a free port; yields their address."""
    server = Listener(uvicorn.Config(create_app(application, faces), port=0, log_config=None))
    serving = asyncio.create_task(server.serve())
    await asyncio.wait_for(server.listening.wait(), 60)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


async def both_eras(address: str, folder: Path) -> Outcome:
    new, old = await asyncio.gather(*(outcome(address, revision, folder / revision) for revision in (NEW, OLD)))
    return Outcome(new.passed | old.passed, new.failed | old.failed)


def told(failed: dict[Check, str]) -> str:
    return "\n".join(f"{check}: {message}" for check, message in sorted(failed.items()))


async def test_the_product_passes_what_is_asked_of_every_server_and_of_its_tasks(
    application: Application, tmp_path: Path
) -> None:
    async with served(application, McpFace) as address:
        found = await both_eras(address, tmp_path)
    concerned = {
        check: message
        for check, message in found.failed.items()
        if check.scenario in FOR_EVERY_SERVER[check.revision] or check.scenario.startswith("tasks-")
    }
    assert concerned.keys() == expected_failures()["product"].keys(), told(concerned)
    for revision, scenarios in FOR_EVERY_SERVER.items():
        assert scenarios <= {check.scenario for check in found.passed if check.revision == revision}


async def test_the_product_with_the_suites_fixtures_passes_everything_that_is_not_optional(
    application: Application, project: str, tmp_path: Path
) -> None:
    def extend(product: ProductServer) -> None:
        add_content(product.server)
        add_input(product.server)
        add_tasks(product, application, project, paused)

    paused = (await application.tasks.create_project("paused")).id
    await (await application.workflows()).pause_project(paused)
    task = await application.tasks.create_task(project, "Begin", pipeline=shell_pipeline("true"))
    workflows = await application.workflows()
    # The suite waits ten seconds for a run: the engine is started before.
    await workflows.wait_for_run((await workflows.execute_task_workflow(task.id)).id, 60)
    async with served(application, partial(McpFace, extend=extend)) as address:
        found = await both_eras(address, tmp_path)
    print(f"{len(found.passed)} passed, {len(found.failed)} failed as expected")  # noqa: T201
    assert found.failed.keys() == expected_failures()["with_fixtures"].keys(), told(found.failed)


def test_what_the_product_fails_for_want_of_a_fixture_is_passed_with_it() -> None:
    known = expected_failures()
    assert all(reason for failures in known.values() for reason in failures.values())
    assert {check for check, reason in known["product"].items() if "fixture" not in reason} <= known[
        "with_fixtures"
    ].keys()
