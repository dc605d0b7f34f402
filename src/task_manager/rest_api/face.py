"""The REST API as a face of the server."""

from __future__ import annotations

import re
from contextlib import AbstractAsyncContextManager, nullcontext

from starlette.routing import Mount
from starlette.types import ASGIApp

from task_manager.application import Application
from task_manager.head_requests import answering_heads
from task_manager.rest_api.api import PREFIX, create_app


class RestFace:
    """The routes below `/api/v1`.

    Hosts, origins and tokens are checked by the server around it.

    Args:
        application: An open application.
    """

    def __init__(self, application: Application) -> None:
        self.routes = [mounted(create_app(application))]

    def lifespan(self) -> AbstractAsyncContextManager[object]:
        """Nothing has to be open while they answer; the server ends its streams."""
        return nullcontext()


def mounted(api: ASGIApp) -> Mount:
    """The API at its place, where it answers for all paths: by themselves, mounts leave those with line ends out."""
    mount = Mount(PREFIX, answering_heads(api))
    mount.path_regex = re.compile(mount.path_regex.pattern, re.DOTALL)
    return mount
