"""Results that nobody has read yet: `RunInbox`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from task_manager.models import WorkflowRun, utc_now
from task_manager.store import Page, Store, inbox
from task_manager.store.paging import DEFAULT_LIMIT


class RunInbox:
    """What became of the runs that somebody started and did not wait for.

    Args:
        store: Where the runs are.
        clock: The time, in UTC.
    """

    def __init__(self, store: Store, clock: Callable[[], datetime] = utc_now) -> None:
        self._store = store
        self._clock = clock

    async def unread(self, reader: str, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[WorkflowRun]:
        """A page of runs that are over, that a reader started and whose end it has not seen; newest first.

        Raises:
            InvalidInput: The limit or the cursor cannot be used.
        """
        return await self._store.run(inbox.unread, reader, limit=limit, cursor=cursor)

    async def read(self, run: WorkflowRun, reader: str) -> None:
        """Note that a reader has seen how a run ended; of one that is not over, nothing is noted."""
        if run.status.is_terminal and run.actor == reader:
            await self._store.run(inbox.mark_read, run.id, reader, now=self._clock())
