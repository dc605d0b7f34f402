"""Numbers about runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import Query

from task_manager.errors import InvalidInput
from task_manager.models import WorkflowType, utc_now
from task_manager.rest_api import schemas
from task_manager.rest_api.requests import App, Word
from task_manager.rest_api.routes.runs import Moment
from task_manager.rest_api.routing import router
from task_manager.store.run_queries import RunFilter

routes = router("statistics", "How runs went.")

_LATELY: Final = timedelta(days=7)
_MOST_PERIODS: Final = 366


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


@routes.get("/statistics/periods", response_model=schemas.Trends)
async def get_statistics_over_time(
    app: App,
    *,
    project_id: Word = None,
    task_id: Word = None,
    template_id: Word = None,
    workflow_type: Annotated[WorkflowType | None, Query()] = None,
    since: Moment = None,
    until: Moment = None,
    periods: Annotated[int, Query(ge=1, le=_MOST_PERIODS, description="How many, each as long as the others.")] = 7,
) -> schemas.Trends:
    """Tell how runs went over time, by when they were created; by project and template, too, and why they failed.

    Without `until` it is about the time until now, without `since` about the seven days before.
    """
    where = RunFilter(project_id=project_id, task_id=task_id, template_id=template_id, workflow_type=workflow_type)
    limits = _limits(since, until or utc_now(), periods)
    trends = await app.runs.trends(limits, where)
    failures = await app.runs.failures(replace(where, since=limits[0], until=limits[-1]))
    told = {**vars(trends), "since": limits[0], "until": limits[-1], "failures": failures.by_class}
    return schemas.Trends.model_validate(told, from_attributes=True)


def _limits(since: datetime | None, until: datetime, periods: int) -> list[datetime]:
    """The limits of equally long stretches of time.

    Raises:
        InvalidInput: It begins before there is time.
    """
    try:
        begin = until - _LATELY if since is None else since
    except OverflowError as error:
        raise InvalidInput(f"There are no {_LATELY.days} days before {until}.", remedy="Give `since`, too.") from error
    return [begin + (until - begin) * number / periods for number in range(periods + 1)]
