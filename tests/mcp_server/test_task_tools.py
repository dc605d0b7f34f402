"""Tasks and projects for agents: plans, claims, changes at the same time."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from mcp import Client

from task_manager import Application
from task_manager.mcp_server.server import ProductServer
from task_manager.models import utc_now
from task_manager.task_planning import PlannedTask, TaskPlanning
from tests.mcp_server.conftest import Agent, held, named, shell_pipeline, stdio_server


async def test_a_task_without_a_project_belongs_to_the_working_folders_repository(
    agent: Agent, application: Application, surroundings: Path
) -> None:
    repository = surroundings / "work"
    (repository / ".git").mkdir()
    made = await agent.call("create_task", title="Run the tests", template_id="python-tests", parameters={})
    again = await agent.call("create_task", title="Check", pipeline=shell_pipeline("true"))
    project = await application.tasks.get_project("work")
    assert project.source_folder == str(repository)
    tasks = await application.tasks.list_tasks(project.id)
    assert [task.id for task in tasks.items] == [made["id"], again["id"]]


async def test_a_key_creates_a_task_once(agent: Agent, project: str) -> None:
    first = await agent.call("create_task", title="Once", project_id=project, idempotency_key="a")
    again = await agent.call("create_task", title="Once", project_id=project, idempotency_key="a")
    assert first["id"] == again["id"]
    error = await agent.error("create_task", title="Twice", project_id=project, idempotency_key="a")
    assert error["code"] == "conflict"


async def test_a_key_creates_a_project_and_a_phase_once(agent: Agent) -> None:
    made = [await agent.more("create_project", name="Once", idempotency_key="p") for _ in range(2)]
    assert made[0]["id"] == made[1]["id"]
    phases = [await agent.more("create_phase", project_id="Once", name="Check", idempotency_key="f") for _ in range(2)]
    assert phases[0]["id"] == phases[1]["id"]


async def test_an_unknown_template_is_told_when_it_is_named(agent: Agent, project: str) -> None:
    error = await agent.error("create_task", title="Test", project_id=project, template_id="python-test")
    assert error["details"]["near"][0] == "python-tests"
    assert (await agent.more("list_tasks", project_id=project))["count"] == 0


async def test_a_plan_is_made_whole_or_not_at_all(agent: Agent, project: str) -> None:
    plan = [{"title": "Build", "after": ["Test"]}, {"title": "Test", "priority": "high"}, {"title": "Lint"}]
    made = await agent.call("create_plan", project_id=project, tasks=plan, idempotency_key="plan")
    assert [task["title"] for task in made["tasks"]] == ["Build", "Test", "Lint"]
    assert made["tasks"][0]["depends_on"] == [made["tasks"][1]["id"]]
    assert (await agent.call("create_plan", project_id=project, tasks=plan, idempotency_key="plan"))["count"] == 3
    for broken in (
        [{"title": "A"}, {"title": "B", "after": ["Nowhere"]}],
        [{"title": "A", "after": ["B"]}, {"title": "B", "after": ["A"]}],
        [{"title": "A"}, {"title": "A"}],
        [{"title": "A", "priority": "very high"}],
        [{"title": ""}],
    ):
        await agent.error("create_plan", project_id=project, tasks=broken)
    assert (await agent.more("list_tasks", project_id=project))["count"] == 3


async def test_agents_that_ask_at_the_same_time_get_different_tasks(
    agent: Agent, product: ProductServer, project: str
) -> None:
    await agent.call("create_plan", project_id=project, tasks=[{"title": f"Task {n}"} for n in range(8)])
    claimed = await asyncio.gather(*(agent.more("next_task", project_id=project) for _ in range(8)))
    assert len({one["tasks"][0]["id"] for one in claimed}) == 8
    assert (await agent.more("next_task", project_id=project))["count"] == 0


async def test_the_next_task_is_ready_and_the_most_urgent(agent: Agent, project: str) -> None:
    plan = [
        {"title": "Later", "after": ["Now"], "priority": "critical"},
        {"title": "Now"},
        {"title": "Soon", "priority": "low"},
    ]
    await agent.call("create_plan", project_id=project, tasks=plan)
    (first,) = (await agent.more("next_task", project_id=project))["tasks"]
    assert (first["title"], first["status"]) == ("Now", "in_progress")
    await agent.more("complete_task", task_id=first["id"])
    (second,) = (await agent.more("next_task", project_id=project))["tasks"]
    assert second["title"] == "Later"


async def test_a_claim_is_its_holders_until_its_lease_ends(product: ProductServer, project: str) -> None:
    async with (
        held(Client(product.server, client_info=named("one"))) as one,
        held(Client(product.server, client_info=named("two"))) as two,
    ):
        first, second = Agent(one), Agent(two)
        task = (await first.call("create_task", title="Mine", project_id=project))["id"]
        mine = await first.more("claim_task", task_id=task, lease_seconds=600)
        assert mine["claimed_by"] == "mcp:one"
        error = await second.error("more_tools", name="claim_task", arguments={"task_id": task})
        assert (error["code"], error["details"]["holder"]) == ("conflict", "mcp:one")
        assert (await second.error("more_tools", name="complete_task", arguments={"task_id": task}))[
            "code"
        ] == "conflict"
        await first.more("release_task", task_id=task)
        assert (await second.more("claim_task", task_id=task))["claimed_by"] == "mcp:two"


async def test_an_expired_claim_is_taken_over(application: Application, project: str) -> None:
    task = await application.planning.create_task(project, "Left behind", {})
    assert await application.planning.claim_next("one", lease_seconds=60)
    later = TaskPlanning(application.store, lambda: utc_now() + timedelta(seconds=61))
    taken = await later.claim_next("two")
    assert taken is not None
    assert (taken[0].id, taken[1].holder) == (task.id, "two")


@pytest.mark.parametrize("revision", [True, False])
async def test_twenty_changes_at_once_are_all_kept_or_refused_as_conflicts(
    agent: Agent, application: Application, project: str, revision: bool
) -> None:
    plan = [{"title": f"Task {number}"} for number in range(20)]
    made = await agent.call("create_plan", project_id=project, tasks=plan)
    expected = {"expected_revision": 1} if revision else {}
    await asyncio.gather(
        *(
            agent.call("update_task", task_id=task["id"], changes={"status": "done"}, **expected)
            for task in made["tasks"]
        )
    )
    project_view = await agent.more("get_project", project_id=project)
    assert project_view["tasks"] == {"done": 20}
    same = await asyncio.gather(
        *(
            agent.result(
                "update_task",
                {"task_id": made["tasks"][0]["id"], "changes": {"title": f"Title {n}"}, "expected_revision": 2},
            )
            for n in range(20)
        )
    )
    assert sum(not result.is_error for result in same) == 1
    task = await application.tasks.get_task(made["tasks"][0]["id"])
    assert task.revision == 3


async def test_changes_of_five_servers_at_once_are_all_kept(
    address: str, application: Application, project: str
) -> None:
    """Five agents: three with a server process each, two of one server over HTTP, all over one store."""
    plan = [PlannedTask(f"Task {number}") for number in range(20)]
    tasks = [task.id for task in await application.planning.create_plan(project, plan)]
    together = asyncio.Barrier(5)
    kept = []

    async def work(part: int, client: Client) -> None:
        async with client:
            agent = Agent(client)
            await agent.call("get_workflow_status", task_id=tasks[0])
            await together.wait()
            await asyncio.gather(
                *(agent.call("update_task", task_id=one, changes={"status": "done"}) for one in tasks[part::5])
            )
            changes = {"description": f"by {part}"}
            same = await agent.result("update_task", {"task_id": tasks[0], "changes": changes, "expected_revision": 2})
            kept.extend([] if same.is_error else [part])

    clients = [*(Client(stdio_server()) for _ in range(3)), *(Client(f"{address}/mcp") for _ in range(2))]
    await asyncio.gather(*(work(part, client) for part, client in enumerate(clients)))
    found = [await application.tasks.get_task(one) for one in tasks]
    assert {task.status for task in found} == {"done"}
    assert [task.revision for task in found] == [3] + 19 * [2]
    assert [found[0].description] == [f"by {part}" for part in kept]
