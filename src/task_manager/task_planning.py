"""Use cases of those who work on tasks together: plans made whole, tasks claimed, completed and linked.

Wherever an id is accepted, the name of a project or the title of a task is too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from pydantic_core import to_jsonable_python

from task_manager.errors import Conflict, DependencyCycle, InvalidInput, NotFound
from task_manager.graph import find_cycle, layers
from task_manager.models import Project, Task, TaskClaim, new_id, utc_now
from task_manager.repeated_calls import once_all
from task_manager.store import Connection, Store, claims, projects, tasks
from task_manager.store.idempotency import Call
from task_manager.task_operations import create_task, find_task, update_task
from task_manager.task_rules import absolute_folder, checked
from task_manager.workflow_status import TaskStatus

MAX_PLANNED: Final = 500
MAX_LEASE_SECONDS: Final = 24 * 3600
_OVER: Final = frozenset({TaskStatus.DONE, TaskStatus.CANCELLED})


@dataclass(frozen=True)
class PlannedTask:
    """A task of a plan.

    Attributes:
        title: How the plan's other tasks name it.
        after: Titles of the plan's tasks, or ids or titles of the project's, that it depends on.
        fields: The others of `task_service.TaskFields`.
    """

    title: str
    after: Sequence[str] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)


class TaskPlanning:
    """Each call is one transaction.

    Args:
        store: An open store.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def create_task(
        self, project: str | Path, title: str, fields: Mapping[str, Any], *, idempotency_key: str | None = None
    ) -> Task:
        """Create a task.

        Args:
            project: The project's id or name; or a folder, see `create_plan`.
            title: For people.
            fields: See `task_service.TaskFields`; None stands for the default.
            idempotency_key: Names this call: made again with the same key, it returns the same task.

        Raises:
            Conflict: The key was used with other arguments.
            InvalidInput: A value does not fit.
            NotFound: There is no such project, phase or dependency.
        """
        (task,) = await self.create_plan(project, [PlannedTask(title, (), fields)], idempotency_key=idempotency_key)
        return task

    async def create_plan(
        self, project: str | Path, planned: Sequence[PlannedTask], *, idempotency_key: str | None = None
    ) -> tuple[Task, ...]:
        """Create tasks with their dependencies, all or none.

        Args:
            project: The project's id or name; or a folder: the project whose source is that folder's git root, or the
                folder itself, made with the tasks when there is none.
            planned: The tasks, in any order.
            idempotency_key: Names this call: made again with the same key, it returns the same tasks.

        Returns:
            The tasks, in the order in which they were given.

        Raises:
            Conflict: The key was used with other arguments.
            DependencyCycle: Tasks would wait for each other; the titles are named in order.
            InvalidInput: A value does not fit; two tasks have the same title; the plan is empty or too long.
            NotFound: There is no such project, phase or dependency.
            SourceNotFound: The folder does not exist.
        """
        _check_plan(planned)
        now = self._clock()
        named, find = await self._project(project, now)
        asked = [{"title": one.title, "after": list(one.after), **one.fields} for one in planned]
        call = Call("create_plan", idempotency_key, to_jsonable_python({"project": named, "tasks": asked}))
        return await once_all(
            self._store, call, tasks.get, lambda c: _create_in_order(c, find(c).id, planned, now), now=now
        )

    async def _project(self, project: str | Path, now: datetime) -> tuple[str, Callable[[Connection], Project]]:
        """What a project is known by, and what finds it in a transaction, or makes it there."""
        if isinstance(project, Path):
            root = await asyncio.to_thread(_root_of, Path(str(absolute_folder(project))))
            return str(root), lambda c: _project_of_folder(c, root, now)
        found = await self._store.run(projects.find, project)
        return found.id, lambda c: projects.get(c, found.id)

    async def claim_next(
        self,
        holder: str,
        *,
        project_id: str | None = None,
        labels: Collection[str] = (),
        lease_seconds: float = 900,
    ) -> tuple[Task, TaskClaim] | None:
        """Take the next task that can be worked on; of several who ask at once, each gets another one.

        Args:
            holder: Who works on it.
            project_id: Of this project alone, by id or name.
            labels: With all of these labels alone.
            lease_seconds: After so many seconds somebody else may take it over.

        Returns:
            The task, now in progress, and the claim; None when no task is ready.

        Raises:
            InvalidInput: The lease is too long or not positive.
            NotFound: There is no such project.
        """
        lease = _lease(lease_seconds)
        return await self._store.run(_claim_next, holder, project_id, labels, lease, now=self._clock())

    async def claim(self, task_id: str, holder: str, *, lease_seconds: float = 900) -> tuple[Task, TaskClaim]:
        """Take a task, or keep one that the holder has for longer.

        Raises:
            Conflict: Somebody else has it.
            InvalidInput: It is over, or the lease cannot be used.
            NotFound: There is no such task.
        """
        return await self._store.run(_claim, task_id, holder, _lease(lease_seconds), self._clock())

    async def complete(self, task_id: str, holder: str, *, expected_revision: int | None = None) -> Task:
        """Mark a task as done, and give its claim back.

        Raises:
            Conflict: Somebody else has it, or it has another revision.
            NotFound: There is no such task.
        """
        return await self._store.run(_complete, task_id, holder, expected_revision, self._clock())

    async def release(self, task_id: str, holder: str) -> Task:
        """Give a claimed task back: it is to be done again.

        Raises:
            Conflict: Somebody else has it.
            NotFound: There is no such task.
        """
        return await self._store.run(_release, task_id, holder, self._clock())

    async def link(
        self,
        task_id: str,
        *,
        depends_on: Sequence[str] = (),
        urls: Sequence[str] = (),
        remove: bool = False,
    ) -> Task:
        """Add or remove what a task depends on, and addresses of what it is about.

        Args:
            task_id: The task's id or title.
            depends_on: Ids or titles of tasks of its project.
            urls: Such as an issue or a pull request; kept in `metadata["links"]`.
            remove: Remove these instead.

        Raises:
            DependencyCycle: It would wait for itself.
            InvalidInput: Nothing was given, or something is no address.
            NotFound: There is no such task.
        """
        return await self._store.run(_link, task_id, depends_on, urls, remove=remove, now=self._clock())

    async def count_by_status(self, project_id: str) -> dict[TaskStatus, int]:
        """How many tasks of a project are in each status."""
        return await self._store.run(tasks.count_by_status, project_id)

    async def claims_of(self, task_ids: Collection[str]) -> dict[str, TaskClaim]:
        """The claims that have not expired, by the task's id."""
        now = self._clock()
        found = await self._store.run(claims.of_tasks, task_ids)
        return {key: claim for key, claim in found.items() if claim.expires_at > now}


def _root_of(folder: Path) -> Path:
    """The nearest folder above that is a git repository, or the folder itself."""
    return next((one for one in (folder, *folder.parents) if (one / ".git").exists()), folder)


def _project_of_folder(c: Connection, root: Path, now: datetime) -> Project:
    known = projects.of_source(c, str(root))
    if known is not None:
        return known
    name = _free_name(c, root.name or "root")
    stamps = {"created_at": now, "updated_at": now}
    fields = {"id": new_id("project"), "name": name, "source_folder": str(root), **stamps}
    return projects.insert(c, checked(Project, fields))


def _free_name(c: Connection, name: str) -> str:
    for number in range(1, 1000):
        candidate = name if number == 1 else f"{name}-{number}"
        try:
            projects.find(c, candidate)
        except NotFound:
            return candidate
    raise InvalidInput(f"There are too many projects {name!r}.", remedy="Create one with a name of its own.")


def _check_plan(planned: Sequence[PlannedTask]) -> None:
    if not 1 <= len(planned) <= MAX_PLANNED:
        raise InvalidInput(f"A plan has 1 to {MAX_PLANNED} tasks, not {len(planned)}.")
    titles = [one.title for one in planned]
    twice = sorted({title for title in titles if titles.count(title) > 1})
    if twice:
        raise InvalidInput(
            f"Several tasks of the plan are called {', '.join(map(repr, twice))}.",
            remedy="Give each a title of its own.",
        )
    cycle = find_cycle(_edges(planned))
    if cycle:
        raise DependencyCycle(
            f"These tasks would wait for each other: {' → '.join([*cycle, cycle[0]])}.",
            remedy="Remove one of these dependencies; nothing was created.",
            details={"cycle": cycle},
        )


def _edges(planned: Sequence[PlannedTask]) -> dict[str, list[str]]:
    titles = {one.title for one in planned}
    return {one.title: [name for name in one.after if name in titles] for one in planned}


def _create_in_order(c: Connection, project_id: str, planned: Sequence[PlannedTask], now: datetime) -> list[Task]:
    by_title = {one.title: one for one in planned}
    made: dict[str, Task] = {}
    for title in [title for layer in layers(_edges(planned)) for title in layer]:
        one = by_title[title]
        given = {name: value for name, value in one.fields.items() if value is not None}
        dependencies = [made[name].id if name in made else name for name in one.after]
        stamps = {"id": new_id("task"), "created_at": now, "updated_at": now}
        if "source_folder" in given:
            given["source_folder"] = absolute_folder(given["source_folder"])
        wanted = {**given, **stamps, "title": title, "dependencies": [*dependencies, *given.get("dependencies", ())]}
        try:
            made[title] = create_task(c, project_id, wanted)
        except InvalidInput as error:
            error.message = f"Task {title!r}: {error.message}" if len(planned) > 1 else error.message
            raise
    return [made[one.title] for one in planned]


def _lease(seconds: float) -> timedelta:
    if not 1 <= seconds <= MAX_LEASE_SECONDS:
        raise InvalidInput(f"A lease takes 1 to {MAX_LEASE_SECONDS} seconds, not {seconds:g}.")
    return timedelta(seconds=seconds)


def _claim_next(
    c: Connection, holder: str, project_name: str | None, labels: Collection[str], lease: timedelta, *, now: datetime
) -> tuple[Task, TaskClaim] | None:
    project_id = None if project_name is None else projects.find(c, project_name).id
    task_id = claims.next_ready(c, now=now, project_id=project_id, labels=labels)
    return None if task_id is None else _take(c, task_id, holder, lease, now)


def _claim(c: Connection, name: str, holder: str, lease: timedelta, now: datetime) -> tuple[Task, TaskClaim]:
    task = _held(c, name, holder, now)
    if task.status in _OVER:
        raise InvalidInput(f"Task {task.title!r} is {task.status}; there is nothing to claim.")
    return _take(c, task.id, holder, lease, now)


def _take(c: Connection, task_id: str, holder: str, lease: timedelta, now: datetime) -> tuple[Task, TaskClaim]:
    task = tasks.lock(c, task_id)
    claim = claims.put(c, TaskClaim(task_id=task.id, holder=holder, expires_at=now + lease))
    if task.status is not TaskStatus.IN_PROGRESS:
        task = tasks.update(c, task.evolve(status=TaskStatus.IN_PROGRESS, updated_at=now))
    return task, claim


def _held(c: Connection, name: str, holder: str, now: datetime) -> Task:
    """A task that nobody else has, locked."""
    task = tasks.lock(c, find_task(c, name, None).id)
    claim = claims.of_task(c, task.id)
    if claim is not None and claim.holder != holder and claim.expires_at > now:
        raise Conflict(
            f"Task {task.title!r} is {claim.holder}'s until {claim.expires_at.isoformat(timespec='seconds')}.",
            remedy="Take another one, or wait until then.",
            details={"task": task.id, "holder": claim.holder},
        )
    return task


def _complete(c: Connection, name: str, holder: str, expected_revision: int | None, now: datetime) -> Task:
    task = _held(c, name, holder, now)
    claims.remove(c, task.id)
    if task.status is TaskStatus.DONE and expected_revision is None:
        return task
    return update_task(c, task.id, {"status": TaskStatus.DONE}, expected_revision, now=now)


def _release(c: Connection, name: str, holder: str, now: datetime) -> Task:
    task = _held(c, name, holder, now)
    claims.remove(c, task.id)
    if task.status is not TaskStatus.IN_PROGRESS:
        return task
    return tasks.update(c, task.evolve(status=TaskStatus.TODO, updated_at=now))


def _link(
    c: Connection, name: str, depends_on: Sequence[str], urls: Sequence[str], *, remove: bool, now: datetime
) -> Task:
    task = find_task(c, name, None)
    changes: dict[str, object] = {}
    if depends_on:
        named = [find_task(c, one, task.project_id).id for one in depends_on]
        changes["dependencies"] = _changed(task.dependencies, named, remove=remove)
    if urls:
        changes["metadata"] = {**task.metadata, "links": _changed(_links(task), _addresses(urls), remove=remove)}
    return update_task(c, task.id, changes, None, now=now)


def _changed(known: Sequence[str], named: Sequence[str], *, remove: bool) -> list[str]:
    return [one for one in known if one not in named] if remove else list(dict.fromkeys([*known, *named]))


def _links(task: Task) -> list[str]:
    known = task.metadata.get("links")
    return [str(one) for one in known] if isinstance(known, list) else []


def _addresses(urls: Sequence[str]) -> Sequence[str]:
    for url in urls:
        if not url.startswith(("https://", "http://")):
            raise InvalidInput(f"{url[:100]!r} is no address of the web.", remedy="It begins with https://.")
    return urls
