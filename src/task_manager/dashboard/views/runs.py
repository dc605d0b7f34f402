"""The table of runs: a page of them at a time, narrowed by what the address says."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final, Self
from urllib.parse import urlencode

from task_manager.application import Application
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import ago, took
from task_manager.dashboard.views.named_runs import NamedRun, named
from task_manager.dashboard.views.parts import button, card, empty, menu, search_field, table
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.errors import InvalidInput
from task_manager.models import WorkflowRun, utc_now
from task_manager.results.wording import counted
from task_manager.store.run_queries import RunFilter
from task_manager.workflow_status import WorkflowStatus

ROWS: Final = 50
"""How many runs a page of the table has."""

GROUPS: Final[dict[str, tuple[str, frozenset[WorkflowStatus]]]] = {
    "": ("All", frozenset()),
    "active": ("Running and waiting", frozenset(one for one in WorkflowStatus if not one.is_terminal)),
    "failed": ("Failed", frozenset({WorkflowStatus.FAILED, WorkflowStatus.TIMED_OUT, WorkflowStatus.LOST})),
    "succeeded": ("Succeeded", frozenset({WorkflowStatus.SUCCEEDED})),
    "cancelled": ("Cancelled", frozenset({WorkflowStatus.CANCELLED, WorkflowStatus.SKIPPED})),
}
"""Groups of states to choose from: their names, and the states; none: all."""

_NAMES: Final = ("status", "project", "template", "task", "text", "cursor")


@dataclass(frozen=True)
class RunsQuery:
    """What the address asks for.

    Attributes:
        status: A group of states, or one state; empty: any.
        project: The project's id; empty: any.
        template: The template's id; empty: any.
        task: The task's id; empty: any.
        text: In the task's title or the workflow's name; empty: any.
        cursor: Where the page begins; empty: with the newest.
    """

    status: str = ""
    project: str = ""
    template: str = ""
    task: str = ""
    text: str = ""
    cursor: str = ""

    @classmethod
    def of(cls, given: Mapping[str, object]) -> Self:
        """What an address or a form asks for; what is unknown is left out."""
        return cls(**{name: str(given[name]).strip()[:2000] for name in _NAMES if given.get(name)})

    @property
    def address(self) -> str:
        """The address that asks for it."""
        given = {name: value for name in _NAMES if (value := getattr(self, name))}
        return f"/runs?{urlencode(given)}" if given else "/runs"

    @property
    def is_narrowed(self) -> bool:
        """Whether it leaves some runs out."""
        return any(getattr(self, name) for name in _NAMES if name != "cursor")

    @property
    def filter(self) -> RunFilter:
        """Which runs are meant.

        Raises:
            InvalidInput: There is no such state.
        """
        group = GROUPS.get(self.status)
        return RunFilter(
            statuses=group[1] if group else frozenset({_status(self.status)}),
            project_id=self.project or None,
            template_id=self.template or None,
            task_id=self.task or None,
            text=self.text or None,
        )


def _status(name: str) -> WorkflowStatus:
    try:
        return WorkflowStatus(name)
    except ValueError as error:
        raise InvalidInput(f"There is no status {name!r}.", remedy=f"There are {', '.join(WorkflowStatus)}.") from error


@dataclass(frozen=True)
class RunsTable:
    """A page of the table.

    Attributes:
        counts: How many runs the filters leave, by group, whatever the status.
        older: The cursor of the next page; none on the last.
        projects: Names by id, to choose from.
        templates: Ids to choose from.
        paused: The ids of the projects of which no run starts now.
    """

    query: RunsQuery
    now: datetime
    rows: Sequence[NamedRun]
    counts: Mapping[str, int]
    older: str | None
    projects: Mapping[str, str] = field(default_factory=dict)
    templates: Sequence[str] = ()
    paused: frozenset[str] = frozenset()


async def load(application: Application, query: RunsQuery) -> RunsTable:
    """Find out what a page of the table shows.

    Raises:
        InvalidInput: The address asks for what there is not.
    """
    where = query.filter
    page = await application.runs.list(where, limit=ROWS, cursor=query.cursor or None)
    any_status = RunFilter(
        project_id=where.project_id, template_id=where.template_id, task_id=where.task_id, text=where.text
    )
    counted_by = await application.runs.count_by_status(any_status)
    known = await application.tasks.list_projects()
    return RunsTable(
        query=query,
        now=utc_now(),
        rows=await named(application, page.items),
        counts={
            group: sum(count for status, count in counted_by.items() if not statuses or status in statuses)
            for group, (_, statuses) in GROUPS.items()
        },
        older=page.next_cursor,
        projects={project.id: project.name for project in known.items},
        templates=[template.id for template in application.templates.list()],
        paused=frozenset(project.id for project in known.items if project.paused_at),
    )


def draw(facts: RunsTable, chosen: Collection[str], *, may_run: bool) -> list[Node]:
    """Draw the table.

    Args:
        facts: What it shows.
        chosen: The ids of the runs that are ticked.
        may_run: Whether the visitor may cancel and repeat runs.
    """
    visible = [one for one in facts.rows if one.run.id in chosen]
    bulk = _bulk(visible) if visible and may_run else None
    return [frame.heading("Runs"), _tabs(facts), _filters(facts), _listing(facts, chosen, bulk, may_run=may_run)]


def _tabs(facts: RunsTable) -> Node:
    query = facts.query
    links = []
    for group, (name, _) in GROUPS.items():
        href = RunsQuery(group, query.project, query.template, query.task, query.text).address
        count = h("span", f"{facts.counts[group]:,}", class_="count")
        current = "page" if group == query.status else None
        links.append(h("a", h("span", name), count, href=href, aria_current=current, key=group))
    return h("nav", *links, class_="tabs", aria_label="Status")


def _filters(facts: RunsTable) -> Node:
    query = facts.query
    change = action("filter")
    search = search_field("Search tasks and workflows", query.text, change, name="text", look="grow")
    projects = [("", "Any project"), *facts.projects.items()]
    templates = [("", "Any template"), *((one, one) for one in facts.templates)]
    return h(
        "form",
        h("span", icon("search"), search, class_="search"),
        menu("Project", projects, query.project, change, name="project"),
        menu("Template", templates, query.template, change, name="template"),
        h("input", type="hidden", name="status", value=query.status),
        h("input", type="hidden", name="task", value=query.task),
        _of_task(facts) if query.task else None,
        h("a", "Clear", href="/runs", class_="button") if query.is_narrowed else None,
        class_="filters",
        role="search",
        on={"submit": change},
    )


def _of_task(facts: RunsTable) -> Node:
    """Says that one task's runs are shown alone, and leads to those of all."""
    title = next((one.task for one in facts.rows), facts.query.task)
    all_tasks = replace(facts.query, task="", cursor="").address
    text = h("span", f"Task: {title}")
    return h("a", text, icon("close"), href=all_tasks, class_="button brief", title="Show the runs of all tasks")


def _bulk(chosen: Sequence[NamedRun]) -> Node:
    active = [one.run.id for one in chosen if not one.run.status.is_terminal]
    over = [one.run.id for one in chosen if one.run.status.is_terminal]
    stop = action("cancel", confirm=f"Cancel {counted(len(active), 'run')}?", runs=active)
    return h(
        "div",
        h("strong", f"{len(chosen)} chosen"),
        button(f"Cancel {len(active)}", stop, icon_name="stop", look="danger small", disabled=not active),
        button(f"Retry {len(over)}", action("retry", runs=over), icon_name="again", look="small", disabled=not over),
        button("Choose none", action("choose-none"), look="small"),
        class_="row-line",
        role="group",
        aria_label="Chosen runs",
    )


def _listing(facts: RunsTable, chosen: Collection[str], bulk: Node | None, *, may_run: bool) -> Node:
    if not facts.rows:
        return h("section", _nothing(facts.query), class_="card", aria_label="Runs")
    ids = [one.run.id for one in facts.rows]
    every = all(one in chosen for one in ids)
    box = h(
        "input",
        type="checkbox",
        class_="check",
        checked=every or None,
        aria_label="Choose all on this page",
        on={"change": action("choose", runs=ids)},
    )
    heads = [h("th", box, class_="tick")] if may_run else []
    heads += [h("th", name) for name in ("Status", "Task", "Project", "Started by")]
    heads += [h("th", "Duration", class_="right"), h("th", "Created", class_="right")]
    rows = [
        _row(one, facts.now, _remark(one.run, facts.paused), one.run.id in chosen, may_run=may_run)
        for one in facts.rows
    ]
    title = f"{counted(facts.counts.get(facts.query.status, len(rows)), 'run')}"
    return card(title, table(heads, rows, label="Runs", class_="runs"), _pager(facts), more=bulk)


def _row(one: NamedRun, now: datetime, remark: str, chosen: bool, *, may_run: bool) -> Node:
    run = one.run
    tick = h(
        "input",
        type="checkbox",
        class_="check",
        checked=chosen or None,
        aria_label=f"Choose {one.task}",
        on={"change": action("choose", runs=[run.id])},
    )
    cells = [
        h("td", looks.status(run.status.value)),
        h(
            "td",
            h("a", one.task, href=f"/runs/{run.id}", class_="title", title=one.task),
            h("small", remark, title=remark) if remark else None,
            class_="wide",
        ),
        h("td", h("a", one.project, href=f"/projects/{run.project_id}"), class_="muted brief", title=one.project),
        h("td", run.actor, class_="muted brief", title=run.actor),
        h("td", took(run, now), class_="right"),
        h("td", ago(run.created_at, now), class_="right muted"),
    ]
    ticked = [h("td", tick, class_="tick")] if may_run else []
    classes = "chosen" if chosen else None
    return h("tr", *ticked, *cells, key=run.id, class_=classes, data_href=f"/runs/{run.id}")


def _remark(run: WorkflowRun, paused: Collection[str]) -> str:
    """Below the task: why the run is as it is, where that is worth knowing; else nothing."""
    if run.original_run_id:
        return "From the cache"
    if run.status is WorkflowStatus.QUEUED and run.project_id in paused:
        return "Waits because its project is paused."
    if run.reason is None or run.status in (WorkflowStatus.SUCCEEDED, WorkflowStatus.RUNNING):
        return ""
    return run.reason.text


def _pager(facts: RunsTable) -> Node | None:
    query = facts.query
    here = (query.status, query.project, query.template, query.task, query.text)
    newest = h("a", icon("left"), h("span", "Newest"), href=RunsQuery(*here).address, class_="button small")
    links = [newest] if query.cursor else []
    if facts.older:
        older = RunsQuery(*here, facts.older).address
        links.append(h("a", h("span", "Older"), icon("right"), href=older, class_="button small"))
    return h("nav", *links, class_="pager", aria_label="Pages") if links else None


def _nothing(query: RunsQuery) -> Node:
    if query.is_narrowed:
        return empty("No run fits", "No run is as these filters ask for.", icon_name="search")
    text = "A run executes a task's workflow. Start one from a task's page, or with a command:"
    return empty("No runs yet", text, "task-manager run start TASK", "task-manager demo")
