"""What many runs have in common, and how far one run is: computed from what the store tells of them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import NamedTuple

from task_manager.models import StepRecord, WorkflowRun, WorkflowType
from task_manager.workflow_status import WorkflowStatus

_JUDGED = (WorkflowStatus.SUCCEEDED, WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT, WorkflowStatus.LOST)


class RunGroup(NamedTuple):
    """What statistics need of runs that are alike.

    Attributes:
        template_id: What their workflows were made from; None for definitions of their own.
        workflow_type: The type of their workflows.
        status: The status they are in.
        runs: How many they are.
        seconds: How long each took that has begun and ended; None for the others.
        steps_cached: How many of their steps were answered from earlier runs.
        steps_counted: Of how many steps that is known.
    """

    template_id: str | None
    workflow_type: WorkflowType
    status: WorkflowStatus
    runs: int
    seconds: Sequence[float | None]
    steps_cached: int
    steps_counted: int


@dataclass(frozen=True)
class RunSummary:
    """Numbers about a set of runs.

    Attributes:
        runs: How many they are.
        by_status: How many are in each status, in the order of `WorkflowStatus`; statuses without runs are left out.
        success_rate: From 0 to 1: the share of the succeeded among those that succeeded, failed, timed out or were
            lost. What was cancelled or skipped says nothing about it. None when there are no such runs.
        timed_runs: How many have begun and ended; the durations are theirs.
        p50_seconds: The duration that half of them do not exceed; None when there are none.
        p95_seconds: The duration that 95 of 100 do not exceed.
        cached_share: From 0 to 1: the share of steps that were answered from earlier runs, among the steps of ended
            runs of which it is known. None when it is known of none.
    """

    runs: int
    by_status: dict[str, int]
    success_rate: float | None
    timed_runs: int
    p50_seconds: float | None
    p95_seconds: float | None
    cached_share: float | None


@dataclass(frozen=True)
class NamedSummary:
    """The numbers of the runs of one kind.

    Attributes:
        name: The kind: a template's id or a workflow type; None: runs of definitions of their own.
    """

    name: str | None
    summary: RunSummary


@dataclass(frozen=True)
class RunStatistics:
    """Numbers about runs, all together and by kind; kinds with the most runs first."""

    total: RunSummary
    by_template: tuple[NamedSummary, ...]
    by_type: tuple[NamedSummary, ...]


class TrendGroup(NamedTuple):
    """Runs that are alike and of one stretch of time.

    Attributes:
        period: The place of that stretch among all, from 0.
        project_id: Their project.
        saved_seconds: What the cache saved with them.
    """

    period: int
    project_id: str
    saved_seconds: float
    group: RunGroup


@dataclass(frozen=True)
class Period:
    """The runs that were started in a stretch of time.

    Attributes:
        since: Its beginning; it ends where the next one begins.
        saved_seconds: What the cache saved with them.
    """

    since: datetime
    summary: RunSummary
    saved_seconds: float


@dataclass(frozen=True)
class RunTrends:
    """How runs went over time.

    Attributes:
        total: Of all stretches together.
        saved_seconds: What the cache saved in all.
        periods: Without a gap, the earliest first; those without runs are in it, too.
        by_project: By the project's id, those with the most runs first.
        by_template: By the template's id, those with the most runs first.
    """

    total: RunSummary
    saved_seconds: float
    periods: tuple[Period, ...]
    by_project: tuple[NamedSummary, ...]
    by_template: tuple[NamedSummary, ...]


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes:
        steps_done: Steps that are over.
        steps_total: Steps that are planned; 0 before the plan is made.
        expected_seconds: The median duration of earlier successful runs of its workflow; None when there are none, or
            it is over.
        expected_from: Of how many earlier runs.
        remaining_seconds: What is left of it; None before the run began. 0 when it takes longer than expected.
    """

    steps_done: int
    steps_total: int
    expected_seconds: float | None = None
    expected_from: int = 0
    remaining_seconds: float | None = None


def percentile(ordered: Sequence[float], percent: float) -> float | None:
    """The smallest of ascending values that so many percent of them do not exceed (nearest rank); None of none."""
    if not ordered:
        return None
    return ordered[max(math.ceil(len(ordered) * percent / 100), 1) - 1]


def summarised(groups: Collection[RunGroup]) -> RunStatistics:
    """The statistics of runs, given in groups."""
    return RunStatistics(
        _summary(groups),
        _by(groups, lambda group: group.template_id),
        _by(groups, lambda group: group.workflow_type.value),
    )


def trends_of(groups: Collection[TrendGroup], beginnings: Sequence[datetime]) -> RunTrends:
    """The runs over time.

    Args:
        groups: The runs; the periods in them are places in `beginnings`.
        beginnings: Of all stretches, ascending.
    """
    within = defaultdict[int, list[TrendGroup]](list)
    by_project = defaultdict[str | None, list[RunGroup]](list)
    for one in groups:
        within[one.period].append(one)
        by_project[one.project_id].append(one.group)
    runs = [one.group for one in groups]
    return RunTrends(
        total=_summary(runs),
        saved_seconds=sum(one.saved_seconds for one in groups),
        periods=tuple(_period(since, within[place]) for place, since in enumerate(beginnings)),
        by_project=_named(by_project),
        by_template=_by(runs, lambda group: group.template_id),
    )


def _period(since: datetime, groups: Collection[TrendGroup]) -> Period:
    return Period(since, _summary(one.group for one in groups), sum(one.saved_seconds for one in groups))


def progress_of(
    run: WorkflowRun, steps: Collection[StepRecord], earlier: Sequence[float], elapsed: float | None
) -> Progress:
    """How far a run is.

    Args:
        run: The run.
        steps: The records of its steps.
        earlier: The durations of earlier successful runs of its workflow, in seconds.
        elapsed: Seconds since it began; None before.
    """
    done = sum(step.status.is_terminal for step in steps)
    if run.status.is_terminal or not earlier:
        return Progress(done, len(steps))
    expected = median(earlier)
    remaining = None if elapsed is None else max(expected - elapsed, 0.0)
    return Progress(done, len(steps), expected, len(earlier), remaining)


def _by(groups: Iterable[RunGroup], name_of: Callable[[RunGroup], str | None]) -> tuple[NamedSummary, ...]:
    named = defaultdict[str | None, list[RunGroup]](list)
    for group in groups:
        named[name_of(group)].append(group)
    return _named(named)


def _named(named: Mapping[str | None, Collection[RunGroup]]) -> tuple[NamedSummary, ...]:
    summaries = (NamedSummary(name, _summary(parts)) for name, parts in named.items())
    return tuple(sorted(summaries, key=lambda one: (-one.summary.runs, one.name or "")))


def _summary(groups: Iterable[RunGroup]) -> RunSummary:
    statuses = dict.fromkeys(WorkflowStatus, 0)
    ordered: list[float] = []
    cached = counted = 0
    for group in groups:
        statuses[group.status] += group.runs
        ordered += [seconds for seconds in group.seconds if seconds is not None]
        cached += group.steps_cached
        counted += group.steps_counted
    ordered.sort()
    return RunSummary(
        runs=sum(statuses.values()),
        by_status={status.value: count for status, count in statuses.items() if count},
        success_rate=_share(statuses[WorkflowStatus.SUCCEEDED], sum(statuses[status] for status in _JUDGED)),
        timed_runs=len(ordered),
        p50_seconds=percentile(ordered, 50),
        p95_seconds=percentile(ordered, 95),
        cached_share=_share(cached, counted),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
