"""The eight workflow tools, as the SDK's own client sees them."""

import asyncio
from pathlib import Path

import pytest
from mcp import Client
from mcp.server.mcpserver import Context, MCPServer
from mcp.shared.subscriptions import ResourceUpdated, ToolsListChanged

from task_manager import Application
from task_manager.mcp_server.workflows import DaggerWorkflowIntegration
from tests.mcp_server.conftest import Agent, settings_of, shell_pipeline, stdio_server

ARGUMENTS = {
    "create_workflow_from_task": ["task_id", "workflow_name", "custom_inputs"],
    "execute_task_workflow": ["task_id", "workflow_type", "workflow_params", "skip_cache"],
    "get_workflow_status": ["task_id"],
    "create_workflows_for_project": ["project_id", "phase_id", "status"],
    "execute_workflows_for_project": ["project_id", "workflow_type", "phase_id", "status", "skip_cache"],
    "list_workflow_templates": ["category"],
    "get_workflow_template": ["template_id"],
    "create_workflow_from_template": ["task_id", "template_id", "parameters"],
}


async def task_of(application: Application, project: str, title: str, *commands: str) -> str:
    task = await application.tasks.create_task(project, title, pipeline=shell_pipeline(*commands))
    return task.id


async def test_the_eight_tools_have_their_names_and_begin_with_their_arguments(agent: Agent) -> None:
    listed = {tool.name: tool for tool in (await agent.client.list_tools()).tools}
    for name, arguments in ARGUMENTS.items():
        assert list(listed[name].input_schema["properties"])[: len(arguments)] == arguments


async def test_every_tool_has_a_title_all_hints_a_description_and_an_output_schema(agent: Agent) -> None:
    for tool in (await agent.client.list_tools()).tools:
        hints = tool.annotations
        assert tool.title
        assert tool.description
        assert tool.output_schema
        assert hints is not None
        assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)


async def test_any_server_of_the_sdk_can_be_given_the_integration(application: Application) -> None:
    server: MCPServer[object] = MCPServer("another")

    @server.tool()
    def own() -> str:
        return "mine"

    async with (
        DaggerWorkflowIntegration(server, task_manager=application),
        Client(server) as client,
    ):
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert {"own", *ARGUMENTS} <= names
        assert not (await client.call_tool("own", {})).is_error


async def test_on_any_server_changes_of_resources_are_heard_beside_its_own_news(
    application: Application, project: str
) -> None:
    server: MCPServer[object] = MCPServer("another")

    @server.tool()
    async def grow(context: Context) -> str:
        await context.notify_tools_changed()
        return "grown"

    task = await task_of(application, project, "Greet", "true")
    uri = f"task-manager://tasks/{task}"
    async with (
        DaggerWorkflowIntegration(server, task_manager=application),
        Client(server) as client,
        asyncio.timeout(60),
        client.listen(tools_list_changed=True, resource_subscriptions=[uri]) as news,
    ):
        assert not (await client.call_tool("grow", {})).is_error
        assert isinstance(await anext(news), ToolsListChanged)
        await client.call_tool("execute_task_workflow", {"task_id": task})
        assert await anext(news) == ResourceUpdated(uri=uri)


async def test_a_workflow_is_made_and_renewed(agent: Agent, application: Application, project: str) -> None:
    task = await task_of(application, project, "Greet", "cat hello.txt")
    first = await agent.call("create_workflow_from_task", task_id=task, workflow_name="Hello")
    second = await agent.call("create_workflow_from_task", task_id=task, custom_inputs={"WHO": "world"}, detail="full")
    assert (first["name"], first["version"], first["steps"]) == ("Hello", 1, ["step-1"])
    assert (second["version"], second["parameters"]) == (2, {"WHO": "world"})
    assert second["definition"]["steps"]


async def test_a_workflow_is_made_from_a_template(agent: Agent, application: Application, project: str) -> None:
    task = (await application.tasks.create_task(project, "Check")).id
    made = await agent.call(
        "create_workflow_from_template", task_id=task, template_id="shell-command", parameters={"command": ["true"]}
    )
    assert made["template_id"] == "shell-command"
    template = await agent.call("get_workflow_template", template_id="shell-command")
    assert "command" in template["parameters"]["properties"]


async def test_templates_are_listed_by_category(agent: Agent) -> None:
    listed = await agent.call("list_workflow_templates", category="testing")
    assert {one["category"] for one in listed["templates"]} == {"testing"}
    error = await agent.error("list_workflow_templates", category="tests")
    assert (error["code"], error["details"]["near"]) == ("not_found", ["testing"])


async def test_the_tasks_of_a_project_get_workflows_and_runs_in_their_order(
    agent: Agent, application: Application, project: str
) -> None:
    first = await task_of(application, project, "First", "true")
    second = await application.tasks.create_task(
        project, "Second", pipeline=shell_pipeline("true"), dependencies=[first]
    )
    made = await agent.call("create_workflows_for_project", project_id="greetings", status="todo")
    assert made["count"] == 2
    started = await agent.call("execute_workflows_for_project", project_id=project, idempotency_key="once")
    again = await agent.call("execute_workflows_for_project", project_id=project, idempotency_key="once")
    assert [run["task_id"] for run in started["runs"]] == [first, second.id]
    assert [run["id"] for run in again["runs"]] == [run["id"] for run in started["runs"]]
    workflows = await application.workflows()
    ended = await workflows.wait_for_run(started["runs"][-1]["id"], 60)
    assert ended.status == "succeeded"


async def test_a_key_starts_a_task_once(agent: Agent, application: Application, project: str) -> None:
    task = await task_of(application, project, "Greet", "true")
    first = await agent.call("execute_task_workflow", task_id=task, idempotency_key="k")
    again = await agent.call("execute_task_workflow", task_id=task, idempotency_key="k")
    assert first["id"] == again["id"]
    error = await agent.error("execute_task_workflow", task_id=task, skip_cache=True, idempotency_key="k")
    assert error["code"] == "conflict"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"task": "x"}, "no argument 'task'"),
        ({}, "task_id"),
        ({"task_id": 3}, "task_id"),
        ({"task_id": "x", "detail": "all"}, "detail"),
    ],
)
async def test_arguments_that_do_not_fit_are_told_in_words(
    agent: Agent, arguments: dict[str, object], told: str
) -> None:
    error = await agent.error("get_workflow_status", **arguments)
    assert error["code"] == "invalid_input"
    assert told in error["message"]
    assert "pydantic" not in str(error)


async def test_an_unknown_task_is_an_error_with_near_misses(
    agent: Agent, application: Application, project: str
) -> None:
    await application.tasks.create_task(project, "Run the tests")
    error = await agent.error("get_workflow_status", task_id="Run the test")
    assert (error["code"], error["details"]["near"]) == ("not_found", ["Run the tests"])
    assert "Run the tests" in error["remedy"]


async def test_a_server_on_standard_input_runs_a_task_in_a_container(surroundings: Path) -> None:
    """Started as agents start it: the run is executed by a worker, and its result stands in the status."""
    source = surroundings / "source"
    source.mkdir()
    async with Application(settings_of(surroundings)) as application:
        await application.tasks.create_project("greetings", source_folder=source)
        task = await task_of(application, "greetings", "Greet", "echo hello from the container")
        async with Client(stdio_server(), cache=None) as client:
            agent = Agent(client)
            assert client.server_info is not None
            assert client.server_info.name == "task_manager"
            run = await agent.call("execute_task_workflow", task_id=task)
            await (await application.workflows()).wait_for_run(run["id"], 60)
            status = await agent.call("get_workflow_status", task_id=task)
        assert (status["task"]["status"], status["run"]["status"]) == ("done", "succeeded")
        (event, *_) = await application.runs.events(run["id"])
        assert event.actor.startswith("mcp:")
