"""How many steps run at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task_manager.running.step_places import StepPlaces


async def _most_at_once(places: StepPlaces, steps: Sequence[bool]) -> list[int]:
    """For each step, whether it wants to be alone given, how many ran while it did."""
    running = 0
    seen = [0] * len(steps)

    async def run(number: int, alone: bool) -> None:
        nonlocal running
        async with places.taken(alone=alone):
            running += 1
            for _ in range(3):
                seen[number] = max(seen[number], running)
                await asyncio.sleep(0)
            running -= 1

    async with asyncio.timeout(60):
        await asyncio.gather(*(run(number, alone) for number, alone in enumerate(steps)))
    return seen


@given(st.integers(1, 4), st.lists(st.booleans(), max_size=8))
def test_no_more_steps_than_places_run_and_beside_one_that_is_alone_none(count: int, steps: list[bool]) -> None:
    async def check() -> None:
        seen = await _most_at_once(StepPlaces(count), steps)
        assert all(most <= (1 if alone else count) for most, alone in zip(seen, steps, strict=True))

    asyncio.run(check())


async def test_one_that_stops_waiting_leaves_its_places() -> None:
    places = StepPlaces(2)
    async with places.taken():
        waiting = asyncio.create_task(places.taken(alone=True).__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with asyncio.timeout(60), places.taken(alone=True):
        pass
