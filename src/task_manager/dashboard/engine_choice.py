"""Which engine executes runs, in words."""

from __future__ import annotations

from task_manager.communication.sessions import choose_engine
from task_manager.config import Settings
from task_manager.errors import TaskManagerError


async def describe_engine_choice(settings: Settings) -> str:
    """Which engine executes, and why; asking for Docker takes a while."""
    try:
        choice = await choose_engine(settings)
    except TaskManagerError as error:
        return f"No engine: {error.message}"
    return f"{choice.kind.value.capitalize()} engine: {choice.reason}"
