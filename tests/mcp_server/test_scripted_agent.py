"""An agent on the wire: it plans a project of ten tasks, runs it, meets a failure, reads why, mends it, finishes."""

from pathlib import Path

from mcp import Client

from tests.mcp_server.conftest import Agent, shell_pipeline, stdio_server

TITLES = ["Fetch", "Clean", "Check", "Split", "Train", "Score", "Compare", "Plot", "Pack", "Report"]

DEMANDING = 'test "$INPUT_LEVEL" = low || { echo "error: LEVEL is not low" >&2; exit 2; }'


async def test_an_agent_plans_runs_mends_and_finishes(surroundings: Path) -> None:
    source = surroundings / "work"
    (source / "threshold.txt").write_text("too high\n")
    async with Client(stdio_server()) as client:
        agent = Agent(client)
        plan = [
            {
                "title": title,
                "after": TITLES[number - 1 : number] if number % 2 else TITLES[: number // 2 : 2],
                "pipeline": shell_pipeline(f"echo {title} is done"),
            }
            for number, title in enumerate(TITLES)
        ]
        plan[4]["pipeline"] = shell_pipeline(
            'test "$INPUT_LEVEL" = low || { echo "error: LEVEL is not low" >&2; exit 2; }'
        )
        made = await agent.call("create_plan", tasks=plan, idempotency_key="the plan")
        project = source.name
        started = await agent.call("execute_workflows_for_project", project_id=project)
        assert started["count"] == 10
        train = next(task["id"] for task in made["tasks"] if task["title"] == "Train")
        failed = await agent.finished(next(run["id"] for run in started["runs"] if run["task_id"] == train))
        assert failed["status"] == "failed"
        told = await agent.call("get_run_diagnosis", run_id=failed["id"])
        assert any("LEVEL is not low" in line for line in told["failure"]["lines"])
        for run in started["runs"]:
            await agent.finished(run["id"])

        await agent.call("update_task", task_id=train, changes={"inputs": {"LEVEL": "low"}})
        tasks = (await agent.more("list_tasks", project_id=project))["tasks"]
        open_tasks = [task["id"] for task in tasks if task["status"] != "done"]
        assert train in open_tasks
        ended = {}
        for task in open_tasks:
            run = await agent.call("execute_task_workflow", task_id=task)
            ended[task] = (await agent.finished(run["id"]))["status"]
        assert set(ended.values()) == {"succeeded"}
        assert (await agent.more("get_project", project_id=project))["tasks"] == {"done": 10}
    print(f"{agent.calls} calls, {agent.bytes_read} bytes read")  # noqa: T201
    assert agent.calls < 60
    assert agent.bytes_read < 60_000
