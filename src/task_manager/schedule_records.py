"""The records of schedules: what is started when, and what became of the due times."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Self

from pydantic import AwareDatetime, Field, JsonValue, StringConstraints, model_validator

from task_manager.cron_times import LONGEST
from task_manager.models import Label, Record
from task_manager.trigger_records import MOST, check_target

CronExpression = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=LONGEST)]
ZoneName = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class MissedTimes(StrEnum):
    """What becomes of due times at which nobody was there to start anything."""

    CATCH_UP = "catch-up"
    """The last of them is made up for as soon as somebody is there: one run, however many were missed."""
    SKIP = "skip"
    """They are left out."""


class Overlap(StrEnum):
    """What happens at a due time when runs of the one before still go on."""

    SKIP = "skip"
    """It is left out."""
    ALLOW = "allow"
    """Others are started beside them."""


class OccurrenceState(StrEnum):
    """What became of a due time."""

    STARTING = "starting"
    """Runs are being started; if that is interrupted, it is gone on with."""
    STARTED = "started"
    """Runs were started."""
    SKIPPED = "skipped"
    """It was left out, as the schedule says."""
    FAILED = "failed"
    """Nothing could be started."""


class Schedule(Record):
    """What is started at which times.

    Attributes:
        name: Unique.
        cron: The due times: five fields as cron has them, or `@daily` and the like.
        timezone: The IANA name of the zone whose clocks they are about.
        task_id: The task that is executed.
        project_id: The project that is executed, or in which tasks are made of the template.
        template_id: The template of a task that is made, and executed, each time.
        parameters: Values for the template's parameters.
        missed: What becomes of due times at which nobody was there.
        overlap: What happens when runs of the last time still go on.
        use_cache: Whether steps may be answered from earlier runs.
        paused_at: Since when nothing is started; none: it is not paused.
        created_by: Who made it.
        next_due_at: The next due time; none while it is paused.
        last_due_at: The last due time that came; none: none has come.
        last_run_ids: The runs that were started last.
    """

    id: str
    name: Label
    cron: CronExpression
    timezone: ZoneName = "UTC"
    task_id: str | None = None
    project_id: str | None = None
    template_id: str | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=dict, max_length=MOST)
    missed: MissedTimes = MissedTimes.CATCH_UP
    overlap: Overlap = Overlap.SKIP
    use_cache: bool = False
    paused_at: AwareDatetime | None = None
    created_by: str = "local"
    next_due_at: AwareDatetime | None = None
    last_due_at: AwareDatetime | None = None
    last_run_ids: tuple[str, ...] = ()
    created_at: AwareDatetime
    updated_at: AwareDatetime
    revision: int = 1

    @model_validator(mode="after")
    def _has_one_target(self) -> Self:
        check_target(self, "schedule", has_parameters=bool(self.parameters))
        return self


class Occurrence(Record):
    """What became of a due time.

    Attributes:
        missed_since: The first of the due times before this one that were missed; none: none was.
        run_ids: The runs that were started.
        note: Why none was; empty if they were.
        noted_at: When it was seen that the time had come.
    """

    schedule_id: str
    due_at: AwareDatetime
    state: OccurrenceState
    missed_since: AwareDatetime | None = None
    run_ids: tuple[str, ...] = ()
    note: str = ""
    noted_at: AwareDatetime
