"""The part of a project file that some of its tasks need."""

from __future__ import annotations

from collections.abc import Collection

from task_manager.errors import NotFound
from task_manager.project_file import ProjectFile


def part_of(file: ProjectFile, keys: Collection[str]) -> ProjectFile:
    """The project with these tasks and all that they depend on, under a name of its own.

    Raises:
        NotFound: The file has no task of that key.
    """
    by_key = {entry.key: entry for entry in file.tasks}
    for key in keys:
        if key not in by_key:
            raise NotFound("task with the key", key, known=by_key, remedy=f"The file has {', '.join(by_key)}.")
    wanted: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in wanted:
            wanted.add(key)
            waiting.extend(by_key[key].depends_on)
    entries = tuple(entry for entry in file.tasks if entry.key in wanted)
    return file.model_copy(update={"name": f"{file.name}: {', '.join(keys)}", "tasks": entries})
