"""Over MCP errors and diagnoses name tools, not commands."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import task_manager
from task_manager import Application
from task_manager.failure_rules import built_in_rules
from task_manager.mcp_server.server import create_server
from task_manager.mcp_server.wording import in_tools
from tests.mcp_server.conftest import Agent, shell_pipeline

SOURCES = Path(task_manager.__file__).parent
FOR_PEOPLE = re.compile(
    r"task-manager (engine|worker|token|config|artifact|trigger|hook|schedule|project (resume|pause))\b"
)
"""What looks after the installation has no tool."""


def remedies() -> Iterator[str]:
    """Every text that the product's errors have as their remedy, with a name where a value is put in."""
    for folder in (SOURCES, SOURCES / "store", SOURCES / "running", SOURCES / "templating", SOURCES / "communication"):
        for file in folder.glob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.keyword) and node.arg in ("remedy", "text"):
                    yield from texts(node.value)


def texts(value: ast.expr) -> Iterator[str]:
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value
    if isinstance(value, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "name" for one in value.values)


def test_no_remedy_names_a_command_that_a_tool_does() -> None:
    told = [in_tools(text) for text in remedies()]
    rules = [
        in_tools(re.sub(r"\{\w+\}", "name", action.command)) for rule in built_in_rules() for action in rule.actions
    ]
    assert len(told) > 50
    assert len(rules) > 10
    assert [text for text in (*told, *rules) if "task-manager " in text and not FOR_PEOPLE.search(text)] == []


@pytest.mark.parametrize(
    ("command", "call"),
    [
        ("task-manager run logs run-1 --step step.1", "get_run_logs(run_id='run-1', step='step.1')"),
        ("See `task-manager run logs run-1`.", "See get_run_logs(run_id='run-1')."),
        ("task-manager task show 'a task'", "get_task(task_id='a task')"),
        ("Cancel it: task-manager run cancel run-1.", "Cancel it: cancel_run(run_id='run-1')."),
        (
            "task-manager task update TASK --source FOLDER",
            "update_task(task_id=TASK, changes={'source_folder': FOLDER})",
        ),
        ("task-manager engine doctor", "task-manager engine doctor"),
    ],
)
def test_a_command_becomes_the_call_that_does_the_same(command: str, call: str) -> None:
    assert in_tools(command) == call


async def test_every_tool_that_is_named_so_exists_and_has_those_arguments(application: Application) -> None:
    tools = create_server(application).integration.toolset.tools
    named = {
        in_tools(re.sub(r"\{\w+\}", "name", action.command)) for rule in built_in_rules() for action in rule.actions
    }
    calls = [re.fullmatch(r"(\w+)\((.*)\)", one) for one in named if "task-manager" not in one]
    assert calls
    for call in calls:
        assert call is not None
        assert set(re.findall(r"(\w+)=", call[2])) <= set(tools[call[1]].parameters)


async def test_a_diagnosis_tells_agents_tools(agent: Agent, project: str) -> None:
    task = await agent.call("create_task", title="Fail", project_id=project, pipeline=shell_pipeline("exit 3"))
    run = await agent.call("execute_task_workflow", task_id=task["id"])
    await agent.finished(run["id"])
    told = await agent.call("get_run_diagnosis", run_id=run["id"])
    assert any(action.startswith("get_run_logs(") for action in told["actions"])
    assert not any("task-manager run" in action for action in told["actions"])
