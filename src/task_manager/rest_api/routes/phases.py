"""Phases of projects."""

from __future__ import annotations

from fastapi import Response

from task_manager.errors import Conflict, NameTaken, NotFound
from task_manager.models import Phase
from task_manager.rest_api import schemas
from task_manager.rest_api.problems import RevisionMismatch, RevisionRequired, documented
from task_manager.rest_api.requests import FIRST_PAGE, App, Cursor, Fields, IdempotencyKey, Identifier, Limit, Word
from task_manager.rest_api.revisions import TAGGED, IfMatch, IfNoneMatch, changing, expected_revision
from task_manager.rest_api.routing import router
from task_manager.rest_api.views import created, partial_view, shown, shown_page

routes = router("phases", "Parts of projects, worked on in their order.")


@routes.get("/phases", response_model=schemas.PhasePage, responses=partial_view() | documented(NotFound))
async def list_phases(
    app: App, project_id: Word = None, limit: Limit = FIRST_PAGE, cursor: Cursor = None, fields: Fields = None
) -> Response:
    """List the phases of a project, by its id or name, or of all, in their order."""
    page = await app.tasks.list_phases(project_id, limit=limit, cursor=cursor)
    return shown_page(schemas.PhasePage(items=page.items, next_cursor=page.next_cursor), fields, Phase)


@routes.post("/phases", status_code=201, response_model=Phase, responses=documented(NotFound, Conflict, NameTaken))
async def create_phase(app: App, body: schemas.NewPhase, idempotency_key: IdempotencyKey = None) -> Response:
    """Create a phase."""
    return created(await app.tasks.create_phase(**body.given(), idempotency_key=idempotency_key), "phases")


@routes.get("/phases/{phase_id}", response_model=Phase, responses=partial_view(tagged=True) | documented(NotFound))
async def get_phase(
    app: App, phase_id: Identifier, fields: Fields = None, if_none_match: IfNoneMatch = None
) -> Response:
    """Read a phase."""
    phase = await app.tasks.get_phase(phase_id)
    return shown(phase, fields, tag=phase.revision, known=if_none_match)


@routes.patch(
    "/phases/{phase_id}",
    response_model=Phase,
    responses=TAGGED | documented(NotFound, NameTaken, RevisionMismatch, RevisionRequired),
)
async def update_phase(
    app: App, phase_id: Identifier, body: schemas.PhaseChanges, if_match: IfMatch = None
) -> Response:
    """Change a phase that was read before."""
    found = await app.tasks.get_phase(phase_id)
    expected = expected_revision(found, if_match)
    with changing(if_match):
        phase = await app.tasks.update_phase(found.id, body.given(), expected)
    return shown(phase, None, tag=phase.revision)


@routes.delete(
    "/phases/{phase_id}", response_model=schemas.Removed, responses=documented(NotFound, Conflict, RevisionMismatch)
)
async def delete_phase(app: App, phase_id: Identifier, if_match: IfMatch = None) -> schemas.Removed:
    """Remove a phase with its tasks, and their workflows and runs; none of these may be under way."""
    found = await app.tasks.get_phase(phase_id)
    expected = expected_revision(found, if_match, required=False)
    with changing(if_match):
        return schemas.Removed(runs=await app.tasks.delete_phase(found.id, expected_revision=expected))
