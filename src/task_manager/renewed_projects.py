"""Projects that are written down anew each time they are run, such as the demo's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Final

from task_manager.errors import NotFound
from task_manager.models import Project, Task
from task_manager.project_file import NewProject, store_project
from task_manager.store import Connection, projects, runs, tasks
from task_manager.workflow_status import TaskStatus

_RENEWED: Final = {
    "description",
    "type",
    "priority",
    "labels",
    "source_folder",
    "template_id",
    "inputs",
    "pipeline",
    "acceptance_criteria",
    "metadata",
    "updated_at",
}


@dataclass(frozen=True)
class Stored:
    """A project that was stored.

    Attributes:
        removed_runs: Runs of an earlier project of the same name and mark, which is gone.
    """

    project: Project
    removed_runs: tuple[str, ...]


def store_renewed(c: Connection, new: NewProject, mark: str) -> Stored:
    """Store a project in place of an earlier one of the same mark, whose runs it takes over if it has the same tasks.

    An earlier one whose runs are not over is kept under another name; one of that name without the mark keeps it.

    Args:
        c: The transaction.
        new: The project.
        mark: A word that tells projects made this way from those of people.
    """
    new = replace(new, project=new.project.evolve(metadata={**new.project.metadata, mark: True}))
    removed: tuple[str, ...] = ()
    for earlier in _named(c, new.project.name):
        if not earlier.metadata.get(mark):
            return store_renewed(c, replace(new, project=new.project.evolve(name=f"{earlier.name} ({mark})")), mark)
        if runs.active(c, project_id=earlier.id):
            projects.update(c, earlier.evolve(name=f"{earlier.name} of {earlier.created_at:%Y-%m-%d %H:%M:%S}"))
        elif _shape(tasks.of_project(c, earlier.id)) == _shape(new.tasks):
            return Stored(_renew(c, earlier, new), ())
        else:
            removed = runs.ids(c, project_id=earlier.id)
            projects.delete(c, earlier.id)
    return Stored(store_project(c, new), removed)


def _shape(of_project: Collection[Task]) -> dict[str, set[str]]:
    """The titles of tasks, each with those of the tasks that it depends on."""
    titles = {task.id: task.title for task in of_project}
    return {task.title: {titles[needed] for needed in task.dependencies} for task in of_project}


def _renew(c: Connection, earlier: Project, new: NewProject) -> Project:
    """Give an earlier project and its tasks what the new ones have; ids and runs stay."""
    before = {task.title: task for task in tasks.of_project(c, earlier.id)}
    for task in new.tasks:
        fields = task.model_dump(include=_RENEWED)
        tasks.update(c, before[task.title].evolve(**fields, status=TaskStatus.TODO))
    fields = new.project.model_dump(include={"description", "source_folder", "metadata", "updated_at"})
    return projects.update(c, earlier.evolve(**fields))


def _named(c: Connection, name: str) -> Iterator[Project]:
    try:
        yield projects.find(c, name)
    except NotFound:
        return
