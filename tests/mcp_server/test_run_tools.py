"""Runs for agents: from a wish to a verified result, and to a diagnosis."""

import asyncio
from typing import get_args

import pytest
from mcp import Client

from task_manager import Application
from task_manager.mcp_server.runs import StatusOfRun
from task_manager.mcp_server.server import ProductServer
from task_manager.workflow_status import WorkflowStatus
from tests.mcp_server.conftest import Agent, held, named, shell_pipeline


@pytest.fixture
async def succeeded(agent: Agent, project: str) -> str:
    task = await agent.call("create_task", title="Greet", project_id=project, pipeline=shell_pipeline("echo hello"))
    run = await agent.call("execute_task_workflow", task_id=task["id"])
    ended = await agent.finished(run["id"])
    assert (ended["status"], ended["steps_done"]) == ("succeeded", 1)
    return str(run["id"])


async def test_a_result_takes_three_calls(agent: Agent, project: str) -> None:
    made = await agent.call(
        "create_task",
        title="Greet",
        project_id=project,
        template_id="shell-command",
        parameters={"command": ["sh", "-c", "echo hello"]},
    )
    run = await agent.call("execute_task_workflow", task_id=made["id"])
    ended = await agent.finished(run["id"])
    assert (ended["status"], agent.calls <= 4) == ("succeeded", True)
    assert ended["headline"]


async def test_the_logs_of_a_run_are_read_in_parts(agent: Agent, project: str) -> None:
    pipeline = shell_pipeline("seq 1 500; echo found it here")
    task = await agent.call("create_task", title="Count", project_id=project, pipeline=pipeline)
    run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    await agent.finished(run)
    tail = await agent.more("get_run_logs", run_id=run, tail=2)
    assert [line["text"] for line in tail["lines"]] == ["500", "found it here"]
    found = await agent.more("get_run_logs", run_id=run, search="FOUND")
    assert found["lines"] == [{"n": 501, "text": "found it here"}]
    first = await agent.more("get_run_logs", run_id=run, step="step-1", max_bytes=20)
    second = await agent.more("get_run_logs", run_id=run, start=first["next_line"], max_bytes=20)
    assert second["lines"][0]["n"] == first["lines"][-1]["n"] + 1
    error = await agent.error("more_tools", name="get_run_logs", arguments={"run_id": run, "step": "step-2"})
    assert error["details"]["near"] == ["step-1"]


async def test_a_failed_run_tells_where_why_and_what_to_do(agent: Agent, project: str) -> None:
    pipeline = shell_pipeline("echo 'error: the cheese is missing' >&2; exit 3")
    task = await agent.call("create_task", title="Fail", project_id=project, pipeline=pipeline)
    run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    ended = await agent.finished(run)
    assert (ended["status"], ended["failure"]["exit_code"]) == ("failed", 3)
    told = await agent.call("get_run_diagnosis", run_id=run)
    assert told["failure"]["step"] == "step-1"
    assert "error: the cheese is missing" in told["failure"]["lines"]
    assert told["next"]


async def test_a_wait_ends_after_its_time_and_goes_on(agent: Agent, project: str) -> None:
    task = await agent.call("create_task", title="Wait", project_id=project, pipeline=shell_pipeline("sleep 60"))
    run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    waited = await agent.call("wait_for_run", run_id=run, timeout=0.1)
    assert not waited.get("over")
    changed = await agent.call("wait_for_run", run_id=run, cursor=waited["cursor"], timeout=45)
    assert int(changed["cursor"]) > int(waited["cursor"])
    ended = await agent.more("cancel_run", run_id=run)
    assert ended["status"] in ("cancelled", "cancelling")
    assert (await agent.finished(run))["status"] == "cancelled"


async def test_a_wait_tells_of_progress(agent: Agent, project: str) -> None:
    told: list[str] = []

    async def tell(progress: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    task = await agent.call("create_task", title="Two", project_id=project, pipeline=shell_pipeline("true", "true"))
    run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    await agent.client.call_tool("wait_for_run", {"run_id": run}, progress_callback=tell)
    assert any(message.startswith(("running", "preparing", "queued", "processing")) for message in told)


async def test_a_run_is_repeated(agent: Agent, succeeded: str) -> None:
    again = await agent.more("retry_run", run_id=succeeded, idempotency_key="again")
    assert (await agent.more("retry_run", run_id=succeeded, idempotency_key="again"))["id"] == again["id"]
    assert (await agent.finished(again["id"]))["status"] == "succeeded"
    assert (await agent.more("explain_cache", run_id=again["id"]))["text"]
    assert (await agent.more("predict_cache", task_id=again["task_id"]))["outcome"] in ("hit", "miss", "off")
    listed = await agent.more("list_runs", status="succeeded")
    assert [run["id"] for run in listed["runs"]] == [again["id"], succeeded]


async def test_a_result_nobody_read_stands_in_the_inbox_of_who_started_it(
    product: ProductServer, application: Application, project: str
) -> None:
    async with held(Client(product.server, client_info=named("one"))) as client:
        agent = Agent(client)
        task = await agent.call("create_task", title="Greet", project_id=project, pipeline=shell_pipeline("true"))
        run = (await agent.call("execute_task_workflow", task_id=task["id"]))["id"]
    await (await application.workflows()).wait_for_run(run, 60)
    async with held(Client(product.server, client_info=named("two"))) as client:
        assert (await Agent(client).more("inbox")).get("runs", []) == []
    async with held(Client(product.server, client_info=named("one"))) as client:
        agent = Agent(client)
        assert [one["id"] for one in (await agent.more("inbox"))["runs"]] == [run]
        result = await agent.call("get_run_result", run_id=run, detail="full")
        assert result["result"]["run_id"] == run
        assert (await agent.more("inbox")).get("runs", []) == []


async def test_a_plan_of_a_run_runs_nothing(agent: Agent, project: str) -> None:
    task = await agent.call("create_task", title="Two", project_id=project, pipeline=shell_pipeline("true", "false"))
    plan = await agent.more("plan_run", task_id=task["id"])
    assert plan["order"] == [["step-1"], ["step-2"]]
    assert (await agent.more("list_runs")).get("runs", []) == []


async def test_execute_returns_its_handle_in_under_a_second(agent: Agent, project: str) -> None:
    task = await agent.call("create_task", title="Sleep", project_id=project, pipeline=shell_pipeline("sleep 60"))
    await agent.call("get_workflow_status", task_id=task["id"])
    async with asyncio.timeout(5):  # one second on a quiet machine
        run = await agent.call("execute_task_workflow", task_id=task["id"])
    await agent.more("cancel_run", run_id=run["id"])


def test_runs_are_asked_for_by_any_status() -> None:
    assert get_args(StatusOfRun) == tuple(WorkflowStatus)
