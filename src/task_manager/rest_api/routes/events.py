"""The event log: read in parts, and followed as a stream."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Header, Response
from fastapi.responses import StreamingResponse

from task_manager.application import Application
from task_manager.errors import NotFound
from task_manager.rest_api import schemas
from task_manager.rest_api.event_stream import DOCUMENTED, event_stream
from task_manager.rest_api.problems import documented
from task_manager.rest_api.requests import FIRST_PAGE, After, App, Identifier, Limit, Longest, Word
from task_manager.rest_api.routing import router
from task_manager.rest_api.server_sent import ENDED, streamed
from task_manager.store import events

routes = router("events", "Everything that happened to runs, in one order.")

LastEventId = Annotated[
    int | None,
    Header(ge=0, le=2**53, description="The `id` of the last event that the client has; it wins over `after`."),
]


@routes.get("/events", response_model=schemas.EventList, responses=documented(NotFound))
async def list_events(
    app: App, after: After = 0, project_id: Word = None, limit: Limit = FIRST_PAGE
) -> schemas.EventList:
    """List the events after a sequence number, in order: of a project, by its id or name, or of all."""
    project = None if project_id is None else (await app.tasks.get_project(project_id)).id
    return _listed(after, await app.store.run(events.after, after or 0, project_id=project, limit=limit))


@routes.get("/runs/{run_id}/events", response_model=schemas.EventList, responses=documented(NotFound))
async def list_run_events(
    app: App, run_id: Identifier, after: After = 0, limit: Limit = FIRST_PAGE
) -> schemas.EventList:
    """List the events of a run after a sequence number, in order."""
    return _listed(after, await app.runs.events(run_id, after=after or 0, limit=limit))


@routes.get("/events/stream", response_class=StreamingResponse, response_model=None, responses=DOCUMENTED)
async def stream_events(app: App, seconds: Longest, after: After = None, last_event_id: LastEventId = None) -> Response:
    """Follow the events of all runs: those after a sequence number, or those from now on."""
    begin = await _begin(app, last_event_id, after)
    return streamed(event_stream(app.broadcast, seconds=seconds, after=begin))


@routes.get(
    "/projects/{project_id}/events/stream",
    response_class=StreamingResponse,
    response_model=None,
    responses=DOCUMENTED | documented(NotFound),
)
async def stream_project_events(
    app: App, seconds: Longest, project_id: Identifier, after: After = None, last_event_id: LastEventId = None
) -> Response:
    """Follow the events of a project's runs: those after a sequence number, or those from now on."""
    project = await app.tasks.get_project(project_id)
    begin = await _begin(app, last_event_id, after)
    return streamed(event_stream(app.broadcast, seconds=seconds, after=begin, project_id=project.id))


@routes.get(
    "/runs/{run_id}/events/stream",
    response_class=StreamingResponse,
    response_model=None,
    responses=DOCUMENTED | ENDED | documented(NotFound),
)
async def stream_run_events(
    app: App, seconds: Longest, run_id: Identifier, after: After = 0, last_event_id: LastEventId = None
) -> Response:
    """Follow the events of a run from its beginning, or from a sequence number on; the stream ends with the run."""
    run = await app.runs.get(run_id)
    begin = await _begin(app, last_event_id, after or 0)
    if run.status.is_terminal and not await app.runs.events(run.id, after=begin, limit=1):
        return Response(status_code=204)
    return streamed(event_stream(app.broadcast, seconds=seconds, after=begin, run_id=run.id))


def _listed(after: int | None, found: Any) -> schemas.EventList:
    return schemas.EventList(items=found, last_sequence=found[-1].sequence if found else after or 0)


async def _begin(app: Application, last_event_id: int | None, after: int | None) -> int:
    """The number after which a stream begins; found out before the answer begins, so that nothing is missed then."""
    given = after if last_event_id is None else last_event_id
    return await app.store.run(events.last_sequence) if given is None else given
