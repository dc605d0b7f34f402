"""Whatever arguments a tool is called with: an answer in words, and nothing half-done."""

import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from task_manager import Application
from task_manager.mcp_server.server import create_server
from task_manager.mcp_server.toolset import RegisteredTool
from task_manager.store import Connection, projects, runs, tasks, workflows
from tests.mcp_server.conftest import Agent, text_of

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "6"))

TEXTS = st.text(max_size=30) | st.sampled_from(
    ["", "\0", "💥", "../../etc", "run-1", "task-1", "a" * 5000, "-1", "\ud800"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=6,
)


def arguments_of(tool: RegisteredTool) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments with the tool's names and any values, or with names that it does not have."""
    known = st.fixed_dictionaries({}, optional=dict.fromkeys(tool.parameters, VALUES))
    return known | st.dictionaries(st.text(max_size=10), VALUES, max_size=3)


async def counted(application: Application) -> tuple[int, ...]:
    def count(c: Connection) -> tuple[int, ...]:
        found = projects.list_(c, limit=500), tasks.list_(c, limit=500), workflows.list_(c, limit=500)
        return (*(len(page.items) for page in found), len(runs.ids(c)))

    return await application.store.run(count)


def sendable(arguments: dict[str, Any]) -> bool:
    """Whether a client can send them."""
    try:
        json.dumps(arguments, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, UnicodeEncodeError):
        return False
    return True


def examples_of(tool: RegisteredTool) -> list[dict[str, Any]]:
    examples: list[dict[str, Any]] = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(arguments_of(tool))
    def collect(arguments: dict[str, Any]) -> None:
        examples.append(arguments)

    collect()
    return [one for one in examples if sendable(one)]


async def test_any_arguments_are_answered_in_words_and_refusals_change_nothing(
    agent: Agent, application: Application, project: str
) -> None:
    called = 0
    for name, tool in create_server(application).integration.toolset.tools.items():
        for arguments in examples_of(tool):
            before = await counted(application)
            result = await agent.client.call_tool(name, arguments)
            called += 1
            if not result.is_error:
                continue
            assert await counted(application) == before, (name, arguments)
            text = text_of(result)
            error = json.loads(text)["error"]
            assert error["message"], (name, arguments)
            assert error["code"] != "error", (name, arguments, text)
            assert "Traceback" not in text
            assert "pydantic" not in text
    print(f"{called} calls")  # noqa: T201
    assert called > EXAMPLES * 20
