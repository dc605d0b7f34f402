"""What probes and Prometheus are told."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import ASGIApp

from task_manager.application import Application
from task_manager.models import CacheOutcome, CacheRecord, TokenScope, utc_now
from task_manager.rest_api.face import RestFace
from task_manager.server import create_app
from task_manager.store import cache, fleet, hooks, runs, schedules
from task_manager.workflow_status import WorkflowStatus
from tests.rest_api.conftest import settings_of
from tests.store import builders


@pytest.fixture
async def application(tmp_path: Path) -> AsyncIterator[Application]:
    async with Application(settings_of(tmp_path)) as application:
        yield application


def visitor(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 4711))
    return httpx.AsyncClient(transport=transport, base_url="http://localhost")


@pytest.fixture
async def client(application: Application) -> AsyncIterator[httpx.AsyncClient]:
    async with visitor(create_app(application, [RestFace])) as client:
        yield client


Series = dict[tuple[str, frozenset[tuple[str, str]]], float]


async def scraped(client: httpx.AsyncClient) -> Series:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def of(series: Series, name: str, **labels: str) -> float:
    return series[name, frozenset(labels.items())]


async def test_a_server_lives_and_is_ready_when_its_store_answers(
    client: httpx.AsyncClient, application: Application
) -> None:
    assert (await client.get("/healthz")).json() == {"status": "ok"}
    ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (
        200,
        {
            "status": "ready",
            "store": "ok",
            "migrations": "current",
            "workers": {"running": 0, "stopping": 0},
            "engine": {"session": "closed", "breaker": "closed"},
        },
    )
    application.store.close()
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.json()) == (503, {"status": "not_ready", "store": "unavailable"})


async def test_a_database_of_another_version_is_not_ready(client: httpx.AsyncClient, application: Application) -> None:
    with sqlite3.connect(application.store.data_dir / "task-manager.db") as database:
        database.execute("UPDATE task_manager_version SET version_num = '9999'")
    unready = await client.get("/readyz")
    assert (unready.status_code, unready.json()["migrations"]) == (503, "other_version")


async def test_prometheus_is_told_of_runs_and_the_cache(client: httpx.AsyncClient, application: Application) -> None:
    run = builders.stored_run(application.store)
    record = CacheRecord(
        run_id=run.id,
        outcome=CacheOutcome.HIT,
        reason="cached",
        tier="memory",
        saved_seconds=12.5,
        created_at=utc_now(),
    )
    await application.store.run(cache.note, record)
    series = await scraped(client)
    assert of(series, "task_manager_runs", status=run.status.value) == 1
    assert of(series, "task_manager_runs", status="succeeded") == 0
    assert of(series, "task_manager_run_seconds_bucket", le="+Inf") == 0
    assert of(series, "task_manager_cache_runs_total", outcome="hit", reason="cached") == 1
    assert of(series, "task_manager_cache_tier_saved_seconds_total", tier="memory") == 12.5
    assert of(series, "task_manager_cache_tier_open", tier="memory") == 1
    assert of(series, "task_manager_engine_breaker", state="closed") == 1
    assert of(series, "task_manager_workers", state="running") == 0
    assert of(series, "task_manager_event_listeners") == 0


async def test_durations_are_counted_by_bounds(application: Application) -> None:
    for seconds in (0.5, 2.0, 700.0):
        builders.stored_run(application.store, status="succeeded", started_at=builders.NOW, seconds=seconds)
    figures = await application.store.run(fleet.figures, (1.0, 5.0, 900.0))
    assert (figures.durations, figures.timed, figures.seconds) == ((1, 2, 3), 3, 702.5)
    assert figures.by_status[WorkflowStatus.SUCCEEDED] == 3


async def test_messages_that_wait_and_due_times_that_nobody_saw_to_are_told(
    client: httpx.AsyncClient, application: Application
) -> None:
    store = application.store
    hook = await application.hooks.add(
        {"name": "chat", "form": "webhook", "url": "http://127.0.0.1:9/", "statuses": ["queued"]}
    )
    run = builders.stored_run(store)
    await store.run(runs.transition, run.id, WorkflowStatus.QUEUED, now=utc_now())
    await store.run(hooks.gather, hook.id, now=utc_now() - timedelta(minutes=1))
    for name in ("hourly", "nightly", "weekly"):
        await application.schedules.add({"name": name, "cron": "@hourly", "project_id": run.project_id})
    await application.schedules.pause("weekly")
    found = await store.run(schedules.find, "nightly")
    await store.run(schedules.put, found.evolve(next_due_at=utc_now() - timedelta(hours=2)))
    series = await scraped(client)
    assert [of(series, "task_manager_hook_messages", state=one) for one in ("pending", "dead")] == [1, 0]
    assert of(series, "task_manager_hook_oldest_seconds") >= 60
    assert [of(series, "task_manager_schedules", state=one) for one in ("active", "paused")] == [2, 1]
    assert of(series, "task_manager_schedule_late_seconds") >= 2 * 3600


async def test_requests_are_counted_by_route_and_never_by_what_was_asked_for(
    client: httpx.AsyncClient, application: Application
) -> None:
    _, secret = await application.access.create("prometheus", TokenScope.READ)
    for number in range(3):
        await client.get(f"/api/v1/runs/run-{number}/status", headers={"Authorization": f"Bearer {secret}"})
        await client.get(f"/api/v1/nothing/{number}")
        await client.request(f"METHOD{number}", "/api/v1/projects")
    series = await scraped(client)
    route = "/api/v1/runs/{run_id}/status"
    assert of(series, "task_manager_http_requests_total", method="GET", route=route, status="404") == 3
    assert of(series, "task_manager_http_answer_seconds_count", method="GET", route=route) == 3
    text = (await client.get("/metrics")).text
    for unwanted in ("run-1", "nothing", "METHOD", secret, "prometheus"):
        assert unwanted not in text


async def test_figures_are_for_those_who_may_read(application: Application) -> None:
    async with visitor(create_app(application, [], require_token=True)) as client:
        assert (await client.get("/metrics")).status_code == 401
