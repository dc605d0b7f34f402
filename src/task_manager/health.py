"""Whether the server lives, and whether it can do its work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from task_manager.errors import TaskManagerError
from task_manager.models import WorkerState

if TYPE_CHECKING:
    from task_manager.application import Application

_HEADERS: Final = {"Cache-Control": "no-store"}


class HealthPages:
    """The routes at `/healthz` and `/readyz`.

    Ready is a server whose store answers and has the version that this software knows. How workers and the engine are
    is told beside it: without them runs wait, but everything else is answered.

    Args:
        application: An open application.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self.routes = [Route("/healthz", self._live), Route("/readyz", self._ready)]

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    async def _ready(self, _request: Request) -> Response:
        try:
            document = await self._examined()
        except TaskManagerError:
            # Anybody may ask: what exactly is wrong is for the log of whoever uses the store.
            document = {"store": "unavailable"}
        is_ready = document == {**document, "store": "ok", "migrations": "current"}
        content = {"status": "ready" if is_ready else "not_ready", **document}
        return JSONResponse(content, 200 if is_ready else 503, headers=_HEADERS)

    async def _examined(self) -> dict[str, Any]:
        from task_manager.store import fleet, workers

        is_current = await self._application.store.run(fleet.is_current)
        known = await self._application.store.run(workers.all_)
        engine = (await self._application.workflows()).communication.status()
        return {
            "store": "ok",
            "migrations": "current" if is_current else "other_version",
            "workers": {state.value: sum(one.state is state for one in known) for state in WorkerState},
            "engine": {"session": "open" if engine.alive else "closed", "breaker": engine.breaker.value},
        }
