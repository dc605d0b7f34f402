"""Phases in the store."""

from sqlalchemy import Connection, func, select

from task_manager.models import Phase
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import NamedTable

_phases = NamedTable("phase", Phase, tables.phases, name="name", order=("order", "id"))


def insert(c: Connection, phase: Phase) -> Phase:
    """Store a new phase.

    Raises:
        InvalidInput: Its project has a phase of that name.
    """
    _phases.check_name(c, phase, project_id=phase.project_id)
    return _phases.insert(c, phase)


@read_only
def get(c: Connection, phase_id: str) -> Phase:
    """The phase of that id.

    Raises:
        NotFound: There is none.
    """
    return _phases.get(c, phase_id)


@read_only
def find(c: Connection, id_or_name: str, project_id: str | None = None) -> Phase:
    """The phase of that id or name.

    Args:
        c: The transaction.
        id_or_name: What it is called.
        project_id: The project that it must belong to; none: any.

    Raises:
        NotFound: There is none; near misses are named.
        InvalidInput: Phases of several projects have that name.
    """
    return _phases.find(c, id_or_name, project_id=project_id)


def update(c: Connection, phase: Phase) -> Phase:
    """Store a changed phase, with the revision that was read; return it with its new one.

    Raises:
        Conflict: Somebody else changed it first.
        InvalidInput: Its project has another phase of its name.
        NotFound: It is not there.
    """
    _phases.check_name(c, phase, project_id=phase.project_id)
    return _phases.update(c, phase)


def delete(c: Connection, phase_id: str) -> None:
    """Remove a phase with its tasks and all that belongs to them.

    Raises:
        NotFound: There is none.
    """
    _phases.delete(c, phase_id)


@read_only
def next_order(c: Connection, project_id: str) -> int:
    """The order of a phase that comes after all phases of the project; 0 for its first."""
    columns = tables.phases.c
    return c.scalar(select(func.coalesce(func.max(columns.order) + 1, 0)).where(columns.project_id == project_id)) or 0


@read_only
def list_(
    c: Connection, *, project_id: str | None = None, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Phase]:
    """A page of the phases of a project, or of all, in their order.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    return _phases.page(c, _phases.matching(project_id=project_id), limit=limit, cursor=cursor)
