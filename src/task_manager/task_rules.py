"""What has to hold for projects, phases and tasks before they are stored.

These functions take the transaction's connection, so that what they check still holds when it is stored.
"""

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final, TypeVar

from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from task_manager.conversion.forms import PIPELINE_FORMS
from task_manager.errors import Conflict, DependencyCycle, InvalidInput, NotFound, SourceNotFound, near_misses
from task_manager.graph import find_cycle
from task_manager.model_findings import model_findings
from task_manager.models import Record, Task, WorkflowRun
from task_manager.store import Connection, phases, tasks

MAX_RECORD_BYTES: Final = 1024 * 1024
"""How large a project, phase or task may be, as JSON."""

R = TypeVar("R", bound=Record)


def checked(model: type[R], data: Mapping[str, object]) -> R:
    """The record with these fields.

    Raises:
        InvalidInput: Something does not fit; one sentence for each finding, and `details["findings"]` with the places.
    """
    try:
        record = model.model_validate(dict(data))
    except ValidationError as error:
        found = model_findings(error, model, data, PIPELINE_FORMS)
        findings = [(one.place, one.located("") if one.place else str(one)) for one in found]
        raise InvalidInput(
            "\n".join(message for _, message in findings),
            details={"findings": [{"path": list(path), "message": message} for path, message in findings]},
        ) from error
    _check_size(record)
    return record


def _check_size(record: Record) -> None:
    kind = type(record).__name__.lower()
    try:
        size = len(record.model_dump_json().encode())
    except PydanticSerializationError as error:
        raise InvalidInput(f"A text of the {kind} has characters that cannot be written as UTF-8.") from error
    if size > MAX_RECORD_BYTES:
        raise InvalidInput(
            f"A {kind} has at most {MAX_RECORD_BYTES:,} bytes as JSON, not {size:,}.",
            remedy="Keep large data in files of the source folder.",
            details={"size": size, "limit": MAX_RECORD_BYTES},
        )


def changed(
    record: R, changes: Mapping[str, object], allowed: Collection[str], expected_revision: int | None, now: datetime
) -> R:
    """The record with changes from outside.

    Args:
        record: The stored record.
        changes: New values by field.
        allowed: The fields that may be changed.
        expected_revision: The revision that it must have when it is stored; None: the one that it has.
        now: The time of the change.

    Raises:
        InvalidInput: There is no change, a field cannot be changed, or a value does not fit.
    """
    if not changes:
        raise InvalidInput("No change was given.", remedy=f"What can be changed: {', '.join(sorted(allowed))}.")
    kind = type(record).__name__.lower()
    for name in changes:
        if name not in allowed:
            near = near_misses(name, allowed)
            raise InvalidInput(
                f"A {kind} has no field {name!r} that can be changed.",
                remedy=f"Did you mean {', '.join(near)}?" if near else f"There are {', '.join(sorted(allowed))}.",
                details={"field": name, "allowed": sorted(allowed)},
            )
    fields = dict(record)
    revision = fields["revision"] if expected_revision is None else expected_revision
    return checked(type(record), {**fields, **changes, "updated_at": now, "revision": revision})


def absolute_folder(folder: object) -> object:
    """A source folder as an absolute path; what is neither text nor a path is left for validation to refuse.

    Raises:
        SourceNotFound: It does not exist, or is not a folder.
    """
    if not isinstance(folder, str | Path):
        return folder
    path = Path(os.path.abspath(os.path.expanduser(folder)))  # noqa: PTH100, PTH111 - links stay as they were given
    # Not the methods of `Path`, which raise what a path that no system takes makes them raise.
    if str(folder).strip() and os.path.isdir(path):  # noqa: PTH112
        return str(path)
    problem = "is not a folder" if os.path.exists(path) else "does not exist"  # noqa: PTH110
    raise SourceNotFound(
        f"The source folder {str(folder)!r} {problem}.",
        remedy="Name an existing folder; relative ones count from the current folder.",
        details={"source_folder": str(folder), "absolute": str(path)},
    )


def with_references(c: Connection, task: Task) -> Task:
    """The task with ids where it names its phase and dependencies by name or title.

    Raises:
        NotFound: Its project has no such phase or task.
        InvalidInput: A dependency is in another project, comes twice, or several tasks have that title.
    """
    phase_id = phases.find(c, task.phase_id, task.project_id).id if task.phase_id is not None else None
    dependencies = tuple(_dependency(c, name, task.project_id) for name in task.dependencies)
    twice = [task_id for task_id, count in Counter(dependencies).items() if count > 1]
    if twice:
        titles = ", ".join(repr(tasks.get(c, task_id).title) for task_id in twice)
        raise InvalidInput(f"Task {task.title!r} depends on {titles} more than once.", remedy="Name each task once.")
    return task.model_copy(update={"phase_id": phase_id, "dependencies": dependencies})


def _dependency(c: Connection, name: str, project_id: str) -> str:
    try:
        return tasks.find(c, name, project_id).id
    except NotFound:
        if not _exists(c, name):
            raise
    raise InvalidInput(
        f"Task {name} belongs to another project; a task depends on tasks of its own project only.",
        details={"dependency": name, "project_id": project_id},
    )


def _exists(c: Connection, task_id: str) -> bool:
    try:
        tasks.get(c, task_id)
    except NotFound:
        return False
    return True


def refuse_cycle(c: Connection, task: Task) -> None:
    """Check that no task would wait for itself if this one had its dependencies.

    Raises:
        DependencyCycle: It would; the titles are named in order.
    """
    cycle = find_cycle({**tasks.edges(c, task.project_id), task.id: task.dependencies})
    if cycle is None:
        return
    titles = [task.title if task_id == task.id else tasks.get(c, task_id).title for task_id in cycle]
    path = " → ".join([*titles, titles[0]])
    raise DependencyCycle(
        f"These tasks would wait for each other: {path}."
        if len(cycle) > 1
        else f"Task {titles[0]!r} depends on itself.",
        remedy="Remove one of these dependencies.",
        details={"cycle": titles, "ids": cycle},
    )


def refuse_other_revision(kind: str, revision: int, expected: int | None) -> None:
    """Check that what is going to be removed is what its remover has seen; None: whatever is there.

    Raises:
        Conflict: It has another revision.
    """
    if expected not in (None, revision):
        raise Conflict(
            f"The {kind} was changed by somebody else: it has revision {revision}, not {expected}.",
            remedy="Read it again, and repeat.",
            details={"revision": revision, "expected": expected},
        )


def refuse_active(what: str, active: Sequence[WorkflowRun]) -> None:
    """Check that nothing is at work on what is going to be removed.

    Raises:
        InvalidInput: Runs are not over; they are named.
    """
    if active:
        ids = [run.id for run in active]
        raise InvalidInput(
            f"{what} cannot be deleted while {_named(ids)} {'is' if len(ids) == 1 else 'are'} not over.",
            remedy="Cancel each (task-manager run cancel RUN) or wait for their end.",
            details={"runs": ids},
        )


def refuse_dependents(c: Connection, what: str, task_ids: Collection[str]) -> None:
    """Check that no other task depends on tasks that are going to be removed.

    Raises:
        InvalidInput: Some do; their titles are named.
    """
    dependents = tasks.dependents(c, task_ids)
    if dependents:
        titles = ", ".join(repr(task.title) for task in dependents)
        raise InvalidInput(
            f"{what} cannot be deleted: {titles} {'depends' if len(dependents) == 1 else 'depend'} on it.",
            remedy="Remove that dependency first.",
            details={"dependents": [task.id for task in dependents]},
        )


def _named(ids: Sequence[str], shown: int = 3) -> str:
    more = f" and {len(ids) - shown} more" if len(ids) > shown else ""
    return f"{'run' if len(ids) == 1 else 'runs'} {', '.join(ids[:shown])}{more}"
