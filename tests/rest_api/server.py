"""The API on a real server of this process, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from task_manager.application import Application
from task_manager.rest_api.api import LONGEST_STREAM, PREFIX, create_app
from task_manager.rest_api.face import mounted


@dataclass(frozen=True)
class RunningApi:
    """An API that answers at `url`, such as `http://127.0.0.1:4711/api/v1`."""

    url: str
    application: Application
    loop: asyncio.AbstractEventLoop


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, application: Application | None) -> None:
        super().__init__(config)
        self.application = application
        self.ready = threading.Event()
        self.loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.loop = asyncio.get_running_loop()
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.application is not None:
            await self.application.broadcast.close()
        await super().shutdown(sockets)


@contextlib.contextmanager
def serving(make: Callable[[], Application], *, longest_stream: float = LONGEST_STREAM) -> Iterator[RunningApi]:
    """Serve an application's API on a free port of the loopback device."""
    application = make()

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with application:
            yield

    app = Starlette(routes=[mounted(create_app(application, longest_stream=longest_stream))], lifespan=lifespan)
    with _running(app, application) as (address, loop):
        yield RunningApi(f"{address}{PREFIX}", application, loop)


@contextlib.contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Serve any application; yields its address."""
    with _running(app, None) as (address, _):
        yield address


@contextlib.contextmanager
def _running(app: ASGIApp, application: Application | None) -> Iterator[tuple[str, asyncio.AbstractEventLoop]]:
    # Its protocol is stated: asyncio sets TCP_NODELAY only on sockets that say so, and answers wait without it.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(2048)
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)
        server = _Server(config, application)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="api")
        thread.start()
        try:
            assert server.ready.wait(60), "the server did not start"
            assert server.loop is not None
            yield f"http://127.0.0.1:{listening.getsockname()[1]}", server.loop
        finally:
            server.should_exit = True
            thread.join(60)
            assert not thread.is_alive(), "the server did not end"
