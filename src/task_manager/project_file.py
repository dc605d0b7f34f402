"""Project files: a project with its phases and tasks in one YAML, TOML or JSON file.

name: textkit
source_folder: .            # relative to this file
phases: [Check, Deliver]
tasks:
  - key: lint               # how other tasks of this file name it
    title: Check the code
    type: lint
    template: code-quality
    phase: Check
  - key: wheel
    title: Build the wheel
    template: build-package
    inputs: {build_type: wheel}
    depends_on: [lint]
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from task_manager.documents import Document, Place, place_text, read_document
from task_manager.errors import InvalidInput, near_misses
from task_manager.graph import find_cycle, layers
from task_manager.model_findings import model_findings
from task_manager.models import Label, Phase, Priority, Project, Task, Title, new_id
from task_manager.repeated_calls import once
from task_manager.store import Connection, Store, phases, projects, tasks
from task_manager.store.idempotency import Call

Key = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]


class _Entry(BaseModel):
    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid")


class TaskEntry(_Entry):
    """A task as a project file states it."""

    key: Key = Field(description="How other tasks of the file name it.")
    title: Title
    description: str = ""
    type: Label = "general"
    priority: Priority = Priority.MEDIUM
    phase: Title | None = Field(None, description="One of the file's phases.")
    depends_on: tuple[Key, ...] = Field((), description="Keys of the tasks that must have succeeded before.")
    labels: tuple[Label, ...] = ()
    source_folder: str | None = Field(None, description="Relative to the project's source folder.")
    template: str | None = Field(None, description="The template its workflow is made from.")
    inputs: dict[str, JsonValue] = Field(default_factory=dict, description="Values for the template's parameters.")
    pipeline: dict[str, JsonValue] | None = Field(None, description="A custom definition, instead of a template.")
    acceptance_criteria: tuple[str, ...] = ()
    metadata: dict[str, JsonValue] = Field(default_factory=dict)


class ProjectFile(_Entry):
    """A project as a project file states it."""

    name: Title
    description: str = ""
    source_folder: str | None = Field(None, description="Relative to the file.")
    metadata: dict[str, JsonValue] = Field(default_factory=dict)
    phases: tuple[Title, ...] = ()
    tasks: tuple[TaskEntry, ...] = Field((), max_length=10_000)


@dataclass(frozen=True)
class NewProject:
    """The records that a project file stands for, none of them stored yet.

    Attributes:
        project: The project.
        phases: Its phases, in order.
        tasks: Its tasks, each after those that it depends on.
        keys: Each task's id by its key in the file.
    """

    project: Project
    phases: tuple[Phase, ...]
    tasks: tuple[Task, ...]
    keys: Mapping[str, str]


def read_project_file(path: Path, *, templates: Collection[str] | None = None) -> ProjectFile:
    """Read and check a project file.

    Args:
        path: The file.
        templates: The ids of the templates there are; none: whether a named template exists is not checked.

    Raises:
        InvalidInput: The file is missing or broken; or `details["findings"]` has everything that is wrong, each with
            place, line and message.
    """
    document = read_document(path)
    try:
        file = ProjectFile.model_validate(document.data)
    except ValidationError as cause:
        findings = [(one.place, str(one)) for one in model_findings(cause, ProjectFile, document.data)]
        raise _refused(document, findings) from cause
    findings = [*_reference_findings(file, templates), *_folder_findings(file, path.absolute().parent)]
    if findings:
        raise _refused(document, findings)
    return file


def new_project(file: ProjectFile, folder: Path, now: datetime) -> NewProject:
    """The records of a checked project file.

    Args:
        file: The file's contents.
        folder: The folder it lies in; source folders count from there.
        now: When the records are made.
    """
    source = (folder / file.source_folder).resolve() if file.source_folder is not None else None
    stamps = {"created_at": now, "updated_at": now}
    project = Project(
        id=new_id("project"),
        name=file.name,
        description=file.description,
        source_folder=str(source) if source else None,
        metadata=file.metadata,
        **stamps,
    )
    phases = tuple(
        Phase(id=new_id("phase"), project_id=project.id, name=name, order=order, **stamps)
        for order, name in enumerate(file.phases)
    )
    keys = {entry.key: new_id("task") for entry in file.tasks}
    phase_ids = {phase.name: phase.id for phase in phases}
    tasks = tuple(_task(entry, project, phase_ids, keys, source or folder) for entry in _dependencies_first(file.tasks))
    return NewProject(project, phases, tasks, keys)


def _task(
    entry: TaskEntry, project: Project, phase_ids: Mapping[str, str], keys: Mapping[str, str], source: Path
) -> Task:
    return Task(
        id=keys[entry.key],
        project_id=project.id,
        phase_id=phase_ids[entry.phase] if entry.phase else None,
        title=entry.title,
        description=entry.description,
        type=entry.type,
        priority=entry.priority,
        dependencies=tuple(keys[key] for key in entry.depends_on),
        labels=entry.labels,
        source_folder=str((source / entry.source_folder).resolve()) if entry.source_folder else None,
        template_id=entry.template,
        inputs=entry.inputs,
        pipeline=entry.pipeline,
        acceptance_criteria=entry.acceptance_criteria,
        metadata=entry.metadata,
        created_at=project.created_at,
        updated_at=project.updated_at,
    )


def _dependencies_first(entries: tuple[TaskEntry, ...]) -> list[TaskEntry]:
    by_key = {entry.key: entry for entry in entries}
    ordered = layers({entry.key: entry.depends_on for entry in entries})
    return [by_key[key] for layer in ordered for key in layer]


_Finding = tuple[Place, str]


def _reference_findings(file: ProjectFile, templates: Collection[str] | None) -> Iterator[_Finding]:
    keys = {entry.key for entry in file.tasks}
    yield from _repeated("key", [entry.key for entry in file.tasks])
    yield from _repeated("title", [entry.title for entry in file.tasks])
    for index, name in enumerate(file.phases):
        if name in file.phases[:index]:
            yield ("phases", index), f"the phase {name!r} stands here a second time"
    for index, entry in enumerate(file.tasks):
        place = ("tasks", index)
        for position, key in enumerate(entry.depends_on):
            yield from _unknown((*place, "depends_on", position), "task", key, keys)
        if entry.phase is not None:
            yield from _unknown((*place, "phase"), "phase", entry.phase, file.phases)
        if entry.template is not None and templates is not None:
            yield from _unknown((*place, "template"), "template", entry.template, templates)
        if entry.template is not None and entry.pipeline is not None:
            yield (*place, "pipeline"), "a task has a template or a pipeline, not both"
    cycle = find_cycle({entry.key: [key for key in entry.depends_on if key in keys] for entry in file.tasks})
    if cycle:
        position = next(index for index, entry in enumerate(file.tasks) if entry.key == cycle[0])
        yield ("tasks", position, "depends_on"), f"tasks wait for each other: {' → '.join([*cycle, cycle[0]])}"


def _repeated(name: str, values: list[str]) -> Iterator[_Finding]:
    for index, value in enumerate(values):
        if value in values[:index]:
            yield ("tasks", index, name), f"the {name} {value!r} stands here a second time"


def _unknown(place: Place, kind: str, name: str, known: Collection[str]) -> Iterator[_Finding]:
    if name not in known:
        near = near_misses(name, known)
        yield place, f"there is no {kind} {name!r}" + (f"; did you mean {', '.join(near)}?" if near else "")


def _folder_findings(file: ProjectFile, folder: Path) -> Iterator[_Finding]:
    source = folder / (file.source_folder or ".")
    if not source.is_dir():
        yield ("source_folder",), f"there is no folder {source.resolve()}"
        return
    for index, entry in enumerate(file.tasks):
        own = source / (entry.source_folder or ".")
        if not own.is_dir():
            yield ("tasks", index, "source_folder"), f"there is no folder {own.resolve()}"


def _refused(document: Document, findings: list[_Finding]) -> InvalidInput:
    lines = [f"{document.locate(place)}: {place_text(place)}: {message}" for place, message in findings]
    return InvalidInput(
        f"{document.path} cannot be used:\n" + "\n".join(f"  {line}" for line in lines),
        remedy="Correct the file; nothing was created.",
        details={
            "findings": [
                {"place": place_text(place), "line": document.line(place), "message": message}
                for place, message in findings
            ]
        },
    )


async def create_project(
    store: Store, file: ProjectFile, folder: Path, now: datetime, *, idempotency_key: str | None = None
) -> Project:
    """Create what a checked project file states, all or nothing.

    Args:
        store: Where.
        file: The file's contents.
        folder: The folder it lies in; source folders count from there.
        now: The time.
        idempotency_key: Names this call: made again with the same key, it returns the same project.

    Raises:
        Conflict: The key was used with another file.
        InvalidInput: A project of that name exists.
    """
    new = new_project(file, folder, now)
    arguments: dict[str, JsonValue] = {"file": file.model_dump(mode="json"), "source": new.project.source_folder}
    call = Call("create_project_from_file", idempotency_key, arguments)
    make = partial(store_project, new=new)
    return await once(store, call, projects.get, make, now=now)


def store_project(c: Connection, new: NewProject) -> Project:
    """Store a project with its phases and tasks, all in the transaction of `c`.

    Raises:
        InvalidInput: A project of that name exists.
    """
    projects.insert(c, new.project)
    for phase in new.phases:
        phases.insert(c, phase)
    for task in new.tasks:
        tasks.insert(c, task)
    return new.project


def unused(name: str, taken: Collection[str]) -> str:
    """A name that is not taken: the given one, or that with the first number from 2 on that makes it another."""
    numbered = (f"{name}-{number}" for number in itertools.count(2))
    return next(found for found in itertools.chain([name], numbered) if found not in taken)
