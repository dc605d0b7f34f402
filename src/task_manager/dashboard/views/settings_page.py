"""How the server is: engine, workers, schedules, cache, tokens, versions."""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from task_manager.admission import DEAD_AFTER_SECONDS
from task_manager.application import Application
from task_manager.cache_figures import CacheFigures
from task_manager.dashboard.views import frame, looks
from task_manager.dashboard.views.form_banners import banner
from task_manager.dashboard.views.forms import About, choice_field, form, submit_button, text_field
from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.moments import ago
from task_manager.dashboard.views.parts import button, card, command, empty, facts, table
from task_manager.dashboard.views.schedule_list import schedules_card
from task_manager.dashboard.views.tree import Node, action, h
from task_manager.engine_report import EngineReport
from task_manager.models import AccessToken, TokenScope, WorkerRecord, utc_now
from task_manager.results.wording import counted, seconds_text, size_text
from task_manager.schedule_records import Schedule
from task_manager.store import projects, tasks, workers

PACKAGES: Final = ("task-manager-dagger", "dagger-io", "dbos", "mcp", "fastapi", "nicegui", "sqlalchemy")
"""The packages whose versions are told, those that are installed."""

SCOPES: Final = {
    TokenScope.READ: "Read: look at everything",
    TokenScope.RUN: "Run: create, change and run, too",
    TokenScope.ADMIN: "Admin: remove, and manage tokens, too",
}


@dataclass(frozen=True)
class SettingsFacts:
    """What the page shows.

    Attributes:
        choice: Which engine executes, and why.
        tokens: None for those who may not see them.
        names: Of the tasks and projects that schedules start, by id.
        versions: By package.
    """

    now: datetime
    choice: str
    workers: Sequence[WorkerRecord]
    cache: CacheFigures
    tokens: Sequence[AccessToken] | None
    schedules: Sequence[Schedule]
    names: Mapping[str, str]
    versions: Mapping[str, str]
    data_dir: str
    database: str


@dataclass(frozen=True)
class Said:
    """What the page says beside its facts.

    Attributes:
        engine: What the engine answered when it was asked; none before.
        secret: A token that was just made, with its name.
        problems: What is wrong with the form of a new token, by field.
    """

    engine: EngineReport | None = None
    secret: tuple[str, str] | None = None
    problems: Mapping[str, str] = field(default_factory=dict)


async def load(application: Application, choice: str, *, with_tokens: bool) -> SettingsFacts:
    """Find out what the page shows.

    Args:
        application: An open application.
        choice: Which engine executes, and why.
        with_tokens: Whether whoever looks may see the tokens.
    """
    schedules = await application.schedules.list()
    return SettingsFacts(
        utc_now(),
        choice,
        await application.store.run(workers.all_),
        await application.cache.figures(),
        await application.access.list() if with_tokens else None,
        schedules,
        await _started_names(application, schedules),
        installed(PACKAGES),
        str(application.store.data_dir),
        "PostgreSQL" if application.settings.database_url else "SQLite",
    )


async def _started_names(application: Application, schedules: Sequence[Schedule]) -> dict[str, str]:
    store = application.store
    of_tasks = await store.run(tasks.titles, {one.task_id for one in schedules if one.task_id})
    return of_tasks | await store.run(projects.names, {one.project_id for one in schedules if one.project_id})


def installed(packages: Sequence[str]) -> dict[str, str]:
    """The versions of those packages that are installed."""
    found: dict[str, str] = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def draw(page: SettingsFacts, said: Said) -> list[Node]:
    """Draw the page."""
    left = h(
        "div",
        _engine(page, said),
        _workers(page),
        schedules_card(page.schedules, page.names),
        _cache(page),
        class_="column",
    )
    right = h("div", _tokens(page, said), _versions(page), class_="column")
    return [frame.heading("Settings"), h("div", left, right, class_="columns")]


def _engine(page: SettingsFacts, said: Said) -> Node:
    name, _, why = page.choice.partition(": ")
    ask = button("Examine", action("examine"), look="small")
    lines = [_check("plug", name, why, None)]
    if said.engine is not None:
        report = said.engine
        lines += [
            _check("good" if one.ok else "bad", one.name, f"{one.detail} {one.remedy}", one.ok) for one in report.checks
        ]
        about = facts(
            ("Version", report.version or None),
            ("Images", looks.label(report.images.value)),
            ("State folder", h("code", str(report.state_folder))),
        )
        lines.append(h("li", about, class_="card-body"))
    return card("Engine", h("ul", *lines, class_="lines"), more=ask)


def _check(drawing: str, title: str, under: str, ok: bool | None) -> Node:
    texts = h("span", h("strong", looks.label(title)), h("small", under, class_="wrapped"), class_="line-text")
    state = None if ok is None else looks.chip("Works" if ok else "Does not work", tone=looks.GOOD if ok else looks.BAD)
    return h("li", h("div", icon(drawing, class_="lead"), texts, state, class_="line"))


def _workers(page: SettingsFacts) -> Node:
    if not page.workers:
        text = "A worker executes runs. One is started with the next run, and leaves when there is nothing to do."
        return card("Workers", empty("No worker", text, "task-manager worker run", icon_name="worker"))
    lines = [_worker(one, page.now) for one in page.workers]
    return card("Workers", h("ul", *lines, class_="lines"))


def _worker(one: WorkerRecord, now: datetime) -> Node:
    alive = (now - one.seen_at).total_seconds() < DEAD_AFTER_SECONDS
    under = f"{counted(one.capacity, 'run')} at once · process {one.pid} · version {one.version}"
    texts = h("span", h("strong", f"Worker on {one.host}"), h("small", under), class_="line-text")
    state = looks.chip(looks.label(one.state.value) if alive else "Silent", tone=looks.GOOD if alive else looks.BAD)
    seen = h("span", state, h("small", "seen ", ago(one.seen_at, now)), class_="stack at-right")
    return h("li", h("div", icon("worker", class_="lead"), texts, seen, class_="line"), key=one.id)


def _cache(page: SettingsFacts) -> Node:
    cache = page.cache
    rows = [
        h(
            "tr",
            h("td", looks.label(tier.name)),
            h(
                "td",
                looks.chip("Used", tone=looks.GOOD)
                if tier.is_open
                else looks.chip("Left out after failures", tone=looks.WARN, icon_name="warn"),
            ),
            h("td", f"{tier.entries:,}", class_="num right"),
            h("td", size_text(tier.bytes) if tier.bytes is not None else "\u2013", class_="num right"),
            h("td", size_text(tier.limit) if tier.limit is not None else "\u2013", class_="num right"),
            h("td", f"{cache.hits_by_tier.get(tier.name, 0):,}", class_="num right"),
        )
        for tier in cache.tiers
    ]
    right = ("Entries", "Size", "Limit", "Hits")
    heads = [*(h("th", one, scope="col") for one in ("Tier", "State"))]
    heads += [h("th", one, scope="col", class_="right") for one in right]
    asked = cache.hits + sum(cache.misses.values())
    saved = seconds_text(cache.saved_seconds) or "0 s"
    said = f"{cache.hits:,} of {counted(asked, 'run')} answered, {saved} saved."
    listed = table(heads, rows, label="Tiers of the cache") if rows else h("p", "The cache is off.", class_="quiet")
    return card("Cache of results", listed, h("p", said, class_="quiet top-line"))


def _tokens(page: SettingsFacts, said: Said) -> Node:
    if page.tokens is None:
        text = "Tokens are managed by those whose token has the scope admin, or on the server's machine."
        return card("Access tokens", empty("Not for this token", text, "task-manager token list", icon_name="person"))
    lines = [_token(one, page.now) for one in page.tokens]
    nothing = h("p", "There are none; programs of this machine need none.", class_="quiet")
    listed = h("ul", *lines, class_="lines") if lines else nothing
    return card("Access tokens", _secret(said), listed, h("div", _new_token(said), key=f"{len(lines)}"))


def _secret(said: Said) -> Node | None:
    if said.secret is None:
        return None
    name, secret = said.secret
    words = h(
        "div",
        h("strong", f"The token {name}. It is shown now and never again: copy it."),
        command(secret),
        button("I have it", action("forget"), look="small"),
    )
    return h("div", icon("good"), words, class_="banner tone-good inset", role="status", key="secret")


def _token(one: AccessToken, now: datetime) -> Node:
    ended = one.expires_at is not None and one.expires_at <= now
    expires = f"expires {one.expires_at:%Y-%m-%d}" if one.expires_at else "until it is revoked"
    used = h("span", " · used ", ago(one.used_at, now)) if one.used_at else h("span", " · never used")
    texts = h("span", h("strong", one.name), h("small", expires, used), class_="line-text")
    scope = looks.chip("Expired" if ended else looks.label(one.scope.value), tone=looks.BAD if ended else looks.STOPPED)
    asked = f"Revoke the token {one.name}? Whoever uses it is refused from then on."
    revoke = button("Revoke", action("revoke", confirm=asked, token=one.id), look="danger small")
    return h(
        "li",
        h("div", icon("person", class_="lead"), texts, h("span", scope, revoke, class_="row-line"), class_="line"),
        key=one.id,
    )


def _new_token(said: Said) -> Node:
    scopes = [(scope.value, text) for scope, text in SCOPES.items()]
    name = About("Events name who did what by it.", said.problems.get("name", ""), required=True, example="claude")
    days = About("Empty: until it is revoked.", said.problems.get("days", ""), example="90")
    return form(
        "New token",
        action("create"),
        banner(said.problems),
        h(
            "div",
            text_field("name", "Name", "", name, maxlength="100"),
            text_field("days", "Days", "", days, inputmode="decimal"),
            h("div", choice_field("scope", "Scope", scopes, TokenScope.RUN.value), class_="whole"),
            class_="form-grid",
        ),
        h("div", submit_button("Create token", icon_name="add"), class_="form-foot"),
        class_="card-body top-line",
    )


def _versions(page: SettingsFacts) -> Node:
    pairs: list[tuple[str, Node | None]] = [(name, one) for name, one in page.versions.items()]
    system = f"{platform.system()} {platform.machine()}"
    more: list[tuple[str, Node | None]] = [
        ("Python", ".".join(map(str, sys.version_info[:3]))),
        ("System", system),
        ("Database", page.database),
        ("Data folder", h("code", page.data_dir)),
    ]
    return card("Versions", h("div", facts(*pairs, *more), class_="card-body"))
