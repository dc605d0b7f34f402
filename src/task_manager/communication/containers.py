"""Which containers stand for which step of which run."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime

from task_manager.models import Record


class ContainerState(StrEnum):
    """What a step's or service's container is doing."""

    CREATED = "created"
    """It is described; nothing runs yet."""
    RUNNING = "running"
    """Its command runs."""
    EXITED = "exited"
    """Its command has ended."""
    STOPPED = "stopped"
    """It was ended before its command was through."""


class ContainerRecord(Record):
    """One container of one run.

    Attributes:
        capabilities: What it offers or needs, such as `network`, `service:NAME`, `cache:NAME`.
    """

    id: str
    run_id: str
    step_id: str
    image: str
    state: ContainerState = ContainerState.CREATED
    capabilities: frozenset[str] = frozenset()
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None


class ContainerRegistry:
    """The containers of the runs that this process executes, in memory."""

    def __init__(self) -> None:
        self._records: dict[str, ContainerRecord] = {}

    def register(self, record: ContainerRecord) -> ContainerRecord:
        """Add a container, or replace the one of the same id."""
        self._records[record.id] = record
        return record

    def update(self, container_id: str, **changes: object) -> ContainerRecord:
        """Change fields of a registered container.

        Raises:
            KeyError: It is not registered.
        """
        return self.register(self._records[container_id].evolve(**changes))

    def unregister(self, container_id: str) -> None:
        """Forget a container; one that is not there is no error."""
        self._records.pop(container_id, None)

    def unregister_run(self, run_id: str) -> None:
        """Forget all containers of a run."""
        for record in self.list(run_id=run_id):
            self.unregister(record.id)

    def list(self, *, run_id: str | None = None, state: ContainerState | None = None) -> tuple[ContainerRecord, ...]:
        """The containers, in the order of their registration."""
        return tuple(
            record
            for record in self._records.values()
            if (run_id is None or record.run_id == run_id) and (state is None or record.state == state)
        )

    def find_by_capability(self, capability: str) -> tuple[ContainerRecord, ...]:
        """The containers that have a capability."""
        return tuple(record for record in self._records.values() if capability in record.capabilities)
