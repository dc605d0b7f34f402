"""DBOS keeps attempts until they were carried out, and is rid of them some time after."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from task_manager.models import utc_now
from task_manager.orchestration import Attempt
from task_manager.orchestration.durable import DurableOrchestrator, sqlite_url


async def test_attempts_that_ended_are_forgotten_and_those_under_way_are_not(tmp_path: Path) -> None:
    orchestrator = DurableOrchestrator(sqlite_url(tmp_path), worker_id="w", places=4, shared=False)
    over, under_way = Attempt("over", 1), Attempt("under-way", 1)
    carried_out: list[Attempt] = []
    go_on = asyncio.Event()

    async def carry_out(attempt: Attempt) -> None:
        carried_out.append(attempt)
        if attempt == under_way:
            await go_on.wait()

    await orchestrator.start(carry_out)
    try:
        for attempt in (over, under_way, over):
            await orchestrator.hand_over(attempt)
        async with asyncio.timeout(60):
            while list(await orchestrator.unknown([over, under_way])) != [over]:
                await orchestrator.hand_over(over)
        assert set(carried_out) == {over, under_way}
        await orchestrator.hand_over(over)
        assert await orchestrator.forget_ended(utc_now() - timedelta(hours=1)) == 0
        async with asyncio.timeout(60):
            while await orchestrator.forget_ended(utc_now() + timedelta(minutes=1)) == 0:
                pass
        assert list(await orchestrator.unknown([over, under_way])) == [over]
    finally:
        go_on.set()
        await orchestrator.stop()
