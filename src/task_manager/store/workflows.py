"""Workflows in the store: never changed; creating again makes a new version."""

from sqlalchemy import Connection, bindparam, func, select

from task_manager.models import Workflow
from task_manager.store import tables, tasks
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.prepared import Prepared
from task_manager.store.records import IdentifiedTable

_workflows = IdentifiedTable("workflow", Workflow, tables.workflows, newest_first=True)
_columns = tables.workflows.c
_current = Prepared(
    select(tables.workflows)
    .where(_columns.task_id == bindparam("of_task"))
    .order_by(_columns.version.desc())
    .limit(bindparam("most"))
)


def create(c: Connection, workflow: Workflow) -> Workflow:
    """Store a workflow as the next version of its task's; it is the current one from now on.

    Args:
        c: The transaction.
        workflow: Its version is not looked at.

    Returns:
        The workflow with its version.

    Raises:
        NotFound: Its task is not there.
    """
    # The lock keeps two creators from taking the same version.
    tasks.lock(c, workflow.task_id)
    newest = c.scalar(select(func.max(_columns.version)).where(_columns.task_id == workflow.task_id))
    return _workflows.insert(c, workflow.model_copy(update={"version": (newest or 0) + 1}))


@read_only
def get(c: Connection, workflow_id: str) -> Workflow:
    """The workflow of that id.

    Raises:
        NotFound: There is none.
    """
    return _workflows.get(c, workflow_id)


@read_only
def current(c: Connection, task_id: str) -> Workflow | None:
    """The newest version of a task's workflow; None when it has none."""
    return next(iter(_workflows.all(c, _current, {"of_task": task_id, "most": 1})), None)


@read_only
def list_(
    c: Connection,
    *,
    task_id: str | None = None,
    project_id: str | None = None,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[Workflow]:
    """A page of the workflows of a task, of a project or of all, all versions, newest first.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    query = _workflows.matching(task_id=task_id, project_id=project_id)
    return _workflows.page(c, query, limit=limit, cursor=cursor)
