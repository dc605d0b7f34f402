"""The reference of what Prometheus is told, from an answer of a server with an empty store."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from task_manager.application import Application
from task_manager.config import Settings
from task_manager.metrics import PATH, Metrics
from tests.documentation.generated.markdown import WRITTEN, table
from tests.documentation.generated.markdown import page as page_of


def page() -> str:
    """The page, in Markdown."""
    families = sorted(text_string_to_metric_families(asyncio.run(_answer())), key=lambda one: one.name)
    rows = [(f"`{one.name}`", one.type, one.documentation) for one in families if one.name.startswith("task_manager_")]
    return page_of(
        "Metrics",
        WRITTEN,
        f"`task-manager server` answers Prometheus at `{PATH}`, with these and with those of its process. "
        "Figures of runs, workers, hooks, schedules and the cache are read from the store: every server over the same "
        "store tells the same. No label has a value that users choose.",
        lines=table(("Metric", "Type", "Meaning"), rows),
    )


async def _answer() -> str:
    with tempfile.TemporaryDirectory() as folder:
        async with Application(Settings(data_dir=Path(folder))) as application:
            metrics = Metrics(application)
            app = metrics.measured(Starlette(routes=metrics.routes))
            async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
                return (await client.get(PATH)).text
