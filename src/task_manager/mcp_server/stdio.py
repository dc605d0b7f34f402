"""Serving one agent on standard input and output."""

from __future__ import annotations

import asyncio
import os

from task_manager.config import McpTools, Settings
from task_manager.mcp_server.server import create_server

_TERMINATED = 143  # as a shell tells of a process that SIGTERM ended


async def serve_stdio(settings: Settings) -> None:
    """Serve until the input ends.

    Args:
        settings: All settings; the store is opened with the first call that needs it.
    """
    product = create_server(settings=settings, every_tool=settings.mcp_tools is McpTools.ALL)
    serving = asyncio.create_task(product.server.run_stdio_async())
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        await product.integration.shutdown()
        # The thread that reads standard input cannot be interrupted: leaving in order would wait for its next line.
        os._exit(_TERMINATED)
