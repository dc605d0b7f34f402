"""A stored project as a project file: to keep it beside the sources, run it in CI, or make it again elsewhere."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from task_manager.errors import InvalidInput
from task_manager.models import Phase, Project, Task
from task_manager.project_file import ProjectFile, TaskEntry, unused

_NO_KEY = re.compile(r"[^a-z0-9]+")
_KEY_LENGTH = 40


def project_file_of(project: Project, phases: Sequence[Phase], tasks: Sequence[Task], folder: Path) -> ProjectFile:
    """State a project as a file does; `new_project` of it makes the same project with new ids.

    Statuses, runs and what was set by hand meanwhile are not stated: the file says what is to be done.

    Args:
        project: The project.
        phases: Its phases, in order.
        tasks: Its tasks.
        folder: The folder that the file is for; source folders within it are stated relative to it.

    Raises:
        InvalidInput: Two tasks have one title, or two phases one name: a file could not tell them apart.
    """
    _check_names("tasks", "title", [task.title for task in tasks])
    _check_names("phases", "name", [phase.name for phase in phases])
    keys = _keys(tasks)
    titles = {task.id: task.title for task in tasks}
    names = {phase.id: phase.name for phase in phases}
    source = Path(project.source_folder or folder)
    return ProjectFile(
        name=project.name,
        description=project.description,
        source_folder=_relative(project.source_folder, folder),
        metadata=project.metadata,
        phases=tuple(phase.name for phase in phases),
        tasks=tuple(_entry(task, keys, names, titles, source) for task in tasks),
    )


def project_file_data(file: ProjectFile) -> dict[str, Any]:
    """A project file's contents as JSON-like data, without what is as it would be anyway."""
    data: dict[str, Any] = file.model_dump(mode="json", exclude_defaults=True)
    return data


def _entry(
    task: Task, keys: Mapping[str, str], phases: Mapping[str, str], titles: Mapping[str, str], source: Path
) -> TaskEntry:
    return TaskEntry(
        key=keys[task.id],
        title=task.title,
        description=task.description,
        type=task.type,
        priority=task.priority,
        phase=phases.get(task.phase_id or ""),
        depends_on=tuple(keys[dependency] for dependency in task.dependencies),
        labels=task.labels,
        source_folder=_relative(task.source_folder, source),
        template=task.template_id,
        inputs=_by_title(task.inputs, titles),
        pipeline=_by_title(task.pipeline, titles),
        acceptance_criteria=task.acceptance_criteria,
        metadata=task.metadata,
    )


def _by_title(value: Any, titles: Mapping[str, str]) -> Any:
    """The same where other tasks are named by their titles: their ids are those of one store."""
    if isinstance(value, Mapping):
        return {name: _by_title(one, titles) for name, one in value.items()}
    if isinstance(value, list):
        return [_by_title(one, titles) for one in value]
    return titles.get(value, value) if isinstance(value, str) else value


def _keys(tasks: Sequence[Task]) -> dict[str, str]:
    """A key for each task, made of its title: `run-the-tests`, and `run-the-tests-2` for the next of that kind."""
    keys: dict[str, str] = {}
    for task in tasks:
        key = _NO_KEY.sub("-", task.title.lower()).strip("-")[:_KEY_LENGTH].strip("-") or "task"
        keys[task.id] = unused(key, keys.values())
    return keys


def _relative(place: str | None, folder: Path) -> str | None:
    if place is None:
        return None
    path = Path(place)
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else place


def _check_names(kind: str, part: str, names: Sequence[str]) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise InvalidInput(
            f"Two {kind} have the {part} {twice[0]!r}, which a project file cannot tell apart.",
            remedy=f"Give one of them another {part}.",
        )
