"""Projects in the store."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Connection, select

from task_manager.models import Project
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import Lock, NamedTable

_projects = NamedTable("project", Project, tables.projects, name="name")


def insert(c: Connection, project: Project) -> Project:
    """Store a new project.

    Raises:
        InvalidInput: A project of that name exists.
    """
    _projects.check_name(c, project)
    return _projects.insert(c, project)


@read_only
def get(c: Connection, project_id: str) -> Project:
    """The project of that id.

    Raises:
        NotFound: There is none.
    """
    return _projects.get(c, project_id)


@read_only
def find(c: Connection, id_or_name: str) -> Project:
    """The project of that id or name.

    Raises:
        NotFound: There is none; near misses are named.
    """
    return _projects.find(c, id_or_name)


def lock(c: Connection, project_id: str, *, removal: bool = False) -> Project:
    """The project of that id, which nobody else changes or locks until the transaction ends.

    Args:
        c: The transaction.
        project_id: The id.
        removal: It is going to be removed: nobody adds anything to it either.

    Raises:
        NotFound: There is none.
    """
    return _projects.get(c, project_id, lock=Lock.REMOVAL if removal else Lock.CHANGE)


def update(c: Connection, project: Project) -> Project:
    """Store a changed project, with the revision that was read; return it with its new one.

    Raises:
        Conflict: Somebody else changed it first.
        InvalidInput: Another project has its name.
        NotFound: It is not there.
    """
    _projects.check_name(c, project)
    return _projects.update(c, project)


def pause(c: Connection, project: str, *, now: datetime) -> Project:
    """Let no more runs of a project start; one that is paused stays as it is.

    Args:
        c: The transaction.
        project: Its id or name.
        now: The time.

    Raises:
        NotFound: There is none.
    """
    found = _projects.find(c, project)
    return found if found.paused_at else _projects.update(c, found.evolve(paused_at=now, updated_at=now))


def resume(c: Connection, project: str, *, now: datetime) -> Project:
    """Let a project's runs start again; see `pause`."""
    found = _projects.find(c, project)
    return _projects.update(c, found.evolve(paused_at=None, updated_at=now)) if found.paused_at else found


def delete(c: Connection, project_id: str) -> None:
    """Remove a project with its phases, tasks, workflows, runs and all that belongs to them.

    Raises:
        NotFound: There is none.
    """
    _projects.delete(c, project_id)


@read_only
def names(c: Connection, project_ids: Collection[str]) -> dict[str, str]:
    """The names of projects, by their ids; those that are not there are left out."""
    columns = tables.projects.c
    query = select(columns.id, columns.name).where(columns.id.in_(project_ids))
    return {row.id: row.name for row in c.execute(query)}


@read_only
def of_source(c: Connection, folder: str) -> Project | None:
    """The oldest project with that source folder; None when there is none."""
    return _projects.first(c, _projects.matching(source_folder=folder).order_by(tables.projects.c.id))


@read_only
def list_(c: Connection, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[Project]:
    """A page of all projects, oldest first.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    return _projects.page(c, _projects.matching(), limit=limit, cursor=cursor)
