"""Serving agents over HTTP, as a face of the server."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from mcp.server.transport_security import TransportSecuritySettings
from starlette.applications import Starlette

from task_manager.application import Application
from task_manager.config import McpTools
from task_manager.mcp_server.server import ProductServer, create_server

PATH: Final = "/mcp"


class McpFace:
    """The routes at `/mcp` and what must be open while they answer.

    Hosts, origins and tokens are checked by the server around it.

    Args:
        application: An open application.
        extend: Adds to the server before it answers.
    """

    def __init__(
        self, application: Application, extend: Callable[[ProductServer], None] = lambda _product: None
    ) -> None:
        every_tool = application.settings.mcp_tools is McpTools.ALL
        product = create_server(application, every_tool=every_tool)
        extend(product)
        self._app: Starlette = product.server.streamable_http_app(
            streamable_http_path=PATH,
            json_response=False,
            transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),
        )
        self.routes = self._app.routes

    def lifespan(self) -> AbstractAsyncContextManager[object]:
        """Entered as long as requests are answered."""
        return self._app.router.lifespan_context(self._app)
