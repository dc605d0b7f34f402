"""The transactions of `TaskService`: what is checked and what is stored together.

`name` is an id, the name of a project or phase, or the title of a task. Errors are told in `task_service`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from task_manager.models import Phase, Project, Task
from task_manager.store import Connection, Page, phases, projects, read_only, runs, tasks
from task_manager.task_rules import (
    changed,
    checked,
    refuse_active,
    refuse_cycle,
    refuse_dependents,
    refuse_other_revision,
    with_references,
)
from task_manager.workflow_status import TaskStatus

PROJECT_FIELDS: Final = frozenset({"name", "description", "source_folder", "metadata"})
"""What `TaskService.update_project` changes."""
PHASE_FIELDS: Final = frozenset({"name", "order"})
"""What `TaskService.update_phase` changes."""
TASK_FIELDS: Final = frozenset(Task.model_fields) - {"id", "project_id", "created_at", "updated_at", "revision"}
"""What `TaskService.update_task` changes."""


def update_project(
    c: Connection, name: str, changes: Mapping[str, object], expected_revision: int | None, *, now: datetime
) -> Project:
    """Change a project."""
    project = projects.lock(c, projects.find(c, name).id)
    return projects.update(c, changed(project, changes, PROJECT_FIELDS, expected_revision, now))


def delete_project(c: Connection, name: str, expected_revision: int | None) -> tuple[str, ...]:
    """Remove a project and all that belongs to it; returns the ids of its runs."""
    project = projects.lock(c, projects.find(c, name).id, removal=True)
    refuse_other_revision("project", project.revision, expected_revision)
    refuse_active(f"Project {project.name!r}", runs.active(c, project_id=project.id))
    removed = runs.ids(c, project_id=project.id)
    projects.delete(c, project.id)
    return removed


def create_phase(c: Connection, project_id: str, fields: Mapping[str, object]) -> Phase:
    """Create a phase, after all others where it has no order."""
    project = projects.lock(c, projects.find(c, project_id).id)
    order = phases.next_order(c, project.id) if fields["order"] is None else fields["order"]
    return phases.insert(c, checked(Phase, {**fields, "project_id": project.id, "order": order}))


@read_only
def find_phase(c: Connection, name: str, project_id: str | None) -> Phase:
    """The phase of that id or name, in a project of that id or name."""
    return phases.find(c, name, _project_id(c, project_id))


@read_only
def list_phases(c: Connection, project_id: str | None, *, limit: int, cursor: str | None) -> Page[Phase]:
    """A page of phases."""
    return phases.list_(c, project_id=_project_id(c, project_id), limit=limit, cursor=cursor)


def update_phase(
    c: Connection, name: str, changes: Mapping[str, object], expected_revision: int | None, *, now: datetime
) -> Phase:
    """Change a phase."""
    phase = phases.find(c, name)
    projects.lock(c, phase.project_id)
    phase = phases.get(c, phase.id)
    return phases.update(c, changed(phase, changes, PHASE_FIELDS, expected_revision, now))


def delete_phase(c: Connection, name: str, project_id: str | None, expected_revision: int | None) -> tuple[str, ...]:
    """Remove a phase with its tasks; returns the ids of their runs."""
    phase = find_phase(c, name, project_id)
    projects.lock(c, phase.project_id)
    refuse_other_revision("phase", phases.get(c, phase.id).revision, expected_revision)
    doomed = [tasks.lock(c, task.id, removal=True) for task in tasks.of_project(c, phase.project_id, phase_id=phase.id)]
    removed = _release(c, f"Phase {phase.name!r}", [task.id for task in doomed])
    phases.delete(c, phase.id)
    return removed


def create_task(c: Connection, project_id: str, fields: Mapping[str, object]) -> Task:
    """Create a task."""
    project = projects.lock(c, projects.find(c, project_id).id)
    task = with_references(c, checked(Task, {**fields, "project_id": project.id}))
    return tasks.insert(c, task)


@read_only
def find_task(c: Connection, name: str, project_id: str | None) -> Task:
    """The task of that id or title, in a project of that id or name."""
    return tasks.find(c, name, _project_id(c, project_id))


@read_only
def list_tasks(
    c: Connection,
    project_id: str | None,
    phase_id: str | None,
    *,
    status: TaskStatus | None,
    limit: int,
    cursor: str | None,
) -> Page[Task]:
    """A page of tasks."""
    project = _project_id(c, project_id)
    phase = None if phase_id is None else phases.find(c, phase_id, project).id
    return tasks.list_(c, project_id=project, phase_id=phase, status=status, limit=limit, cursor=cursor)


def update_task(
    c: Connection, name: str, changes: Mapping[str, object], expected_revision: int | None, *, now: datetime
) -> Task:
    """Change a task."""
    found = tasks.find(c, name)
    # Changes of a project's tasks queue here: two, each without a circle of dependencies, could make one together.
    projects.lock(c, found.project_id)
    stored = tasks.lock(c, found.id)
    task = with_references(c, changed(stored, changes, TASK_FIELDS, expected_revision, now))
    refuse_cycle(c, task)
    return tasks.update(c, task)


def delete_task(c: Connection, name: str, project_id: str | None, expected_revision: int | None) -> tuple[str, ...]:
    """Remove a task; returns the ids of its runs."""
    task = find_task(c, name, project_id)
    projects.lock(c, task.project_id)
    locked = tasks.lock(c, task.id, removal=True)
    refuse_other_revision("task", locked.revision, expected_revision)
    removed = _release(c, f"Task {task.title!r}", [task.id])
    tasks.delete(c, task.id)
    return removed


def _release(c: Connection, what: str, task_ids: Sequence[str]) -> tuple[str, ...]:
    """Check that these tasks can be removed; returns the ids of their runs."""
    refuse_active(what, runs.active(c, task_ids=task_ids))
    refuse_dependents(c, what, task_ids)
    return runs.ids(c, task_ids=task_ids)


def _project_id(c: Connection, name: str | None) -> str | None:
    return None if name is None else projects.find(c, name).id
