"""What may be done with containers: those of runs are listed, those that somebody holds are made and ended."""

from __future__ import annotations

from task_manager.communication import ContainerRecord, ContainerSpec, DaggerCommunicationManager, run_containers
from task_manager.run_control import RunControl
from task_manager.store import idempotency
from task_manager.store.idempotency import Call


class ContainerControl(RunControl):
    """The part of `TaskWorkflowIntegration` that deals with containers.

    Attributes:
        communication: The way to the engine.
    """

    communication: DaggerCommunicationManager

    async def create_container(self, spec: ContainerSpec, *, idempotency_key: str | None = None) -> ContainerRecord:
        """Write down a container to hold, once for a key; see `DaggerCommunicationManager.create_container`."""
        call = Call("create_container", idempotency_key, spec.model_dump(mode="json"))
        known = await self._open.store.run(idempotency.known, call)
        if known is not None:
            return await self.get_container_status(known[0])
        record = await self.communication.create_container(spec)
        await self._open.store.run(idempotency.remember, call, [record.id], now=self._clock())
        return record

    async def start_container(self, container_id: str) -> ContainerRecord:
        """Start a held container in this process; see `DaggerCommunicationManager.start_container`."""
        return await self.communication.start_container(container_id)

    async def stop_container(self, container_id: str) -> ContainerRecord:
        """Stop a held container of any process; see `DaggerCommunicationManager.stop_container`."""
        return await self.communication.stop_container(container_id)

    async def delete_container(self, container_id: str) -> None:
        """Forget a held container that does not run; see `DaggerCommunicationManager.delete_container`."""
        await self.communication.delete_container(container_id)

    async def get_container_status(self, container_id: str) -> ContainerRecord:
        """How a container of any process is; see `list_containers`.

        Raises:
            NotFound: There is no such container.
        """
        known = {record.id: record for record in await self.list_containers()}
        return known.get(container_id) or await self.communication.get_container_status(container_id)

    async def list_containers(
        self, *, run_id: str | None = None, capability: str | None = None
    ) -> tuple[ContainerRecord, ...]:
        """The containers of all runs that are not over and those that somebody holds, whichever process has them.

        Args:
            run_id: Of this run alone.
            capability: Those alone that have it, such as `service:NAME` or `port:NUMBER`.
        """
        stored = await self._open.store.run(run_containers.of_active_runs, run_id=run_id)
        everywhere = [*stored, *self.communication.held_containers(), *self.communication.containers.list()]
        found = {record.id: record for record in everywhere}
        return tuple(
            record
            for record in found.values()
            if run_id in (None, record.run_id) and (capability is None or capability in record.capabilities)
        )
