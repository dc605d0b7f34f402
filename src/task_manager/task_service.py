"""Use cases on projects, phases and tasks.

Wherever an id is accepted, the name of a project or phase or the title of a task is too.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypedDict, Unpack

from pydantic_core import to_jsonable_python

from task_manager import task_operations
from task_manager.artifacts import remove_run_folders
from task_manager.models import Phase, Priority, Project, Task, new_id, utc_now
from task_manager.repeated_calls import once
from task_manager.store import Connection, Page, Store, phases, projects, tasks
from task_manager.store.idempotency import Call
from task_manager.task_rules import absolute_folder, checked
from task_manager.workflow_status import TaskStatus

DEFAULT_LIMIT: Final = 50

P = ParamSpec("P")


class TaskFields(TypedDict, total=False):
    """What a task may be created with; `models.Task` has the defaults, which None stands for too.

    Attributes:
        description: For people.
        type: What kind of work it is; it helps to choose a template.
        priority: How urgent it is.
        phase_id: A phase of the project, by id or name.
        dependencies: Tasks of the project, by id or title.
        labels: Words that help to choose a template.
        source_folder: An existing folder; its absolute path is stored.
        template_id: The template; whether it exists is seen when a workflow is made.
        inputs: Values for the template's parameters, or for a custom pipeline's environment.
        pipeline: A custom definition; it is checked when a workflow is made.
        acceptance_criteria: When it is done.
        metadata: JSON-like data.
    """

    description: str | None
    type: str | None
    priority: Priority | str | None
    phase_id: str | None
    dependencies: Sequence[str] | None
    labels: Sequence[str] | None
    source_folder: str | Path | None
    template_id: str | None
    inputs: Mapping[str, object] | None
    pipeline: Mapping[str, object] | None
    acceptance_criteria: Sequence[str] | None
    metadata: Mapping[str, object] | None


class TaskService:
    """Creates, reads, changes and removes projects, phases and tasks; each call is one transaction.

    Args:
        store: An open store.
        clock: Tells the time.
    """

    def __init__(self, store: Store, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def create_project(
        self,
        name: str,
        description: str = "",
        source_folder: str | Path | None = None,
        metadata: Mapping[str, object] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Project:
        """Create a project.

        Args:
            name: Unique among all projects.
            description: For people.
            source_folder: An existing folder; its absolute path is stored.
            metadata: JSON-like data.
            idempotency_key: Names this call: made again with the same key, it returns the same project.

        Raises:
            InvalidInput: A value does not fit, or the name is taken.
            SourceNotFound: The folder does not exist.
            Conflict: The key was used with other arguments.
        """
        fields = {"name": name, "description": description, "metadata": metadata or {}}
        source = absolute_folder(source_folder)
        project = checked(Project, {**self._stamps("project"), **fields, "source_folder": source})
        call = _call("create_project", idempotency_key, {**fields, "source_folder": source})
        make = partial(projects.insert, project=project)
        return await once(self._store, call, projects.get, make, now=project.created_at)

    async def get_project(self, project_id: str) -> Project:
        """The project of that id or name.

        Raises:
            NotFound: There is none; near misses are named.
        """
        return await self._store.run(projects.find, project_id)

    async def list_projects(self, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Project]:
        """A page of all projects, oldest first.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
        """
        return await self._store.run(projects.list_, limit=limit, cursor=cursor)

    async def update_project(
        self, project_id: str, changes: Mapping[str, object], expected_revision: int | None = None
    ) -> Project:
        """Change a project.

        Args:
            project_id: Its id or name.
            changes: New values by field, from `task_operations.PROJECT_FIELDS`.
            expected_revision: Refuse when it has another one; none: change whatever is there.

        Raises:
            Conflict: It has another revision.
            InvalidInput: A value does not fit, or the name is taken.
            NotFound: There is no such project.
            SourceNotFound: The folder does not exist.
        """
        return await self._store.run(
            task_operations.update_project, project_id, _with_folder(changes), expected_revision, now=self._clock()
        )

    async def delete_project(self, project_id: str, *, expected_revision: int | None = None) -> tuple[str, ...]:
        """Remove a project with its phases, tasks, workflows, runs and results.

        Args:
            project_id: Its id or name.
            expected_revision: Refuse when it has another one.

        Returns:
            The ids of the removed runs; their files in the data folder are removed, too.

        Raises:
            Conflict: It has another revision.
            InvalidInput: Runs of it are not over.
            NotFound: There is no such project.
        """
        return await self._remove(task_operations.delete_project, project_id, expected_revision)

    async def create_phase(
        self, project_id: str, name: str, order: int | None = None, *, idempotency_key: str | None = None
    ) -> Phase:
        """Create a phase.

        Args:
            project_id: The project's id or name.
            name: Unique in the project.
            order: Its place among the project's phases, from 0; none: after all of them.
            idempotency_key: Names this call: made again with the same key, it returns the same phase.

        Raises:
            InvalidInput: A value does not fit, or the name is taken.
            NotFound: There is no such project.
            Conflict: The key was used with other arguments.
        """
        given = {"name": name, "order": order}
        call = _call("create_phase", idempotency_key, {"project": project_id, **given})
        fields = {**self._stamps("phase"), **given}
        make = partial(task_operations.create_phase, project_id=project_id, fields=fields)
        return await once(self._store, call, phases.get, make, now=self._clock())

    async def get_phase(self, phase_id: str, project_id: str | None = None) -> Phase:
        """The phase of that id or name, of a project or of all.

        Raises:
            InvalidInput: Phases of several projects have that name.
            NotFound: There is none; near misses are named.
        """
        return await self._store.run(task_operations.find_phase, phase_id, project_id)

    async def list_phases(
        self, project_id: str | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[Phase]:
        """A page of the phases of a project or of all, in their order.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
            NotFound: There is no such project.
        """
        return await self._store.run(task_operations.list_phases, project_id, limit=limit, cursor=cursor)

    async def update_phase(
        self, phase_id: str, changes: Mapping[str, object], expected_revision: int | None = None
    ) -> Phase:
        """Change a phase.

        Args:
            phase_id: Its id or name.
            changes: New values by field, from `task_operations.PHASE_FIELDS`.
            expected_revision: Refuse when it has another one; none: change whatever is there.

        Raises:
            Conflict: It has another revision.
            InvalidInput: A value does not fit, or the name is taken.
            NotFound: There is no such phase.
        """
        return await self._store.run(
            task_operations.update_phase, phase_id, changes, expected_revision, now=self._clock()
        )

    async def delete_phase(
        self, phase_id: str, project_id: str | None = None, *, expected_revision: int | None = None
    ) -> tuple[str, ...]:
        """Remove a phase with its tasks, and their workflows, runs and results.

        Args:
            phase_id: Its id or name.
            project_id: The project that it belongs to, by id or name; none: any.
            expected_revision: Refuse when it has another one.

        Returns:
            The ids of the removed runs; their files in the data folder are removed, too.

        Raises:
            Conflict: It has another revision.
            InvalidInput: Runs of its tasks are not over, or tasks outside of it depend on its tasks.
            NotFound: There is no such phase.
        """
        return await self._remove(task_operations.delete_phase, phase_id, project_id, expected_revision)

    async def create_task(
        self, project_id: str, title: str, *, idempotency_key: str | None = None, **fields: Unpack[TaskFields]
    ) -> Task:
        """Create a task.

        Args:
            project_id: The project's id or name.
            title: For people.
            idempotency_key: Names this call: made again with the same key, it returns the same task.
            fields: See `TaskFields`.

        Raises:
            InvalidInput: A value does not fit; a dependency is in another project or comes twice.
            NotFound: There is no such project, phase or dependency.
            SourceNotFound: The folder does not exist.
            Conflict: The key was used with other arguments.
        """
        given = _with_folder({name: value for name, value in fields.items() if value is not None})
        call = _call("create_task", idempotency_key, {"project": project_id, "title": title, **given})
        made = {**self._stamps("task"), **given, "title": title}
        make = partial(task_operations.create_task, project_id=project_id, fields=made)
        return await once(self._store, call, tasks.get, make, now=self._clock())

    async def get_task(self, task_id: str, project_id: str | None = None) -> Task:
        """The task of that id or title, of a project or of all.

        Raises:
            InvalidInput: Several tasks have that title; their ids are named.
            NotFound: There is none; near misses are named.
        """
        return await self._store.run(task_operations.find_task, task_id, project_id)

    async def list_tasks(
        self,
        project_id: str | None = None,
        *,
        phase_id: str | None = None,
        status: TaskStatus | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Task]:
        """A page of tasks, oldest first.

        Args:
            project_id: Of this project alone, by id or name.
            phase_id: Of this phase alone, by id or name.
            status: In this status alone.
            limit: How many at most.
            cursor: The `next_cursor` of the page before.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
            NotFound: There is no such project or phase.
        """
        return await self._store.run(
            task_operations.list_tasks, project_id, phase_id, status=status, limit=limit, cursor=cursor
        )

    async def update_task(
        self, task_id: str, changes: Mapping[str, object], expected_revision: int | None = None
    ) -> Task:
        """Change a task.

        Args:
            task_id: Its id or title.
            changes: New values by field, from `task_operations.TASK_FIELDS`.
            expected_revision: Refuse when it has another one; none: change whatever is there.

        Raises:
            Conflict: It has another revision.
            DependencyCycle: It would wait for itself; the titles are named in order.
            InvalidInput: A value does not fit; a dependency is in another project or comes twice.
            NotFound: There is no such task, phase or dependency.
            SourceNotFound: The folder does not exist.
        """
        return await self._store.run(
            task_operations.update_task, task_id, _with_folder(changes), expected_revision, now=self._clock()
        )

    async def delete_task(
        self, task_id: str, project_id: str | None = None, *, expected_revision: int | None = None
    ) -> tuple[str, ...]:
        """Remove a task with its workflows, runs and results.

        Args:
            task_id: Its id or title.
            project_id: The project that it belongs to, by id or name; none: any.
            expected_revision: Refuse when it has another one.

        Returns:
            The ids of the removed runs; their files in the data folder are removed, too.

        Raises:
            Conflict: It has another revision.
            InvalidInput: Runs of it are not over, or other tasks depend on it.
            NotFound: There is no such task.
        """
        return await self._remove(task_operations.delete_task, task_id, project_id, expected_revision)

    async def _remove(
        self,
        operation: Callable[Concatenate[Connection, P], tuple[str, ...]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> tuple[str, ...]:
        """Run an operation that removes records, then remove the files of the runs that went with them."""
        removed = await self._store.run(operation, *args, **kwargs)
        await asyncio.to_thread(remove_run_folders, self._store.data_dir, removed)
        return removed

    def _stamps(self, kind: str) -> dict[str, object]:
        now = self._clock()
        return {"id": new_id(kind), "created_at": now, "updated_at": now}


def _call(operation: str, key: str | None, arguments: Mapping[str, object]) -> Call:
    return Call(operation, key, to_jsonable_python(arguments, fallback=repr))


def _with_folder(changes: Mapping[str, object]) -> Mapping[str, object]:
    if "source_folder" not in changes:
        return changes
    return {**changes, "source_folder": absolute_folder(changes["source_folder"])}
