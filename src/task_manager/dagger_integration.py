"""Use cases on workflows and runs: `TaskWorkflowIntegration`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from pydantic import JsonValue

from task_manager import graph
from task_manager.artifacts import ArtifactStore, open_artifacts
from task_manager.communication import DaggerCommunicationManager
from task_manager.config import Settings, WorkerMode, load_settings
from task_manager.container_control import ContainerControl
from task_manager.errors import DependenciesNotMet, DependencyCycle, InvalidInput
from task_manager.execution import Execution, ExecutionByWorker, ExecutionElsewhere, ExecutionHere
from task_manager.models import Artifact, StepRecord, Task, Workflow, WorkflowRun, WorkflowType, utc_now
from task_manager.repeated_calls import find, find_all
from task_manager.results.diagnosis import Diagnosis
from task_manager.run_control import Opened
from task_manager.run_diagnosis import diagnose_run
from task_manager.run_starting import RunStarter, Start
from task_manager.store import Connection, Store, idempotency, phases, projects, results, runs, steps, tasks, workflows
from task_manager.store import artifacts as artifact_records
from task_manager.store.database import read_only
from task_manager.store.idempotency import Call
from task_manager.workflow_status import TaskStatus, chosen

if TYPE_CHECKING:
    from task_manager.workflow_creation import WorkflowMaker, WorkflowPreview
    from task_manager.workflow_templates import WorkflowTemplateRegistry


@dataclass(frozen=True)
class RunState:
    """A run with what belongs to it.

    Attributes:
        result: As it is stored, JSON-like; none before there is one.
        diagnosis: Why it failed; none when it did not, or not yet.
    """

    run: WorkflowRun
    workflow: Workflow
    steps: tuple[StepRecord, ...]
    artifacts: tuple[Artifact, ...]
    result: dict[str, JsonValue] | None
    diagnosis: Diagnosis | None = None


@dataclass(frozen=True)
class WorkflowState:
    """A task with its current workflow and its latest run, where there are any."""

    task: Task
    workflow: Workflow | None
    latest: RunState | None


class TaskWorkflowIntegration(ContainerControl):
    """Makes workflows from tasks and has them executed.

    An async context manager. Runs outlive it: a worker process executes them, started when there is none. With a
    communication manager of one's own they are executed in this process, as long as it is open; those that are not
    over then go on with the next worker::

        async with TaskWorkflowIntegration() as integration:
            run = await integration.execute_task_workflow(task_id)
            run = await integration.wait_for_run(run.id)

    Args:
        store: Where everything is kept; by default the store of the settings, opened and closed here.
        communication: The way to the engine; by default one of its own, made from the settings.
        dagger_config_path: The file of engine settings.
        templates_dir: A folder of templates beside the built-in ones.
        settings: All settings; by default loaded from arguments, environment and files.
        execute_here: Whether runs are executed in this process; by default if a communication manager is given.
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
        execute_here: bool | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._execute_here = communication is not None if execute_here is None else execute_here
        arguments = {"dagger_config_path": dagger_config_path, "templates_dir": templates_dir}
        super().__init__(
            settings or load_settings({name: value for name, value in arguments.items() if value})[0], clock
        )
        self.communication = communication or DaggerCommunicationManager(self.settings)
        self._given_store = store

    async def initialize(self) -> None:
        """Open the store; worker and engine start with the first run. A second call does nothing.

        Raises:
            StoreError: The store cannot be used.
        """
        if self._opened is None:
            store = self._given_store
            if store is None:
                store = await asyncio.to_thread(Store.open, self.settings.data_dir, self.settings.database_url)
            self.communication.feed = store.feed
            self._opened = Opened(store, self._execution(store), RunStarter(store, self._clock), self._maker)

    def _execution(self, store: Store) -> Execution:
        if self._execute_here:
            return ExecutionHere(store, self.communication, self.settings, self._clock)
        if self.settings.worker is WorkerMode.ELSEWHERE:
            return ExecutionElsewhere()
        return ExecutionByWorker(store, self.settings.model_copy(update={"data_dir": store.data_dir}))

    @cached_property
    def templates(self) -> WorkflowTemplateRegistry:
        """The workflow templates."""
        from task_manager.workflow_templates import WorkflowTemplateRegistry

        return WorkflowTemplateRegistry(self.settings.templates_dir)

    def _maker(self, store: Store) -> WorkflowMaker:
        from task_manager.workflow_creation import workflow_maker

        return workflow_maker(store, self.templates, self._clock)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """What runs left behind; the integration has to be open."""
        return open_artifacts(self.settings, self._open.store.data_dir)

    async def shutdown(self) -> None:
        """Close what was opened; runs of this process are handed back. A second call does nothing."""
        if self._opened is None:
            return
        opened, self._opened = self._opened, None
        await opened.execution.close()
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
        *,
        idempotency_key: str | None = None,
    ) -> Workflow:
        """Make a task's workflow from its template, its own definition, or by its type and requirements.

        Args:
            task_id: The task's id.
            workflow_name: By default the task's title.
            custom_inputs: Values that win over the task's inputs.
            idempotency_key: Names this call: made again with the same key, it returns the same workflow.

        Returns:
            The new version, which is now the task's current workflow.

        Raises:
            NotFound: There is no such task or template.
            InvalidParameters: The inputs do not fit the template.
            InvalidPipeline: The task's definition is not valid.
            Conflict: The key was used with other arguments.
        """
        task = await self._task(task_id)
        arguments: dict[str, JsonValue] = {"task": task.id, "name": workflow_name, "inputs": dict(custom_inputs or {})}
        call = Call("create_workflow_from_task", idempotency_key, arguments)
        return await self._open.maker.make_once(call, task, workflow_name, parameters=custom_inputs)

    async def create_workflow_from_template(
        self,
        task_id: str,
        template_id: str,
        parameters: Mapping[str, JsonValue] | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Workflow:
        """Make a task's workflow from a template.

        Args:
            task_id: The task's id.
            template_id: The template's id.
            parameters: Values for the template's parameters.
            idempotency_key: Names this call: made again with the same key, it returns the same workflow.

        Raises:
            NotFound: There is no such task or template.
            InvalidParameters: The parameters do not fit the template.
            Conflict: The key was used with other arguments.
        """
        task = await self._task(task_id)
        arguments: dict[str, JsonValue] = {
            "task": task.id,
            "template": template_id,
            "parameters": dict(parameters or {}),
        }
        call = Call("create_workflow_from_template", idempotency_key, arguments)
        return await self._open.maker.make_once(call, task, template_id=template_id, parameters=parameters)

    async def create_workflow_from_definition(
        self,
        task_id: str,
        definition: Mapping[str, JsonValue],
        workflow_name: str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> Workflow:
        """Make a task's workflow from a custom definition, in the schema of `Pipeline`.

        Args:
            task_id: The task's id.
            definition: The definition.
            workflow_name: By default the task's title.
            idempotency_key: Names this call: made again with the same key, it returns the same workflow.

        Raises:
            NotFound: There is no such task.
            InvalidPipeline: The definition is not valid; all findings are in the details.
            Conflict: The key was used with other arguments.
        """
        task = await self._task(task_id)
        arguments: dict[str, JsonValue] = {"task": task.id, "name": workflow_name, "definition": dict(definition)}
        call = Call("create_workflow_from_definition", idempotency_key, arguments)
        return await self._open.maker.make_once(call, task, workflow_name, definition=definition)

    async def preview_workflow(self, task_id: str) -> WorkflowPreview:
        """What executing a task would run; nothing is stored or run.

        Raises:
            NotFound: There is no such task.
            InvalidInput: The task cannot be converted.
        """
        return await self._open.maker.preview(await self._task(task_id))

    async def execute_task_workflow(
        self,
        task_id: str,
        workflow_type: WorkflowType | str | None = None,
        workflow_params: Mapping[str, JsonValue] | None = None,
        skip_cache: bool = False,
        *,
        actor: str = "local",
        idempotency_key: str | None = None,
    ) -> WorkflowRun:
        """Start a task's workflow; one is made when the task has none, or has changed since.

        It waits for the runs of the tasks that it depends on, as far as those are not over.

        Args:
            task_id: The task's id.
            workflow_type: What the workflow must be; by default whatever it is.
            workflow_params: Values for this and later runs; they make a new version of the workflow.
            skip_cache: Whether no step may be answered from an earlier run.
            actor: Who asks, for the event log.
            idempotency_key: Names this call: made again with the same key, it returns the same run.

        Returns:
            The run as it was started; `wait_for_run` waits for its end.

        Raises:
            NotFound: There is no such task.
            WorkflowTypeConflict: The task's workflow is of the other type.
            DependenciesNotMet: A task that it depends on has not succeeded and has no run that is under way.
            Conflict: The key was used with other arguments.
        """
        task = await self._task(task_id)
        call = Call(
            "execute_task_workflow",
            idempotency_key,
            {
                "task": task.id,
                "workflow_type": str(workflow_type) if workflow_type else None,
                "workflow_params": dict(workflow_params or {}),
                "skip_cache": skip_cache,
            },
        )
        known = await find(self._open.store, call, runs.get)
        if known is not None:
            return known
        after = await self._upstream(task, together=())
        start = Start(task, await self._open.maker.ready(task, workflow_type, workflow_params), after)
        return (await self._start([start], call, skip_cache=skip_cache, actor=actor))[0]

    async def get_workflow_status(self, task_id: str) -> WorkflowState:
        """A task's current workflow and latest run.

        Raises:
            NotFound: There is no such task.
        """
        task, current, run = await self._open.store.run(_task_as_it_stands, task_id)
        return WorkflowState(task, current, await self.get_run(run.id) if run else None)

    async def get_run(self, run_id: str) -> RunState:
        """A run with its workflow, steps, artifacts and result.

        Raises:
            NotFound: There is no such run.
        """
        found = await self._open.store.run(_run_as_it_stands, run_id)
        return replace(found, diagnosis=await diagnose_run(self._open.store, found.run))

    async def create_workflows_for_project(
        self,
        project_id: str,
        phase_id: str | None = None,
        status: TaskStatus | str | None = None,
        *,
        idempotency_key: str | None = None,
    ) -> tuple[Workflow, ...]:
        """Make a workflow for each task of a project, or for none where one cannot be converted.

        Args:
            project_id: The project.
            phase_id: Only the tasks of this phase.
            status: Only the tasks in this status.
            idempotency_key: Names this call: made again with the same key, it returns the same workflows.

        Raises:
            NotFound: There is no such project or phase.
            InvalidInput: A task cannot be converted; the error names it.
            Conflict: The key was used with other arguments.
        """
        project = await self._open.store.run(projects.find, project_id)
        given = {"project": project.id, "phase": phase_id, "status": str(status) if status else None}
        call = Call("create_workflows_for_project", idempotency_key, given)
        known = await find_all(self._open.store, call, workflows.get)
        if known is not None:
            return known
        selected = await self._select(project.id, phase_id, status)
        conversions = [(task, await self._open.maker.convert(task)) for task in selected]
        made = tuple([await self._open.maker.keep(task, conversion) for task, conversion in conversions])
        await self._open.store.run(idempotency.remember, call, [one.id for one in made], now=self._clock())
        return made

    async def execute_workflows_for_project(
        self,
        project_id: str,
        workflow_type: WorkflowType | str | None = None,
        phase_id: str | None = None,
        status: TaskStatus | str | None = None,
        skip_cache: bool = False,
        *,
        actor: str = "local",
        idempotency_key: str | None = None,
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
            idempotency_key: Names this call: made again with the same key, it returns the same runs.

        Returns:
            The runs as they were started, in dependency order.

        Raises:
            NotFound: There is no such project or phase.
            DependencyCycle: Tasks wait for each other.
            DependenciesNotMet: A task needs one outside the selection that has not succeeded.
            InvalidInput: A task cannot be converted; the error names it.
            Conflict: The key was used with other arguments.
        """
        project = await self._open.store.run(projects.find, project_id)
        call = Call(
            "execute_workflows_for_project",
            idempotency_key,
            {
                "project": project.id,
                "workflow_type": str(workflow_type) if workflow_type else None,
                "phase": phase_id,
                "status": str(status) if status else None,
                "skip_cache": skip_cache,
            },
        )
        known = await find_all(self._open.store, call, runs.get)
        if known is not None:
            return known
        ordered = _in_order(await self._select(project.id, phase_id, status))
        together = {task.id for task in ordered}
        after = [await self._upstream(task, together=together) for task in ordered]
        ready = [await self._open.maker.ready(task, workflow_type, None) for task in ordered]
        starts = [Start(*one) for one in zip(ordered, ready, after, strict=True)]
        return await self._start(starts, call, skip_cache=skip_cache, actor=actor)

    async def _start(
        self, starts: Sequence[Start], call: Call, *, skip_cache: bool, actor: str
    ) -> tuple[WorkflowRun, ...]:
        warning = await self._open.execution.prepare()
        started = await self._open.starter.start(starts, skip_cache=skip_cache, actor=actor, call=call, warning=warning)
        await self._have_executed()
        return started

    async def _task(self, task_id: str) -> Task:
        return await self._open.store.run(tasks.find, task_id)

    async def _upstream(self, task: Task, *, together: Collection[str]) -> list[str]:
        """What a task's run waits for: the ids of runs under way, and of tasks that are started with it.

        Args:
            task: The task.
            together: The ids of the tasks that are started with it.

        Raises:
            DependenciesNotMet: A dependency is neither done nor about to run.
        """
        after: list[str] = []
        missing: list[Task] = []
        for dependency in task.dependencies:
            if dependency in together:
                after.append(dependency)
                continue
            other = await self._open.store.run(tasks.get, dependency)
            under_way = await self._open.store.run(runs.active, task_ids=[other.id])
            if under_way:
                after.append(under_way[-1].id)
            elif other.status is not TaskStatus.DONE:
                missing.append(other)
        if missing:
            titles = ", ".join(repr(other.title) for other in missing)
            raise DependenciesNotMet(
                f"Task {task.title!r} depends on {titles}, not done yet.",
                remedy="Run them first, or run the whole project: task-manager project run PROJECT.",
                details={"task": task.id, "waiting_for": [other.id for other in missing]},
            )
        return after

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


@read_only
def _task_as_it_stands(c: Connection, task_id: str) -> tuple[Task, Workflow | None, WorkflowRun | None]:
    """A task, its current workflow and its latest run, of one moment."""
    task = tasks.find(c, task_id)
    return task, workflows.current(c, task.id), runs.latest(c, task.id)


@read_only
def _run_as_it_stands(c: Connection, run_id: str) -> RunState:
    """A run with everything about it but its diagnosis, of one moment."""
    run = runs.get(c, run_id)
    left = artifact_records.of_run(c, run.id)
    return RunState(run, workflows.get(c, run.workflow_id), steps.of_run(c, run.id), left, results.get(c, run.id))


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
