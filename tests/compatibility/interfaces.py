"""What others rely on, as data that can be compared: a change of it is a change for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from typer.main import get_command

from task_manager.cli.app import app
from task_manager.config.reference import reference as settings_page
from task_manager.errors import TaskManagerError
from task_manager.pipeline import Pipeline
from task_manager.workflow_templates import WorkflowTemplate
from tests.compatibility.json_outputs import bare, json_outputs
from tests.documentation.generated import mcp, python


def commands() -> dict[str, list[str]]:
    """The arguments and options of each command."""
    return dict(_commands(get_command(app), "task-manager"))


def _commands(command: Any, path: str) -> Iterator[tuple[str, list[str]]]:
    yield path, sorted(name for one in command.params if not getattr(one, "hidden", False) for name in one.opts)
    for name, one in getattr(command, "commands", {}).items():
        yield from _commands(one, f"{path} {name}")


def tools() -> dict[str, Any]:
    """What each MCP tool takes and gives, without the words that explain it."""
    return {
        name: {"takes": bare(one["input_schema"]), "gives": bare(one.get("output_schema", {}))}
        for name, one in mcp.documents().items()
    }


def settings() -> list[list[str]]:
    """Each setting with its environment variable and default."""
    rows = [line.split(" | ") for line in settings_page().splitlines() if line.startswith("| `")]
    return [[cell.strip("| `") for cell in row[:3]] for row in rows]


def error_codes() -> list[str]:
    """The codes of all errors of the tree."""
    return sorted(set(_codes(TaskManagerError)))


def _codes(kind: type[TaskManagerError]) -> Iterator[str]:
    if kind.__module__ == TaskManagerError.__module__:
        yield kind.code
    for below in kind.__subclasses__():
        yield from _codes(below)


INTERFACES: Final[Mapping[str, Callable[[], Any]]] = MappingProxyType(
    {
        "command-line": commands,
        "command-line-json": json_outputs,
        "error-codes": error_codes,
        "mcp-tools": tools,
        "pipeline-schema": lambda: bare(Pipeline.model_json_schema()),
        "python-names": python.signatures,
        "settings": settings,
        "template-schema": lambda: bare(WorkflowTemplate.model_json_schema()),
    }
)
"""How each interface is read from the code."""
