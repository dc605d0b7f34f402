"""What triggers and schedules start: a task, a project, or a task made of a template."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Final

from pydantic import JsonValue

from task_manager.store import Store, projects, tasks
from task_manager.trigger_records import Target

if TYPE_CHECKING:
    from task_manager.dagger_integration import TaskWorkflowIntegration
    from task_manager.task_service import TaskService
    from task_manager.workflow_templates import WorkflowTemplateRegistry

_LONGEST_TITLE: Final = 200


class RunTargets:
    """Finds and starts what is to be run.

    Args:
        store: Where projects and tasks are.
        service: Makes the tasks of templates.
        workflows: Has tasks executed.
        templates: The templates that there are.
    """

    def __init__(
        self,
        store: Store,
        *,
        service: TaskService,
        workflows: Callable[[], Awaitable[TaskWorkflowIntegration]],
        templates: WorkflowTemplateRegistry,
    ) -> None:
        self._store = store
        self._service = service
        self._workflows = workflows
        self._templates = templates

    async def identified(self, fields: Mapping[str, object]) -> dict[str, object]:
        """Fields with the ids of project and task in place of their names.

        Raises:
            NotFound: There is no such task, project or template.
            InvalidInput: Several have that name.
        """
        given = dict(fields)
        if isinstance(given.get("project_id"), str):
            given["project_id"] = (await self._store.run(projects.find, str(given["project_id"]))).id
        if isinstance(given.get("task_id"), str):
            given["task_id"] = (await self._store.run(tasks.find, str(given["task_id"]))).id
        if isinstance(given.get("template_id"), str):
            await asyncio.to_thread(self._templates.get, str(given["template_id"]))
        return given

    async def start(
        self,
        target: Target,
        parameters: Mapping[str, JsonValue],
        *,
        title: str,
        actor: str,
        key: str,
        skip_cache: bool = False,
    ) -> tuple[str, ...]:
        """Start what is named; the key makes it the same runs however often that is tried.

        Args:
            target: What.
            parameters: Values for the template's parameters.
            title: Of a task that is made; cut where it is too long.
            actor: Who starts it, for the event log.
            key: Names this start.
            skip_cache: Whether no step may be answered from an earlier run.

        Returns:
            The ids of the runs.

        Raises:
            TaskManagerError: It cannot be started.
        """
        workflows = await self._workflows()
        task_id, values = target.task_id, dict(parameters)
        if target.project_id is not None and target.template_id is None:
            started = await workflows.execute_workflows_for_project(
                target.project_id, skip_cache=skip_cache, actor=actor, idempotency_key=key
            )
            return tuple(run.id for run in started)
        if target.project_id is not None:
            task = await self._service.create_task(
                target.project_id,
                title[:_LONGEST_TITLE],
                template_id=target.template_id,
                inputs=values,
                idempotency_key=key,
            )
            task_id, values = task.id, {}
        run = await workflows.execute_task_workflow(
            str(task_id), workflow_params=values or None, skip_cache=skip_cache, actor=actor, idempotency_key=key
        )
        return (run.id,)
