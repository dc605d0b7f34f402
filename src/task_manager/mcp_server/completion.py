"""Completion of ids, names and steps in addresses of resources and arguments of prompts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from mcp.server.mcpserver import MCPServer
from mcp_types import (
    Completion,
    CompletionArgument,
    CompletionContext,
    PromptReference,
    ResourceTemplateReference,
)

from task_manager.errors import TaskManagerError
from task_manager.mcp_server.backend import Backend

if TYPE_CHECKING:
    from task_manager.application import Application

_MOST: Final = 100
_AMONG: Final = 500

Find = Callable[["Application", dict[str, str]], Awaitable[Iterable[str]]]


def add_completion(server: MCPServer[Any], backend: Backend) -> None:
    """Let clients complete arguments of this server's resources and prompts."""

    @server.completion()  # type: ignore[no-untyped-call, untyped-decorator]
    async def complete(
        ref: PromptReference | ResourceTemplateReference,
        argument: CompletionArgument,
        context: CompletionContext | None,
    ) -> Completion | None:
        find = _FINDERS.get(argument.name)
        if find is None:
            return None
        try:
            known = await find(await backend.application(), dict((context and context.arguments) or {}))
        except TaskManagerError:
            return None
        typed = argument.value.casefold()
        found = [one for one in dict.fromkeys(known) if typed in one.casefold()]
        found.sort(key=lambda one: not one.casefold().startswith(typed))
        return Completion(values=found[:_MOST], total=len(found), has_more=len(found) > _MOST)


async def _projects(application: Application, _given: dict[str, str]) -> Iterable[str]:
    page = await application.tasks.list_projects(limit=_AMONG)
    return [name for one in page.items for name in (one.id, one.name)]


async def _tasks(application: Application, given: dict[str, str]) -> Iterable[str]:
    page = await application.tasks.list_tasks(given.get("project_id"), limit=_AMONG)
    return [name for one in page.items for name in (one.id, one.title)]


async def _runs(application: Application, _given: dict[str, str]) -> Iterable[str]:
    return [run.id for run in (await application.runs.list(limit=_AMONG)).items]


async def _templates(application: Application, _given: dict[str, str]) -> Iterable[str]:
    return [template.id for template in application.templates.list()]


async def _categories(application: Application, _given: dict[str, str]) -> Iterable[str]:
    return application.templates.categories()


async def _steps(application: Application, given: dict[str, str]) -> Iterable[str]:
    state = await (await application.workflows()).get_run(given.get("run_id", ""))
    return [step.step_id for step in state.steps]


async def _artifacts(application: Application, given: dict[str, str]) -> Iterable[str]:
    state = await (await application.workflows()).get_run(given.get("run_id", ""))
    return [artifact.name for artifact in state.artifacts]


_FINDERS: Final[dict[str, Find]] = {
    "project_id": _projects,
    "task_id": _tasks,
    "run_id": _runs,
    "template_id": _templates,
    "category": _categories,
    "step": _steps,
    "name": _artifacts,
}
