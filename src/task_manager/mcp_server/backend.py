"""What tools and resources work with: the application, opened when it is first needed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from task_manager.application import Application

if TYPE_CHECKING:
    from task_manager.config import Settings


class Backend:
    """Opens an application with the first call that needs it, so that a server answers its first request at once.

    Args:
        application: One that is open already, and is closed by whoever opened it; none: one of its own.
        settings: Makes the settings of its own application.
    """

    def __init__(self, application: Application | None, settings: Callable[[], Settings]) -> None:
        self._given = application
        self._settings = settings
        self._own: Application | None = None
        self._opening = asyncio.Lock()

    async def application(self) -> Application:
        """The open application.

        Raises:
            InvalidConfiguration: A setting cannot be used.
            StoreError: The store cannot be opened.
        """
        if self._given is not None:
            return self._given
        async with self._opening:
            if self._own is None:
                application = Application(await asyncio.to_thread(self._settings))
                self._own = await application.__aenter__()
        return self._own

    async def close(self) -> None:
        """Close the application of its own; runs go on in their worker. A second call does nothing."""
        own, self._own = self._own, None
        if own is not None:
            await own.__aexit__(None, None, None)
