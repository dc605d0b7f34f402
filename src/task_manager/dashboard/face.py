"""The dashboard as a face of the server."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from nicegui import ui
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from task_manager.application import Application
from task_manager.dashboard.live import Live
from task_manager.dashboard.log_download import log_download
from task_manager.dashboard.page import Dashboard
from task_manager.dashboard.pages import overview, projects, run, runs, settings, statistics, tasks, templates
from task_manager.dashboard.views.frame import STATIC, STATIC_PATH
from task_manager.dashboard.views.run_log import LOG_PATH
from task_manager.head_requests import answering_heads

_RECONNECT_SECONDS = 10.0


class DashboardFace:
    """All pages; it answers whatever no other face does, so it comes last. There is one in a process.

    Hosts, origins and tokens are checked by the server around it.

    Args:
        application: An open application.
    """

    def __init__(self, application: Application) -> None:
        self._live = Live(application.broadcast)
        self._pages = Starlette()
        dashboard = Dashboard(application, self._live)
        for subject in (overview, projects, run, runs, settings, statistics, tasks, templates):
            subject.add_pages(dashboard)
        dashboard.answer_unknown()
        ui.run_with(
            self._pages,  # type: ignore[arg-type]  # nothing that FastAPI adds is used
            title="Task Manager",
            favicon=STATIC / "favicon.svg",
            dark=None,
            language="en-US",
            reconnect_timeout=_RECONNECT_SECONDS,
            tailwind=False,
            show_welcome_message=False,
        )
        self.routes: list[BaseRoute] = [
            Route(f"{LOG_PATH}/{{run_id}}/{{step}}/{{stream}}", log_download(application.logs)),
            Mount(STATIC_PATH, StaticFiles(directory=STATIC)),
            Mount("/", answering_heads(self._answer)),
        ]

    @contextlib.asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Pages are told what happens meanwhile."""
        async with self._pages.router.lifespan_context(self._pages), self._live.open():
            yield

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._pages(scope, receive, send)
        except RuntimeError as error:
            # NiceGUI's middleware says so of a browser that has gone before its answer; nothing is wrong then.
            if str(error) != "No response returned.":
                raise
