"""Hooks in the store, and the outbox of their messages.

One process at a time sends for a hook: that which has its lease. So messages of a hook go out in the events' order.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from task_manager.errors import NameTaken, NotFound
from task_manager.hook_records import DeliveryState, Hook, HookDelivery
from task_manager.models import Event, WorkflowRun, new_id
from task_manager.store import events, idempotency, projects, runs, tables, tasks, triggers
from task_manager.store.database import read_only
from task_manager.store.paging import DEFAULT_LIMIT, Page
from task_manager.store.records import IdentifiedTable, called
from task_manager.trigger_records import Firing

_hooks = IdentifiedTable("hook", Hook, tables.hooks)
_columns = tables.hooks.c
_deliveries = IdentifiedTable(
    "delivery", HookDelivery, tables.hook_deliveries, order=("created_at", "id"), newest_first=True
)
_leases = tables.hook_leases.c
_delivered = tables.hook_deliveries.c


def add(c: Connection, hook: Hook) -> Hook:
    """Store a new hook; it tells of what happens from now on.

    Raises:
        NameTaken: Another one has its name.
    """
    if c.execute(select(_columns.id).where(_columns.name == hook.name)).first() is not None:
        raise NameTaken(
            f"There is a hook {hook.name!r} already.", remedy="Choose another name, or remove that one first."
        )
    added = _hooks.insert(c, hook.evolve(position=events.last_sequence(c)))
    c.execute(insert(tables.hook_leases).values(hook_id=hook.id))
    return added


@read_only
def all_(c: Connection) -> tuple[Hook, ...]:
    """All hooks, oldest first."""
    return _hooks.all(c, _hooks.matching().order_by(_columns.id))


@read_only
def get(c: Connection, hook_id: str) -> Hook:
    """The hook of that id.

    Raises:
        NotFound: There is none.
    """
    return _hooks.get(c, hook_id)


@read_only
def find(c: Connection, id_or_name: str) -> Hook:
    """The hook of that id or name.

    Raises:
        NotFound: There is none; near misses are named.
    """
    return called("hook", all_(c), id_or_name)


def remove(c: Connection, id_or_name: str) -> Hook:
    """Remove a hook with its messages.

    Raises:
        NotFound: There is none.
    """
    hook = find(c, id_or_name)
    _hooks.delete(c, hook.id)
    return hook


def lease(c: Connection, hook_id: str, holder: str, *, now: datetime, until: datetime) -> bool:
    """Take or renew the right to send for a hook; False when another process has it."""
    is_free = _leases.holder.is_(None) | (_leases.holder == holder) | (_leases.leased_until < now)
    taken = (
        update(tables.hook_leases).where(_leases.hook_id == hook_id, is_free).values(holder=holder, leased_until=until)
    )
    return c.execute(taken).rowcount == 1


def release(c: Connection, holder: str) -> None:
    """Give back the right to send of a process that ends."""
    c.execute(update(tables.hook_leases).where(_leases.holder == holder).values(holder=None, leased_until=None))


def gather(c: Connection, hook_id: str, *, now: datetime) -> bool:
    """Put the messages of new events into the outbox; False when there were none to look at."""
    hook = _hooks.get(c, hook_id)
    page = events.after(c, hook.position)
    if not page:
        return False
    rows = [_deliveries.row(_message(hook, event, now)) for event in page if hook.wants(event)]
    if rows:
        c.execute(insert(tables.hook_deliveries), rows)
    c.execute(update(tables.hooks).where(_columns.id == hook_id).values(position=page[-1].sequence))
    return True


@read_only
def next_pending(c: Connection, hook_id: str) -> HookDelivery | None:
    """The message that a hook is sent next, whether it is due or not; None when there is none."""
    waiting = _deliveries.matching(hook_id=hook_id, state=DeliveryState.PENDING.value)
    return _deliveries.first(c, waiting.order_by(_delivered.sequence))


def put(c: Connection, delivery: HookDelivery) -> HookDelivery:
    """Store what became of a message.

    Raises:
        NotFound: It is not there any more.
    """
    row = _deliveries.row(delivery)
    del row["id"]
    if not c.execute(update(tables.hook_deliveries).where(_delivered.id == delivery.id).values(row)).rowcount:
        raise _deliveries.missing(c, delivery.id)
    return delivery


def send_again(c: Connection, delivery_id: str, *, now: datetime) -> HookDelivery:
    """Have a message sent again.

    Raises:
        NotFound: There is none of that id.
    """
    found = _deliveries.get(c, delivery_id)
    again = {"state": DeliveryState.PENDING, "attempts": 0, "due_at": now, "finished_at": None}
    return put(c, found.evolve(**again))


@read_only
def deliveries(
    c: Connection,
    hook_id: str | None = None,
    state: DeliveryState | None = None,
    *,
    limit: int = DEFAULT_LIMIT,
    cursor: str | None = None,
) -> Page[HookDelivery]:
    """A page of messages, of a hook or of all, in a state or in any, newest first.

    Raises:
        InvalidInput: The limit or the cursor cannot be used.
    """
    query = _deliveries.matching(hook_id=hook_id, state=state and state.value)
    return _deliveries.page(c, query, limit=limit, cursor=cursor)


@read_only
def told(c: Connection, delivery: HookDelivery) -> tuple[Event, WorkflowRun, str, str, Firing | None]:
    """What a message is about: the event, its run, the names of task and project, and the webhook that started it.

    Raises:
        NotFound: It was removed.
    """
    run = runs.get(c, delivery.run_id)
    found = events.after(c, delivery.sequence - 1, run_id=run.id, limit=1)
    if not found or found[0].sequence != delivery.sequence:
        raise NotFound("event", str(delivery.sequence))
    return found[0], run, tasks.get(c, run.task_id).title, projects.get(c, run.project_id).name, _cause(c, run.id)


def _message(hook: Hook, event: Event, now: datetime) -> HookDelivery:
    return HookDelivery(
        id=new_id("delivery"),
        hook_id=hook.id,
        sequence=event.sequence,
        run_id=event.run_id,
        status=event.status,
        due_at=now,
        created_at=now,
    )


def _cause(c: Connection, run_id: str) -> Firing | None:
    """The webhook that started a run, by the key with which it did; None when none did."""
    key = idempotency.key_of(c, run_id)
    if key is None or not key.startswith("trigger-"):
        return None
    trigger_id, _, delivery_id = key.partition(":")
    return triggers.firing(c, trigger_id, delivery_id)
