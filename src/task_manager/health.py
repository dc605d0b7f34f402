"""Whether the server lives, and whether it can do its work."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


def health_routes() -> list[Route]:
    """The route at `/healthz`."""
    return [Route("/healthz", _live)]


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})
