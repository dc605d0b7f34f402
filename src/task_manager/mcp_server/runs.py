"""Runs for agents: wait, stop, repeat, read logs and results, ask why."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Literal

from mcp.server.mcpserver import Context
from mcp.shared.exceptions import MCPError
from pydantic import Field

from task_manager.errors import InvalidInput, NotFound
from task_manager.mcp_server.backend import Backend
from task_manager.mcp_server.callers import caller_name
from task_manager.mcp_server.presenting import (
    brief_run,
    cut_runs,
    diagnosis_view,
    log_view,
    plan_view,
    result_view,
    run_view,
)
from task_manager.mcp_server.toolset import tool
from task_manager.mcp_server.views import (
    CacheView,
    Detail,
    DiagnosisView,
    LogView,
    PlanView,
    ResultView,
    RunsView,
    RunView,
)
from task_manager.mcp_server.wording import in_tools
from task_manager.models import TokenScope
from task_manager.workflow_status import StepStatus, WorkflowStatus

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.dagger_integration import RunState

LONGEST_WAIT = 45.0
"""Seconds: clients give up on a call after about a minute."""

StatusOfRun = Literal[
    "created",
    "waiting",
    "queued",
    "preparing",
    "running",
    "processing",
    "retrying",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
    "timed_out",
    "skipped",
    "lost",
]


class RunTools:
    """The tools about runs.

    Args:
        backend: What they work with.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    @tool("Wait for a run", example={"run_id": "run-1m8"}, listed=True)
    async def wait_for_run(
        self,
        run_id: str,
        cursor: str | None = None,
        timeout: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = LONGEST_WAIT,
        *,
        context: Context,
    ) -> RunView:
        """Wait for a run's end, at most timeout seconds; call it again while over is not true.

        With a cursor it returns at the next change after it. When over: headline, or failure with the lines that
        tell why.
        """
        application = await self._backend.application()
        await application.runs.get(run_id)
        last = await _wait(application, run_id, _sequence(cursor), timeout, context)
        state = await (await application.workflows()).get_run(run_id)
        await application.inbox.read(state.run, caller_name())
        return run_view(state, cursor=last)

    @tool("Result of a run", example={"run_id": "run-1m8", "detail": "full"}, listed=True)
    async def get_run_result(
        self,
        run_id: str,
        detail: Detail = "brief",
        max_bytes: Annotated[int, Field(ge=500, le=200_000)] = 8000,
    ) -> ResultView:
        """What came out of a run that is over: headline, metrics, artifacts; detail="full" is everything, in parts."""
        application = await self._backend.application()
        state = await (await application.workflows()).get_run(run_id)
        await application.inbox.read(state.run, caller_name())
        if state.result is None:
            raise NotFound("result of run", run_id, remedy=f"The run is {state.run.status}; use wait_for_run.")
        return result_view(state, full=detail == "full", budget=max_bytes)

    @tool("Why a run failed", example={"run_id": "run-1m8"}, listed=True)
    async def get_run_diagnosis(self, run_id: str) -> DiagnosisView:
        """Where and why a run failed, the lines that tell, and what to do next."""
        application = await self._backend.application()
        state = await (await application.workflows()).get_run(run_id)
        await application.inbox.read(state.run, caller_name())
        return diagnosis_view(state)

    @tool("Show a run", example={"run_id": "run-1m8"})
    async def get_run(self, run_id: str, detail: Detail = "full") -> RunView:
        """A run with its steps, artifacts, parameters and warnings."""
        application = await self._backend.application()
        state = await (await application.workflows()).get_run(run_id)
        await application.inbox.read(state.run, caller_name())
        return run_view(state, full=detail == "full")

    @tool("List runs", example={"project_id": "textkit", "status": "failed"})
    async def list_runs(
        self,
        project_id: str | None = None,
        task_id: str | None = None,
        status: StatusOfRun | None = None,
        *,
        limit: Annotated[int, Field(ge=1, le=200)] = 50,
        cursor: str | None = None,
    ) -> RunsView:
        """Runs, newest first, of a project, a task or a status; the next page by next_cursor."""
        from task_manager.store.run_queries import RunFilter

        application = await self._backend.application()
        project = (await application.tasks.get_project(project_id)).id if project_id else None
        task = (await application.tasks.get_task(task_id)).id if task_id else None
        statuses = frozenset({WorkflowStatus(status)} if status else ())
        where = RunFilter(project_id=project, task_id=task, statuses=statuses)
        return cut_runs(await application.runs.list(where, limit=limit, cursor=cursor))

    @tool("Inbox", example={"limit": 20})
    async def inbox(self, limit: Annotated[int, Field(ge=1, le=200)] = 50, cursor: str | None = None) -> RunsView:
        """Runs that you started, that are over, and whose end you have not seen; reading one takes it out."""
        application = await self._backend.application()
        return cut_runs(await application.inbox.unread(caller_name(), limit=limit, cursor=cursor))

    @tool("Cancel a run", example={"run_id": "run-1m8"}, access=TokenScope.RUN, destructive=True, idempotent=True)
    async def cancel_run(self, run_id: str) -> RunView:
        """Stop a run and wait until its containers are gone; one that is over stays as it is."""
        application = await self._backend.application()
        workflows = await application.workflows()
        return brief_run(await workflows.cancel_run(run_id, actor=caller_name()))

    @tool("Run again", example={"run_id": "run-1m8", "from_step": "test"}, access=TokenScope.RUN, starts_run=True)
    async def retry_run(self, run_id: str, from_step: str | None = None, idempotency_key: str | None = None) -> RunView:
        """Start a run again with the same workflow and sources; from_step repeats from there on.

        After a change of sources or task use execute_task_workflow instead.
        """
        application = await self._backend.application()
        workflows = await application.workflows()
        run = await workflows.rerun(run_id, from_step=from_step, actor=caller_name(), idempotency_key=idempotency_key)
        return brief_run(run, next_=f"wait_for_run(run_id={run.id!r})")

    @tool("Why a run waits", example={"run_id": "run-1m8"})
    async def explain_wait(self, run_id: str) -> RunView:
        """What a run that does not start is waiting for, as its reason."""
        application = await self._backend.application()
        workflows = await application.workflows()
        wait = await workflows.why_waiting(run_id)
        view = brief_run(await application.runs.get(run_id))
        return view.model_copy(update={"reason": in_tools(wait.reason.text) if wait.reason else ""})

    @tool("What the cache was for a run", example={"run_id": "run-1m8"})
    async def explain_cache(self, run_id: str) -> CacheView:
        """Why a run was or was not answered from an earlier one, and what differed."""
        application = await self._backend.application()
        explanation = await application.cache.explain(run_id)
        return CacheView(run_id=explanation.run.id, text=explanation.text)

    @tool("What the cache would be for a task", example={"task_id": "task-1m8"})
    async def predict_cache(self, task_id: str) -> CacheView:
        """Whether executing a task now would be answered from an earlier run, and what that saves."""
        application = await self._backend.application()
        prediction = await application.cache.predict(task_id)
        return CacheView(
            task_id=prediction.task_id,
            text=prediction.text,
            outcome=str(prediction.outcome),
            original_run_id=prediction.original_run_id,
            saved_seconds=prediction.saved_seconds,
            steps=[one.text for one in prediction.steps],
        )

    @tool("Logs of a run", example={"run_id": "run-1m8", "step": "test", "search": "Error"})
    async def get_run_logs(
        self,
        run_id: str,
        step: str | None = None,
        stream: Literal["stdout", "stderr"] = "stdout",
        *,
        tail: Annotated[int, Field(ge=1)] | None = None,
        start: Annotated[int, Field(ge=1)] = 1,
        search: str | None = None,
        max_bytes: Annotated[int, Field(ge=1, le=65536)] = 4000,
    ) -> LogView:
        """What a step wrote: the last lines (tail), from a line on (start), or lines that fit a regex (search).

        Without step: the one that failed, else the last. Goes on at next_line.
        """
        application = await self._backend.application()
        part = await application.logs.read(
            run_id,
            step,
            stream,
            tail=tail,
            start=start,
            pattern=None if search is None else f"(?i){search}",
            max_bytes=max_bytes,
        )
        return log_view(part)

    @tool("Plan a task's run", example={"task_id": "task-1m8"})
    async def plan_run(self, task_id: str) -> PlanView:
        """What executing a task would run, without running it: steps, images, commands, order."""
        application = await self._backend.application()
        workflows = await application.workflows()
        return plan_view(await workflows.preview_workflow(task_id))


async def _wait(application: Application, run_id: str, cursor: int | None, timeout: float, context: Context) -> int:
    """Follow a run's events until its end, or the first one after the cursor; returns the last one's number."""
    last = cursor or 0
    with contextlib.suppress(TimeoutError):
        async with (
            asyncio.timeout(timeout),
            contextlib.aclosing(application.store.feed.pages(after=last, run_id=run_id)) as pages,
        ):
            async for page in pages:
                last = page[-1].sequence
                over = any(event.status is not None and event.status.is_terminal for event in page)
                if over or cursor is not None:
                    break
                await _report(application, run_id, context)
    return last


async def _report(application: Application, run_id: str, context: Context) -> None:
    """Tell the client how far the run is, where it asked to be told."""
    state = await (await application.workflows()).get_run(run_id)
    with contextlib.suppress(MCPError, ValueError):
        await context.report_progress(*_progress(state))


def _progress(state: RunState) -> tuple[float, float | None, str]:
    done = sum(step.status is StepStatus.SUCCEEDED for step in state.steps)
    running = [step.step_id for step in state.steps if step.status is StepStatus.RUNNING]
    return done, len(state.steps) or None, f"{state.run.status}{': ' if running else ''}{', '.join(running)}"


def _sequence(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:  # noqa: PLR2004 - digits of the largest number
        raise InvalidInput(f"{cursor[:40]!r} is not a cursor of a run.", remedy="Pass the cursor of the answer before.")
    return int(cursor)
