"""What a server costs an agent before it has done anything."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from mcp import Client
from mcp_types import Tool
from rs_bpe.bpe import openai

from task_manager import Application
from task_manager.mcp_server.server import create_server
from tests.mcp_server.conftest import Agent

BUDGET = 2500
EIGHT = {
    "create_workflow_from_task",
    "execute_task_workflow",
    "get_workflow_status",
    "create_workflows_for_project",
    "execute_workflows_for_project",
    "list_workflow_templates",
    "get_workflow_template",
    "create_workflow_from_template",
}


def tokens(data: object) -> int:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return len(openai.o200k_base().encode(text))


def shown(tool: Tool) -> dict[str, object]:
    """What clients put before a model."""
    return {
        "name": tool.name,
        "title": tool.title,
        "description": tool.description,
        "inputSchema": tool.input_schema,
    }


async def test_the_usual_tools_fit_into_their_budget(agent: Agent) -> None:
    tools = (await agent.client.list_tools()).tools
    costs = {tool.name: tokens(shown(tool)) for tool in tools}
    outputs = sum(tokens(tool.output_schema) for tool in tools)
    print(f"{len(tools)} tools, {sum(costs.values())} tokens; output schemas {outputs}: {costs}")  # noqa: T201
    assert costs.keys() > EIGHT
    assert len(costs) <= 15
    assert sum(costs.values()) < BUDGET


async def test_each_tool_s_example_is_one_that_it_takes(application: Application) -> None:
    tools = create_server(application, every_tool=True).integration.toolset.tools.values()
    refusals = {tool.name: tool.refusal(tool.declaration.example) for tool in tools}
    assert {name for name, refusal in refusals.items() if refusal is not None} == set()


def nullable(schema: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, object]]:
    """The places of a schema that take null, each with its default."""
    if {"type": "null"} in schema.get("anyOf", ()):
        yield path, schema.get("default", "none")
    for name, part in {**schema.get("properties", {}), **schema.get("$defs", {})}.items():
        yield from nullable(part, f"{path}/{name}")
    if isinstance(schema.get("items"), dict):
        yield from nullable(schema["items"], f"{path}/items")


async def test_what_answers_leave_out_when_it_is_null_is_all_that_their_schemas_say_is_never_null(
    application: Application,
) -> None:
    product = create_server(application, every_tool=True)
    product.integration.toolset.register(*product.integration.toolset.tools)
    made = {tool.name: tool.output_schema or {} for tool in await product.server.list_tools()}
    assert {path: default for one in made.values() for path, default in nullable(one) if default is not None} == {}
    async with Client(product.server) as client:
        listed = {tool.name: tool.output_schema or {} for tool in (await client.list_tools()).tools}
    assert listed.keys() == made.keys()
    assert [path for one in listed.values() for path in nullable(one)] == []
    assert sum(map(tokens, listed.values())) < sum(map(tokens, made.values()))


async def test_the_order_of_tools_is_stable(agent: Agent) -> None:
    first = [tool.name for tool in (await agent.client.list_tools()).tools]
    assert first == [tool.name for tool in (await agent.client.list_tools()).tools]


async def test_all_tools_are_listed_where_that_is_set(application: Application) -> None:
    async with Client(create_server(application, every_tool=True).server) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
    assert {"get_run_logs", "cancel_run", "next_task", "delete_project"} < set(names)
    assert len(names) > 30


async def test_other_tools_are_found_and_called_through_one(agent: Agent) -> None:
    found = (await agent.call("more_tools", query="cancel"))["tools"]
    assert found[0]["name"] == "cancel_run"
    assert found[0]["input_schema"]["required"] == ["run_id"]
    named = [one["name"] for one in (await agent.call("more_tools", query="the logs of a run"))["tools"]]
    assert named[0] == "get_run_logs"
    assert len(named) < 5, "not all that have a word in common, each with its schema"
    made = await agent.more("create_project", name="from afar")
    assert made["name"] == "from afar"
    error = await agent.error("more_tools", name="create_projects")
    assert (error["code"], error["details"]["near"][0]) == ("not_found", "create_project")
    error = await agent.error("get_run_result", run_id="x" * 5000)
    assert (len(str(error)) < 1000, error["remedy"]) == (True, "See what there is: list_runs.")
    error = await agent.error("more_tools", name="create_project", arguments={"title": "x"})
    assert (error["code"], "title" in error["message"]) == ("invalid_input", True)


async def test_a_list_of_a_thousand_tasks_stays_in_its_byte_budget(
    agent: Agent, application: Application, project: str
) -> None:
    for start in range(0, 1000, 500):
        plan = [{"title": f"Task number {start + number} of a long list"} for number in range(500)]
        await agent.call("create_plan", project_id=project, tasks=plan)
    seen: list[str] = []
    cursor: dict[str, object] = {}
    while True:
        before = agent.bytes_read
        page = await agent.more("list_tasks", project_id=project, limit=200, **cursor)
        assert agent.bytes_read - before < 7000
        seen += [task["id"] for task in page["tasks"]]
        if "next_cursor" not in page:
            break
        cursor = {"cursor": page["next_cursor"]}
    assert len(seen) == len(set(seen)) == 1000
