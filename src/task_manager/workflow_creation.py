"""Makes workflows from tasks and keeps them in the store, version by version."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from task_manager.caching.compiled import PipelineCache
from task_manager.conversion.planning import ExecutionPlan
from task_manager.errors import InvalidInput, WorkflowTypeConflict
from task_manager.models import Task, Workflow, WorkflowType, new_id
from task_manager.pipeline_converter import Conversion, PipelineConverter, optimise
from task_manager.repeated_calls import find, once
from task_manager.store import Store, projects, tasks, workflows
from task_manager.store.idempotency import Call
from task_manager.workflow_status import chosen

if TYPE_CHECKING:
    from task_manager.workflow_templates import WorkflowTemplateRegistry


@dataclass(frozen=True)
class WorkflowPreview:
    """What executing a task would run.

    Attributes:
        execution: The steps in their order; none for a function.
    """

    task_id: str
    conversion: Conversion
    execution: ExecutionPlan | None


_LISTED_FILES = 2000
_LISTED_DEPTH = 2


class WorkflowMaker:
    """Converts tasks and stores the workflows.

    Args:
        store: Where workflows are kept.
        converter: Turns a task into a pipeline.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, converter: PipelineConverter, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._converter = converter
        self._clock = clock

    async def convert(
        self,
        task: Task,
        *,
        template_id: str | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        definition: Mapping[str, JsonValue] | None = None,
        workflow_type: WorkflowType | None = None,
    ) -> Conversion:
        """What the converter makes of a task, given the names of the files in its source folder.

        Raises:
            InvalidInput: The task cannot be converted; the error names it.
        """
        project = await self._store.run(projects.get, task.project_id)
        source = task.source_folder or project.source_folder
        files = await asyncio.to_thread(_list_files, Path(source)) if source else ()
        needed = [await self._store.run(tasks.get, dependency) for dependency in task.dependencies]
        try:
            return await asyncio.to_thread(
                self._converter.convert,
                task,
                template_id=template_id,
                parameters=parameters,
                definition=definition,
                workflow_type=workflow_type,
                files=files,
                task_dependencies=[name for other in needed for name in (other.id, other.title)],
            )
        except InvalidInput as error:
            error.message = f"Task {task.title!r}: {error.message}"
            raise

    async def make_once(
        self,
        call: Call,
        task: Task,
        name: str | None = None,
        *,
        template_id: str | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        definition: Mapping[str, JsonValue] | None = None,
    ) -> Workflow:
        """Convert a task and store the workflow, unless the call did so before; see `convert` and `keep`.

        Raises:
            Conflict: The call's key was used with other arguments.
        """
        known = await find(self._store, call, workflows.get)
        if known is not None:
            return known
        conversion = await self.convert(task, template_id=template_id, parameters=parameters, definition=definition)
        return await self.keep(task, conversion, name, definition=definition, call=call)

    async def keep(
        self,
        task: Task,
        conversion: Conversion,
        name: str | None = None,
        *,
        definition: Mapping[str, JsonValue] | None = None,
        call: Call | None = None,
    ) -> Workflow:
        """Store a conversion as the next version of the task's workflow, which becomes the current one.

        Args:
            task: Whose workflow it is.
            conversion: What was made of the task.
            name: By default the task's title.
            definition: The custom definition that was converted, if it is not the task's own.
            call: The call that asked for it, if it may be made again.
        """
        workflow = self.draft(task, conversion, name, definition=definition)
        return await once(
            self._store,
            call or Call("keep_workflow", None, {}),
            workflows.get,
            partial(workflows.create, workflow=workflow),
            now=workflow.created_at,
        )

    def draft(
        self,
        task: Task,
        conversion: Conversion,
        name: str | None = None,
        *,
        definition: Mapping[str, JsonValue] | None = None,
    ) -> Workflow:
        """The workflow of a conversion, which is not stored."""
        own = task.pipeline if conversion.template_id is None else None
        return Workflow(
            id=new_id("workflow"),
            task_id=task.id,
            project_id=task.project_id,
            name=name or task.title,
            workflow_type=conversion.workflow_type,
            template_id=conversion.template_id,
            template_version=conversion.template_version,
            parameters=dict(conversion.parameters),
            pipeline=conversion.pipeline,
            function=conversion.function,
            result_type=conversion.result_type,
            definition=dict(definition) if definition is not None else own,
            explanation=conversion.explanation,
            warnings=tuple(str(finding) for finding in conversion.warnings),
            task_digest=task.definition_digest,
            created_at=self._clock(),
        )

    async def preview(self, task: Task) -> WorkflowPreview:
        """What executing a task would run; nothing is stored.

        Raises:
            InvalidInput: The task cannot be converted.
        """
        current = await self._store.run(workflows.current, task.id)
        if current is None or current.task_digest != task.definition_digest:
            conversion = await self.convert(task)
        else:
            conversion = await self.convert(
                task,
                template_id=current.template_id,
                definition=current.definition,
                parameters=current.parameters if current.template_id else None,
            )
        pipeline = conversion.pipeline
        return WorkflowPreview(task.id, conversion, await asyncio.to_thread(optimise, pipeline) if pipeline else None)

    async def ready(
        self, task: Task, workflow_type: WorkflowType | str | None, parameters: Mapping[str, JsonValue] | None = None
    ) -> Workflow:
        """The workflow to run: the current one, or a new version where there is none or it is out of date.

        Raises:
            WorkflowTypeConflict: The current workflow is of another type than the wanted one.
            InvalidInput: The task cannot be converted.
        """
        wanted = chosen(WorkflowType, workflow_type, "workflow_type")
        current = await self._store.run(workflows.current, task.id)
        if current is not None and wanted not in (None, current.workflow_type):
            raise _type_conflict(task, current, wanted)
        if current is None or current.task_digest != task.definition_digest:
            conversion = await self.convert(task, parameters=parameters, workflow_type=wanted)
            return await self.keep(task, conversion, current.name if current else None)
        if parameters:
            values = {**current.parameters, **parameters}
            conversion = await self.convert(
                task, template_id=current.template_id, definition=current.definition, parameters=values
            )
            return await self.keep(task, conversion, current.name, definition=current.definition)
        return current


def _type_conflict(task: Task, current: Workflow, wanted: WorkflowType | None) -> WorkflowTypeConflict:
    return WorkflowTypeConflict(
        f"The workflow of task {task.title!r} is a {current.workflow_type}, not a {wanted}.",
        remedy="Leave workflow_type out, or create another workflow for the task first.",
        details={"task": task.id, "workflow": current.id, "current": current.workflow_type, "wanted": wanted},
    )


def workflow_maker(store: Store, templates: WorkflowTemplateRegistry, clock: Callable[[], datetime]) -> WorkflowMaker:
    """A maker that converts with these templates, and keeps what it converted in memory."""
    return WorkflowMaker(store, PipelineConverter(templates, cache=PipelineCache()), clock)


def _list_files(root: Path) -> tuple[str, ...]:
    """Names of files near the top of a source folder, for the rules that choose a template."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = [] if depth >= _LISTED_DEPTH else sorted(name for name in folders if _is_the_projects(name))
        found.extend(Path(folder, name).relative_to(root).as_posix() for name in sorted(names))
        if len(found) >= _LISTED_FILES:
            break
    return tuple(found[:_LISTED_FILES])


def _is_the_projects(folder: str) -> bool:
    """Not what tools keep there, and not what packages of others brought: their tests say nothing of the project."""
    return not folder.startswith(".") and folder != "node_modules"
