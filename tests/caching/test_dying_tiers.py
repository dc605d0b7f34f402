"""A tier that dies while a run is executed: nobody's run fails, it is left out, and that is counted."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from task_manager.workflow_status import WorkflowStatus
from tests.environment.postgresql import running_postgresql
from tests.environment.redis import RedisServer
from tests.test_cached_runs import build, cached_scene, ended, pipeline, queries


@pytest.fixture(params=["redis", "postgresql"])
def shared(request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[], None]]]:
    """The address of a server of the test's own, and what kills it."""
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis")
        yield server.url(), server.kill
        return
    with running_postgresql() as database:
        yield database.url(database.new_database()), lambda: os.kill(database.process, signal.SIGQUIT)


async def test_a_tier_killed_while_a_run_is_executed_fails_nothing_and_is_counted(
    tmp_path: Path, shared: tuple[str, Callable[[], None]], caplog: pytest.LogCaptureFixture
) -> None:
    url, kill = shared
    name = url.partition("://")[0]
    async with cached_scene(tmp_path, cache={"url": url, "timeout": 2.0}) as s:
        before = await ended(s, (await s.task("Before", pipeline=pipeline(build(name="before")))).id)
        assert (await queries(s).figures()).skips.get(name, 0) == 0, "as long as it lives, it is used"
        task = await s.task("Build", pipeline=pipeline())
        go_on = asyncio.Event()
        s.engine.hold = go_on.wait
        s.engine.busy.clear()
        started = await s.integration.execute_task_workflow(task.id)
        with caplog.at_level(logging.WARNING):
            async with asyncio.timeout(60):
                await s.engine.busy.wait()
                kill()
                go_on.set()
                over = await s.integration.wait_for_run(started.id)
            again = await ended(s, task.id)
            others = [
                await ended(s, (await s.task(f"Other {n}", pipeline=pipeline(build(name=str(n))))).id) for n in range(3)
            ]
        assert {run.status for run in (before, over, again, *others)} == {WorkflowStatus.SUCCEEDED}
        assert again.original_run_id == over.id, "the tiers that live have it"
        assert caplog.text.count("cache_tier_failed") == 1, "from then on it is left out"
        figures = await queries(s).figures()
        assert figures.skips[name] > 3, "counted for all processes"
        assert (figures.hits, figures.misses["not_stored"]) == (1, 5)
