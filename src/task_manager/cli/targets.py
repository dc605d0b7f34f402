"""What triggers and schedules start, by the names that people know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from task_manager.store import projects, tasks

if TYPE_CHECKING:
    from task_manager.store import Store
    from task_manager.trigger_records import Target


async def target_texts(store: Store, targets: Sequence[Target]) -> list[str]:
    """What each of them starts: `task Deploy`, `project site`, `template shell-command in project site`."""
    titles = await store.run(tasks.titles, {one.task_id for one in targets if one.task_id})
    names = await store.run(projects.names, {one.project_id for one in targets if one.project_id})
    return [_text(one, titles | names) for one in targets]


def _text(target: Target, names: dict[str, str]) -> str:
    if target.task_id:
        return f"task {names.get(target.task_id, target.task_id)}"
    template = f"template {target.template_id} in " if target.template_id else ""
    return f"{template}project {names.get(str(target.project_id), target.project_id)}"
