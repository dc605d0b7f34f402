"""Triggers in the store, and what became of the deliveries that matched them."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from task_manager.errors import NameTaken
from task_manager.store import tables
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import IdentifiedTable, RecordTable, called
from task_manager.trigger_records import Firing, Trigger, WebhookSource

_triggers = IdentifiedTable("trigger", Trigger, tables.triggers)
_columns = tables.triggers.c
_firings = RecordTable("delivery", Firing, tables.firings, order=("received_at", "delivery_id"), newest_first=True)
_fired = tables.firings.c


def insert(c: Connection, trigger: Trigger) -> Trigger:
    """Store a new trigger.

    Raises:
        NameTaken: Another one has its name.
    """
    if c.execute(select(_columns.id).where(_columns.name == trigger.name)).first() is not None:
        raise NameTaken(
            f"There is a trigger {trigger.name!r} already.", remedy="Choose another name, or remove that one first."
        )
    return _triggers.insert(c, trigger)


@read_only
def all_(c: Connection, source: WebhookSource | None = None) -> tuple[Trigger, ...]:
    """All triggers, or those of a source, oldest first."""
    return _triggers.all(c, _triggers.matching(source=source and source.value).order_by(_columns.id))


@read_only
def get(c: Connection, trigger_id: str) -> Trigger:
    """The trigger of that id.

    Raises:
        NotFound: There is none.
    """
    return _triggers.get(c, trigger_id)


@read_only
def find(c: Connection, id_or_name: str) -> Trigger:
    """The trigger of that id or name.

    Raises:
        NotFound: There is none; near misses are named.
    """
    return called("trigger", all_(c), id_or_name)


def remove(c: Connection, id_or_name: str) -> Trigger:
    """Remove a trigger, with what is known of its deliveries; what these started stays.

    Raises:
        NotFound: There is none.
    """
    trigger = find(c, id_or_name)
    _triggers.delete(c, trigger.id)
    return trigger


@read_only
def firing(c: Connection, trigger_id: str, delivery_id: str) -> Firing | None:
    """What became of a delivery; None when it is new."""
    return _firings.first(c, _firings.matching(trigger_id=trigger_id, delivery_id=delivery_id))


def note(c: Connection, firing: Firing) -> Firing:
    """Keep what became of a delivery, in place of what became of it before."""
    is_it = (_fired.trigger_id == firing.trigger_id) & (_fired.delivery_id == firing.delivery_id)
    c.execute(delete(tables.firings).where(is_it))
    return _firings.insert(c, firing)


@read_only
def firings(
    c: Connection, trigger_id: str | None = None, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
) -> Page[Firing]:
    """A page of what became of deliveries, of a trigger or of all, newest first.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    return _firings.page(c, _firings.matching(trigger_id=trigger_id), limit=limit, cursor=cursor)
