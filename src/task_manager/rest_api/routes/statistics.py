"""Numbers about runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from task_manager.models import WorkflowType
from task_manager.rest_api import schemas
from task_manager.rest_api.requests import App, Word
from task_manager.rest_api.routes.runs import Moment
from task_manager.rest_api.routing import router
from task_manager.store.run_queries import RunFilter

routes = router("statistics", "How runs went.")


@routes.get("/statistics", response_model=schemas.Statistics)
async def get_statistics(
    app: App,
    *,
    project_id: Word = None,
    task_id: Word = None,
    template_id: Word = None,
    workflow_type: Annotated[WorkflowType | None, Query()] = None,
    since: Moment = None,
    until: Moment = None,
) -> schemas.Statistics:
    """Tell how runs went: by status, success rate, durations, cached steps; all together, by template and by type."""
    where = RunFilter(
        project_id=project_id,
        task_id=task_id,
        template_id=template_id,
        workflow_type=workflow_type,
        since=since,
        until=until,
    )
    return schemas.Statistics.model_validate(await app.runs.statistics(where), from_attributes=True)
