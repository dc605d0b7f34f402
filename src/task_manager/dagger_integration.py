"""Use cases on workflows and runs: `TaskWorkflowIntegration`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import JsonValue

from task_manager import graph
from task_manager.communication import ContainerRecord, ContainerSpec, DaggerCommunicationManager, run_containers
from task_manager.config import Settings, load_settings
from task_manager.errors import DependenciesNotMet, DependencyCycle, InvalidInput, InvalidTransition
from task_manager.local_scheduler import LocalScheduler
from task_manager.models import Artifact, StepRecord, Task, Workflow, WorkflowRun, WorkflowType, new_id, utc_now
from task_manager.pipeline_converter import PipelineConverter
from task_manager.run_executor import RunExecutor
from task_manager.store import Store, artifacts, phases, projects, results, runs, steps, tasks, workflows
from task_manager.workflow_cache import PipelineCache
from task_manager.workflow_creation import WorkflowMaker, chosen
from task_manager.workflow_status import Reason, TaskStatus, WorkflowStatus
from task_manager.workflow_templates import WorkflowTemplateRegistry

_LOOK_SECONDS = 0.1
_CANCEL_SECONDS = 10.0


@dataclass(frozen=True)
class RunState:
    """A run with what belongs to it; `result` is the stored result, JSON-like, once there is one."""

    run: WorkflowRun
    workflow: Workflow
    steps: tuple[StepRecord, ...]
    artifacts: tuple[Artifact, ...]
    result: dict[str, JsonValue] | None


@dataclass(frozen=True)
class WorkflowState:
    """A task with its current workflow and its latest run, where there are any."""

    task: Task
    workflow: Workflow | None
    latest: RunState | None


@dataclass(frozen=True)
class _Opened:
    """What exists between `initialize` and `shutdown`."""

    store: Store
    scheduler: LocalScheduler
    maker: WorkflowMaker


class TaskWorkflowIntegration:
    """Makes workflows from tasks and executes them.

    An async context manager; in this process runs execute while it is open::

        async with TaskWorkflowIntegration() as integration:
            run = await integration.execute_task_workflow(task_id)
            run = await integration.wait_for_run(run.id)

    Args:
        store: Where everything is kept; by default the store of the settings, opened and closed here.
        communication: The way to the engine; by default one of its own, made from the settings.
        dagger_config_path: The file of engine settings.
        templates_dir: A folder of templates beside the built-in ones.
        settings: All settings; by default loaded from arguments, environment and files.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        *,
        store: Store | None = None,
        communication: DaggerCommunicationManager | None = None,
        dagger_config_path: Path | str | None = None,
        templates_dir: Path | str | None = None,
        settings: Settings | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        arguments = {"dagger_config_path": dagger_config_path, "templates_dir": templates_dir}
        self.settings = settings or load_settings({name: value for name, value in arguments.items() if value})[0]
        self.communication = communication or DaggerCommunicationManager(self.settings)
        self.templates = WorkflowTemplateRegistry(self.settings.templates_dir)
        self._given_store = store
        self._clock = clock
        self._opened: _Opened | None = None

    async def initialize(self) -> None:
        """Open the store and make ready to execute; the engine starts with the first run. A second call does nothing.

        Raises:
            StoreError: The store cannot be used.
        """
        if self._opened is None:
            settings = self.settings
            store = self._given_store
            if store is None:
                store = await asyncio.to_thread(Store.open, settings.data_dir, settings.database_url)
            self.communication.feed = store.feed
            executor = RunExecutor(store, self.communication, settings, clock=self._clock)
            scheduler = LocalScheduler(store, executor, limit=settings.run_parallelism, clock=self._clock)
            maker = WorkflowMaker(store, PipelineConverter(self.templates, cache=PipelineCache()), self._clock)
            self._opened = _Opened(store, scheduler, maker)

    async def shutdown(self) -> None:
        """Stop the runs of this process and close what was opened; a second call does nothing."""
        if self._opened is None:
            return
        opened, self._opened = self._opened, None
        await opened.scheduler.close()
        await self.communication.shutdown()
        if self._given_store is None:
            opened.store.close()

    async def __aenter__(self) -> Self:
        await self.initialize()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.shutdown()

    async def create_workflow_from_task(
        self,
        task_id: str,
        workflow_name: str | None = None,
        custom_inputs: Mapping[str, JsonValue] | None = None,
    ) -> Workflow:
        """Make a task's workflow from its template, its own definition, or by its type and requirements.

        Args:
            task_id: The task's id.
            workflow_name: By default the task's title.
            custom_inputs: Values that win over the task's inputs.

        Returns:
            The new version, which is now the task's current workflow.

        Raises:
            NotFound: There is no such task or template.
            InvalidParameters: The inputs do not fit the template.
            InvalidPipeline: The task's definition is not valid.
        """
        task = await self._task(task_id)
        conversion = await self._open.maker.convert(task, parameters=custom_inputs)
        return await self._open.maker.keep(task, conversion, workflow_name)

    async def create_workflow_from_template(
        self, task_id: str, template_id: str, parameters: Mapping[str, JsonValue] | None = None
    ) -> Workflow:
        """Make a task's workflow from a template.

        Raises:
            NotFound: There is no such task or template.
            InvalidParameters: The parameters do not fit the template.
        """
        task = await self._task(task_id)
        conversion = await self._open.maker.convert(task, template_id=template_id, parameters=parameters)
        return await self._open.maker.keep(task, conversion)

    async def create_workflow_from_definition(
        self, task_id: str, definition: Mapping[str, JsonValue], workflow_name: str | None = None
    ) -> Workflow:
        """Make a task's workflow from a custom definition, in the schema of `Pipeline`.

        Raises:
            NotFound: There is no such task.
            InvalidPipeline: The definition is not valid; all findings are in the details.
        """
        task = await self._task(task_id)
        conversion = await self._open.maker.convert(task, definition=definition)
        return await self._open.maker.keep(task, conversion, workflow_name, definition=definition)

    async def execute_task_workflow(
        self,
        task_id: str,
        workflow_type: WorkflowType | str | None = None,
        workflow_params: Mapping[str, JsonValue] | None = None,
        skip_cache: bool = False,
        *,
        actor: str = "local",
    ) -> WorkflowRun:
        """Start a task's workflow; one is made when the task has none, or has changed since.

        Args:
            task_id: The task's id.
            workflow_type: What the workflow must be; by default whatever it is.
            workflow_params: Values for this and later runs; they make a new version of the workflow.
            skip_cache: Whether no step may be answered from an earlier run.
            actor: Who asks, for the event log.

        Returns:
            The run as it was started; `wait_for_run` waits for its end.

        Raises:
            NotFound: There is no such task.
            WorkflowTypeConflict: The task's workflow is of the other type.
            DependenciesNotMet: A task that it depends on has not succeeded.
        """
        task = await self._task(task_id)
        workflow = await self._open.maker.ready(task, workflow_type, workflow_params)
        await self._require_dependencies(task, running=frozenset())
        return await self._start(task, workflow, skip_cache=skip_cache, actor=actor, after=())

    async def wait_for_run(self, run_id: str, timeout: float | None = None) -> WorkflowRun:
        """Wait for a run's end.

        Args:
            run_id: The run, whichever process executes it.
            timeout: Seconds after which the run is returned as it is then; none: no limit.

        Raises:
            NotFound: There is no such run.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                return await self._ended(run_id)
        return await self._open.store.run(runs.get, run_id)

    async def get_workflow_status(self, task_id: str) -> WorkflowState:
        """A task's current workflow and latest run.

        Raises:
            NotFound: There is no such task.
        """
        task = await self._task(task_id)
        run = await self._open.store.run(runs.latest, task.id)
        latest = await self.get_run(run.id) if run else None
        return WorkflowState(task, await self._open.store.run(workflows.current, task.id), latest)

    async def get_run(self, run_id: str) -> RunState:
        """A run with its workflow, steps, artifacts and result.

        Raises:
            NotFound: There is no such run.
        """
        run = await self._open.store.run(runs.get, run_id)
        return RunState(
            run,
            await self._open.store.run(workflows.get, run.workflow_id),
            await self._open.store.run(steps.of_run, run.id),
            await self._open.store.run(artifacts.of_run, run.id),
            await self._open.store.run(results.get, run.id),
        )

    async def create_workflows_for_project(
        self, project_id: str, phase_id: str | None = None, status: TaskStatus | str | None = None
    ) -> tuple[Workflow, ...]:
        """Make a workflow for each task of a project, all or none.

        Args:
            project_id: The project.
            phase_id: Only the tasks of this phase.
            status: Only the tasks in this status.

        Raises:
            NotFound: There is no such project or phase.
            InvalidInput: A task cannot be converted; the error names it.
        """
        selected = await self._select(project_id, phase_id, status)
        conversions = [(task, await self._open.maker.convert(task)) for task in selected]
        return tuple([await self._open.maker.keep(task, conversion) for task, conversion in conversions])

    async def execute_workflows_for_project(
        self,
        project_id: str,
        workflow_type: WorkflowType | str | None = None,
        phase_id: str | None = None,
        status: TaskStatus | str | None = None,
        skip_cache: bool = False,
        *,
        actor: str = "local",
    ) -> tuple[WorkflowRun, ...]:
        """Start the workflows of a project's tasks, in parallel as far as their dependencies allow.

        Cancelled tasks are left out. A task whose dependency ends otherwise than well is skipped.

        Args:
            project_id: The project.
            workflow_type: Only tasks whose workflow is of this type may be among them.
            phase_id: Only the tasks of this phase.
            status: Only the tasks in this status.
            skip_cache: Whether no step may be answered from an earlier run.
            actor: Who asks, for the event log.

        Returns:
            The runs as they were started, in dependency order.

        Raises:
            NotFound: There is no such project or phase.
            DependencyCycle: Tasks wait for each other.
            DependenciesNotMet: A task needs one outside the selection that has not succeeded.
            InvalidInput: A task cannot be converted; the error names it.
        """
        ordered = _in_order(await self._select(project_id, phase_id, status))
        running = frozenset(task.id for task in ordered)
        for task in ordered:
            await self._require_dependencies(task, running=running)
        ready = [(task, await self._open.maker.ready(task, workflow_type, None)) for task in ordered]
        started: dict[str, WorkflowRun] = {}
        for task, workflow in ready:
            after = [started[needed].id for needed in task.dependencies if needed in started]
            started[task.id] = await self._start(task, workflow, skip_cache=skip_cache, actor=actor, after=after)
        return tuple(started.values())

    async def cancel_run(self, run_id: str, *, actor: str = "local") -> WorkflowRun:
        """Stop a run and wait until its containers are gone; one that is over is returned as it is.

        A run of another process is stopped by that process; after ten seconds it is returned as it is then.

        Raises:
            NotFound: There is no such run.
        """
        run = await self._open.store.run(runs.get, run_id)
        if run.status.is_terminal:
            return run
        reason = Reason(code="cancelled", text=f"Cancelled by {actor}.")
        to = WorkflowStatus.CANCELLING if run.started_at else WorkflowStatus.CANCELLED
        try:
            await self._open.store.run(runs.transition, run_id, to, reason=reason, actor=actor, now=self._clock())
        except InvalidTransition:
            if not (await self._open.store.run(runs.get, run_id)).status.is_terminal:
                raise
        await self._open.scheduler.cancel(run_id)
        return await self.wait_for_run(run_id, _CANCEL_SECONDS)

    async def create_container(self, spec: ContainerSpec) -> ContainerRecord:
        """Write down a container to hold; see `DaggerCommunicationManager.create_container`."""
        return await self.communication.create_container(spec)

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

    async def _ended(self, run_id: str) -> WorkflowRun:
        await self._open.scheduler.wait(run_id)
        # Another process may execute it, so the store is looked at.
        while not (run := await self._open.store.run(runs.get, run_id)).status.is_terminal:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        return run

    @property
    def store(self) -> Store:
        """The open store, for other use cases on the same data.

        Raises:
            InvalidInput: The integration is not open.
        """
        return self._open.store

    @property
    def _open(self) -> _Opened:
        if self._opened is None:
            raise InvalidInput(
                "The integration is not open.", remedy="Use it as `async with`, or call initialize() first."
            )
        return self._opened

    async def _task(self, task_id: str) -> Task:
        return await self._open.store.run(tasks.find, task_id)

    async def _require_dependencies(self, task: Task, *, running: frozenset[str]) -> None:
        """Refuse a task one of whose dependencies is neither done nor about to run with it."""
        waiting: list[Task] = []
        for dependency in task.dependencies:
            if dependency in running:
                continue
            other = await self._open.store.run(tasks.get, dependency)
            if other.status is not TaskStatus.DONE:
                waiting.append(other)
        if waiting:
            titles = ", ".join(repr(other.title) for other in waiting)
            raise DependenciesNotMet(
                f"Task {task.title!r} depends on {titles}, not done yet.",
                remedy="Run them first, or run the whole project: task-manager project run PROJECT.",
                details={"task": task.id, "waiting_for": [other.id for other in waiting]},
            )

    async def _start(
        self, task: Task, workflow: Workflow, *, skip_cache: bool, actor: str, after: Sequence[str]
    ) -> WorkflowRun:
        now = self._clock()
        run = WorkflowRun(
            id=new_id("run"),
            workflow_id=workflow.id,
            workflow_version=workflow.version,
            task_id=task.id,
            project_id=task.project_id,
            actor=actor,
            skip_cache=skip_cache,
            priority=task.priority,
            template_id=workflow.template_id,
            parameters=workflow.parameters,
            warnings=workflow.warnings,
            created_at=now,
            updated_at=now,
        )
        await self._open.store.run(runs.create, run)
        status, reason = _first_status(after)
        run = await self._open.store.run(runs.transition, run.id, status, reason=reason, actor=actor, now=self._clock())
        self._open.scheduler.start(run.id, after=after)
        return run

    async def _select(self, project_id: str, phase_id: str | None, status: TaskStatus | str | None) -> tuple[Task, ...]:
        project = await self._open.store.run(projects.find, project_id)
        wanted = chosen(TaskStatus, status, "status")
        phase = await self._open.store.run(phases.get, phase_id) if phase_id else None
        found = await self._open.store.run(tasks.of_project, project.id)
        selected = tuple(
            task
            for task in found
            if (phase is None or task.phase_id == phase.id)
            and (task.status is wanted if wanted else task.status is not TaskStatus.CANCELLED)
        )
        if not selected:
            raise InvalidInput(
                f"Project {project.name!r} has no task to run{' with these filters' if phase or wanted else ''}.",
                remedy="Create one: task-manager task create.",
            )
        return selected


def _first_status(after: Sequence[str]) -> tuple[WorkflowStatus, Reason]:
    if after:
        details: dict[str, JsonValue] = {"runs": list(after)}
        text = f"Waits for {len(after)} run{'s' if len(after) > 1 else ''} of tasks that it depends on."
        return WorkflowStatus.WAITING, Reason(code="waiting_for_dependencies", text=text, details=details)
    return WorkflowStatus.QUEUED, Reason(code="waiting_for_slot", text="Waits for a free place in this process.")


def _in_order(selected: Sequence[Task]) -> list[Task]:
    by_id = {task.id: task for task in selected}
    edges = {task.id: [needed for needed in task.dependencies if needed in by_id] for task in selected}
    cycle = graph.find_cycle(edges)
    if cycle:
        titles = [by_id[task_id].title for task_id in cycle]
        raise DependencyCycle(
            f"Tasks wait for each other: {' → '.join(titles)}.",
            remedy="Remove one of these dependencies.",
            details={"cycle": cycle},
        )
    return [by_id[task_id] for layer in graph.layers(edges) for task_id in layer]
