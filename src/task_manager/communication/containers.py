"""Which containers there are: for the steps and services of runs, and those that somebody holds."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, PlainSerializer

from task_manager.models import Record
from task_manager.pipeline import Step
from task_manager.workflow_status import StepStatus


class ContainerState(StrEnum):
    """What a container is doing."""

    CREATED = "created"
    """It is described; nothing runs yet."""
    RUNNING = "running"
    """Its command runs."""
    EXITED = "exited"
    """Its command has ended by itself."""
    STOPPED = "stopped"
    """It was ended before its command was through."""


class ContainerKind(StrEnum):
    """What a container is for."""

    STEP = "step"
    """It runs a step of a run."""
    SERVICE = "service"
    """It serves a step of a run while that runs."""
    HELD = "held"
    """Somebody made it, and holds it until it is stopped."""


class ContainerRecord(Record):
    """One container.

    Attributes:
        id: `RUN/STEP`, `RUN/STEP/SERVICE`, or for a held one an id of its own.
        run_id: Whose run it is in; none for a held one.
        step_id: The step that it runs or serves; none for a held one.
        name: The service's name, or what the one who made it calls it.
        image: What it is made from.
        capabilities: What it offers: `network`, `cache:NAME`, `service:NAME`, `port:NUMBER`, and whatever the one who
            made it says.
        exit_code: How its command ended, where that is known and concerns a held container.
        reason: Why a held one ended, when it did not end by itself.
        endpoint: Where a held one is reached by containers of the same session that are bound to it.
    """

    id: str
    kind: ContainerKind = ContainerKind.STEP
    run_id: str | None = None
    step_id: str | None = None
    name: str = ""
    image: str
    state: ContainerState = ContainerState.CREATED
    capabilities: Annotated[frozenset[str], PlainSerializer(sorted, return_type=list[str])] = frozenset()
    started_at: AwareDatetime | None = None
    finished_at: AwareDatetime | None = None
    exit_code: int | None = None
    reason: str = ""
    endpoint: str = ""


class ContainerRegistry:
    """The containers of this process, in memory."""

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


def containers_of_step(
    run_id: str,
    step: Step,
    image: str,
    state: ContainerState,
    *,
    started_at: datetime | None = None,
    finished_at: datetime | None = None,
) -> tuple[ContainerRecord, ...]:
    """A step's container, then its services'.

    A service runs as long as its step does: the engine starts it before the step's command and lets it go after.

    Args:
        run_id: Whose step it is.
        step: The step.
        image: What its container is made from.
        state: What the step's container does.
        started_at: When that began.
        finished_at: When it ended.
    """
    times = {"run_id": run_id, "step_id": step.id, "started_at": started_at, "finished_at": finished_at}
    own = ContainerRecord.model_validate(
        {"id": f"{run_id}/{step.id}", "image": image, "state": state, "capabilities": _capabilities(step), **times}
    )
    services = (
        ContainerRecord.model_validate(
            {
                "id": f"{run_id}/{step.id}/{service.name}",
                "kind": ContainerKind.SERVICE,
                "name": service.name,
                "image": service.image,
                "state": state if state is ContainerState.RUNNING else ContainerState.STOPPED,
                "capabilities": {f"service:{service.name}", *(f"port:{port}" for port in service.ports)},
                **times,
            }
        )
        for service in step.services
    )
    return (own, *services)


def state_of_step(status: StepStatus) -> ContainerState:
    """What the container of a step that has begun does, by the step's status."""
    if status is StepStatus.RUNNING:
        return ContainerState.RUNNING
    by_itself = status in (StepStatus.SUCCEEDED, StepStatus.FAILED)
    return ContainerState.EXITED if by_itself else ContainerState.STOPPED


def _capabilities(step: Step) -> set[str]:
    return {*(["network"] if step.network else []), *(f"cache:{volume.name}" for volume in step.caches)}
