"""Schedules as they are sent and shown."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field, StrictBool

from task_manager.rest_api.schemas.given import Changes, Document, Given, Label, Reference
from task_manager.rest_api.schemas.lists import Shown
from task_manager.rest_api.views import PageOf
from task_manager.schedule_records import CronExpression, MissedTimes, Occurrence, Overlap, Schedule, ZoneName
from task_manager.schedules import MOST_TIMES


class _Times(Given):
    cron: CronExpression = Field(
        description="Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly.",
        examples=["30 6 * * 1-5"],
    )
    timezone: ZoneName = Field(
        "UTC", description="The IANA name of the zone whose clocks it is about.", examples=["Europe/Berlin"]
    )


class _ScheduleFields(Given):
    parameters: Document = Field(default_factory=dict, description="Values for the template's parameters.")
    missed: MissedTimes = Field(
        MissedTimes.CATCH_UP, description="Due times at which nobody was there: the last one is made up for, or none."
    )
    overlap: Overlap = Field(Overlap.SKIP, description="What happens when runs of the last time still go on.")
    use_cache: StrictBool = Field(False, description="Whether steps may be answered from earlier runs.")


class NewSchedule(_ScheduleFields, _Times):
    """A schedule to create."""

    name: Label = Field(description="Unique.", examples=["nightly"])
    task_id: Reference | None = Field(None, description="The task to execute, by id or title.")
    project_id: Reference | None = Field(None, description="The project to execute, or to make tasks in.")
    template_id: Reference | None = Field(None, description="With a project: a task is made of it each time.")


class ScheduleChanges(_ScheduleFields, _Times, Changes):
    """What to change in a schedule; what is left out stays as it is."""

    name: Label = Field("", description="Unique.", examples=["nightly"])
    cron: CronExpression = Field("", description="The due times.", examples=["30 6 * * 1-5"])


class ScheduleList(Shown):
    """Schedules."""

    items: tuple[Schedule, ...]


class Times(_Times):
    """An expression whose due times are asked for."""

    count: int = Field(5, ge=1, le=MOST_TIMES, description="How many.")


class DueTimes(Shown):
    """Due times to come, in UTC."""

    items: tuple[datetime, ...]


class OccurrencePage(PageOf[Occurrence]):
    """A page of due times that came."""
