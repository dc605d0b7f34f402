"""The object graph: everything a face needs, built from settings, started and stopped in one place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Self

from task_manager.config import Settings, WorkerMode

if TYPE_CHECKING:
    from task_manager.access import AccessControl
    from task_manager.artifact_retention import ArtifactRetention
    from task_manager.artifacts import ArtifactStore
    from task_manager.cache_queries import CacheQueries
    from task_manager.dagger_integration import TaskWorkflowIntegration
    from task_manager.event_broadcast import EventBroadcast
    from task_manager.hooks import Hooks
    from task_manager.run_inbox import RunInbox
    from task_manager.run_logs import RunLogs
    from task_manager.run_queries import RunQueries
    from task_manager.run_targets import RunTargets
    from task_manager.scheduler import Scheduler
    from task_manager.schedules import Schedules
    from task_manager.store import Store
    from task_manager.task_planning import TaskPlanning
    from task_manager.task_service import TaskService
    from task_manager.triggers import Triggers
    from task_manager.workflow_templates import WorkflowTemplateRegistry


class Application:
    """An async context manager: inside it, the store is open.

    Parts are made when they are first used, so that a command that only reads the store never loads the engine's side.

    Args:
        settings: What it is built from.
        store: An open store, which stays open; none: that of the settings.
    """

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings = settings
        self._store = store
        self._workflows: TaskWorkflowIntegration | None = None
        self._opening = asyncio.Lock()
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the store.

        Raises:
            StoreError: It cannot be opened.
        """
        if self._store is None:
            self._store = await asyncio.to_thread(self._open_store)
            self._stack.callback(self._store.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop what was started: runs, the engine's session, the store."""
        await self._stack.aclose()

    @property
    def store(self) -> Store:
        """The store.

        Raises:
            RuntimeError: The application was not entered.
        """
        if self._store is None:
            raise RuntimeError("the application is entered with `async with` before it is used")
        return self._store

    @cached_property
    def tasks(self) -> TaskService:
        """Use cases on projects, phases and tasks."""
        from task_manager.task_service import TaskService

        return TaskService(self.store)

    @cached_property
    def planning(self) -> TaskPlanning:
        """Use cases of those who work on tasks together."""
        from task_manager.task_planning import TaskPlanning

        return TaskPlanning(self.store)

    @cached_property
    def inbox(self) -> RunInbox:
        """Results that nobody has read yet."""
        from task_manager.run_inbox import RunInbox

        return RunInbox(self.store)

    @cached_property
    def logs(self) -> RunLogs:
        """What the steps of runs wrote."""
        from task_manager.run_logs import RunLogs

        return RunLogs(self.store)

    @cached_property
    def access(self) -> AccessControl:
        """Access tokens."""
        from task_manager.access import AccessControl

        return AccessControl(self.store)

    @cached_property
    def runs(self) -> RunQueries:
        """Questions about runs."""
        from task_manager.run_queries import RunQueries

        return RunQueries(self.store)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """What runs left behind.

        Raises:
            InvalidConfiguration: The address of the settings cannot be used.
            ArtifactStoreUnavailable: Its folder cannot be made.
        """
        from task_manager.artifacts import open_artifacts

        return open_artifacts(self.settings, self.store.data_dir)

    @cached_property
    def retention(self) -> ArtifactRetention:
        """How long what runs left is kept; raises as `artifacts` does."""
        from task_manager.artifact_retention import ArtifactRetention

        return ArtifactRetention(self.store, self.artifacts, self.settings.artifacts)

    @cached_property
    def cache(self) -> CacheQueries:
        """The cache of results."""
        from task_manager.cache_queries import CacheQueries
        from task_manager.communication import DaggerCommunicationManager

        communication = DaggerCommunicationManager(self.settings)
        queries = CacheQueries(self.store, self.settings, communication, self.templates)
        self._stack.push_async_callback(queries.close)
        return queries

    @cached_property
    def broadcast(self) -> EventBroadcast:
        """The event log, for all who listen in this process."""
        from task_manager.event_broadcast import EventBroadcast

        broadcast = EventBroadcast(self.store)
        self._stack.push_async_callback(broadcast.close)
        return broadcast

    @cached_property
    def templates(self) -> WorkflowTemplateRegistry:
        """The workflow templates."""
        from task_manager.workflow_templates import WorkflowTemplateRegistry

        return WorkflowTemplateRegistry(self.settings.templates_dir)

    @cached_property
    def hooks(self) -> Hooks:
        """Who is told of changes of runs."""
        from task_manager.hooks import Hooks

        return Hooks(self.store)

    @cached_property
    def triggers(self) -> Triggers:
        """What webhooks start."""
        from task_manager.triggers import Triggers

        return Triggers(self.store, targets=self.targets, settings=self.settings.webhooks)

    @cached_property
    def schedules(self) -> Schedules:
        """What is started at which times."""
        from task_manager.schedules import Schedules

        return Schedules(self.store, targets=self.targets)

    @cached_property
    def scheduler(self) -> Scheduler:
        """Starts what is due, as long as it is running."""
        from task_manager.scheduler import Scheduler

        return Scheduler(self.store, self.schedules.start)

    @cached_property
    def targets(self) -> RunTargets:
        """What triggers and schedules start."""
        from task_manager.run_targets import RunTargets

        return RunTargets(self.store, service=self.tasks, workflows=self.workflows, templates=self.templates)

    async def workflows(self) -> TaskWorkflowIntegration:
        """Use cases on workflows and runs, open; the engine's session starts with the first run."""
        async with self._opening:
            if self._workflows is None:
                integration = await asyncio.to_thread(self._make_workflows)
                await integration.initialize()
                self._stack.push_async_callback(integration.shutdown)
                self._workflows = integration
        return self._workflows

    def _make_workflows(self) -> TaskWorkflowIntegration:
        from task_manager.dagger_integration import TaskWorkflowIntegration

        here = self.settings.worker is WorkerMode.HERE
        return TaskWorkflowIntegration(store=self.store, settings=self.settings, execute_here=here)

    def _open_store(self) -> Store:
        from task_manager.store import Store

        return Store.open(self.settings.data_dir, self.settings.database_url)


@contextlib.asynccontextmanager
async def scheduling(store: Store, settings: Settings) -> AsyncIterator[None]:
    """Start what schedules say as long as this is entered, and leave the runs to the workers that there are."""
    leaving = settings.model_copy(update={"worker": WorkerMode.ELSEWHERE})
    async with Application(leaving, store) as application, application.scheduler.running():
        yield
