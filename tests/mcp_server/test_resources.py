"""Resources: their addresses, pages, completion, and the news of them."""

import asyncio
import json
from typing import Any

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    BlobResourceContents,
    ResourceTemplateReference,
    ResourceUpdatedNotification,
    TextResourceContents,
)

from task_manager import Application
from task_manager.mcp_server.server import ProductServer
from tests.mcp_server.conftest import Agent, held, shell_pipeline

STATIC = {
    "task-manager://dagger/workflows",
    "task-manager://dagger/stats",
    "task-manager://dagger/templates",
    "task-manager://projects",
    "task-manager://inbox",
}
TEMPLATES = {
    "task-manager://dagger/workflows/{task_id}",
    "task-manager://dagger/templates/{template_id}",
    "task-manager://dagger/templates/category/{category}",
    "task-manager://projects/{project_id}",
    "task-manager://tasks/{task_id}",
    "task-manager://runs/{run_id}",
    "task-manager://runs/{run_id}/logs/{step}",
}


async def read(client: Client, path: str) -> Any:
    result = await client.read_resource(f"task-manager://{path}")
    (content,) = result.contents
    assert isinstance(content, TextResourceContents)
    return json.loads(content.text)


async def test_the_resources_have_their_addresses(agent: Agent) -> None:
    assert {one.uri for one in (await agent.client.list_resources()).resources} == STATIC
    templates = {one.uri_template for one in (await agent.client.list_resource_templates()).resource_templates}
    assert templates > TEMPLATES
    assert "task-manager://dagger/projects/{project_id}/workflows{?cursor}" in templates
    assert "task-manager://runs/{run_id}/artifacts/{+name}" in templates


async def test_a_run_and_its_parts_are_read(agent: Agent, project: str) -> None:
    pipeline: dict[str, Any] = shell_pipeline("echo hello; mkdir -p out; echo data > out/file.txt")
    pipeline["steps"][0]["outputs"] = [{"name": "file", "path": "out/file.txt"}]
    task = await agent.call("create_task", title="Greet", project_id=project, pipeline=pipeline)
    run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    assert (await agent.finished(run))["status"] == "succeeded"
    assert (await read(agent.client, f"runs/{run}"))["artifacts"][0]["name"] == "step-1/file"
    assert (await read(agent.client, f"runs/{run}/logs/step-1"))["lines"] == [{"n": 1, "text": "hello"}]
    artifact = await agent.client.read_resource(f"task-manager://runs/{run}/artifacts/step-1/file")
    assert isinstance(artifact.contents[0], BlobResourceContents | TextResourceContents)
    assert (await read(agent.client, f"dagger/workflows/{task['id']}"))["run"]["id"] == run
    assert (await read(agent.client, "dagger/workflows"))["workflows"][0]["task_id"] == task["id"]
    assert (await read(agent.client, f"dagger/projects/{project}/workflows"))["workflows"]
    assert (await read(agent.client, f"tasks/{task['id']}"))["status"] == "done"
    assert (await read(agent.client, f"projects/{project}"))["tasks"] == {"done": 1}
    assert await read(agent.client, "dagger/stats")


async def test_templates_are_read(agent: Agent) -> None:
    assert (await read(agent.client, "dagger/templates/python-tests"))["definition"]
    assert (await read(agent.client, "dagger/templates"))["templates"]
    (only,) = (await read(agent.client, "dagger/templates/category/quality"))["templates"]
    assert only["id"] == "code-quality"


@pytest.mark.parametrize(
    "path", ["runs/run-0", "tasks/none", "projects/none", "dagger/templates/none", "dagger/workflows/none", "nothing"]
)
async def test_what_is_not_there_is_invalid_with_its_address(agent: Agent, path: str) -> None:
    with pytest.raises(MCPError) as caught:
        await read(agent.client, path)
    assert caught.value.code == INVALID_PARAMS
    assert caught.value.data["uri"] == f"task-manager://{path}"


async def test_long_lists_are_read_page_by_page(agent: Agent, project: str) -> None:
    plan = [{"title": f"Task number {number} of a list"} for number in range(150)]
    await agent.call("create_plan", project_id=project, tasks=plan)
    seen: list[str] = []
    path = f"projects/{project}/tasks"
    while True:
        page = await read(agent.client, path)
        seen += [task["id"] for task in page["tasks"]]
        if "next_cursor" not in page:
            break
        path = f"projects/{project}/tasks?cursor={page['next_cursor']}"
    assert len(seen) == len(set(seen)) == 150


async def test_ids_are_completed(agent: Agent, application: Application, project: str) -> None:
    task = await application.tasks.create_task(project, "Run the tests")
    reference = ResourceTemplateReference(uri="task-manager://tasks/{task_id}")
    for typed in (task.id[:12], "run the"):
        found = await agent.client.complete(reference, {"name": "task_id", "value": typed})
        assert {task.id, "Run the tests"} & set(found.completion.values)


async def test_a_listener_of_the_newer_era_hears_of_every_change(
    product: ProductServer, agent: Agent, project: str
) -> None:
    task = await agent.call("create_task", title="Greet", project_id=project, pipeline=shell_pipeline("sleep 1"))
    run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    uri = f"task-manager://runs/{run}"
    heard = asyncio.Event()

    async def listen() -> None:
        async with agent.client.listen(resource_subscriptions=[uri]) as news:
            async for event in news:
                assert getattr(event, "uri", None) == uri
                heard.set()
                return

    listening = asyncio.create_task(listen())
    async with asyncio.timeout(60):
        assert (await agent.finished(run))["status"] == "succeeded"
        await heard.wait()
        await listening


async def test_a_subscriber_of_the_older_era_hears_of_every_change(product: ProductServer, project: str) -> None:
    heard: list[str] = []
    ended = asyncio.Event()

    async def on_message(message: object) -> None:
        if isinstance(message, ResourceUpdatedNotification):
            heard.append(str(message.params.uri))
            ended.set()

    async with held(Client(product.server, mode="legacy", message_handler=on_message)) as client:
        agent = Agent(client)
        assert client.server_capabilities.resources is not None
        assert client.server_capabilities.resources.subscribe
        task = await agent.call("create_task", title="Greet", project_id=project, pipeline=shell_pipeline("true"))
        uri = f"task-manager://tasks/{task['id']}"
        await client.session.subscribe_resource(uri)
        run = await agent.call("execute_task_workflow", task_id=task["id"])
        assert (await agent.finished(run["id"]))["status"] == "succeeded"
        await asyncio.wait_for(ended.wait(), 60)
        assert set(heard) == {uri}
        await client.session.unsubscribe_resource(uri)


async def test_prompts_are_short_and_name_their_subject(agent: Agent) -> None:
    prompts = (await agent.client.list_prompts()).prompts
    assert {prompt.name for prompt in prompts} == {"plan_project", "run_until_green", "diagnose_run"}
    shown = await agent.client.get_prompt("diagnose_run", {"run_id": "run-1"})
    text = str(shown.messages[0].content)
    assert "run-1" in text
    assert len(text) < 1000


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [("nothing", {}, "Unknown prompt: nothing"), ("plan_project", {}, "Missing required arguments: {'goal'}")],
)
async def test_a_prompt_that_cannot_be_filled_in_is_told_as_such(
    agent: Agent, name: str, arguments: dict[str, str], told: str
) -> None:
    with pytest.raises(MCPError, match=told) as caught:
        await agent.client.get_prompt(name, arguments)
    assert caught.value.error.code == INVALID_PARAMS
