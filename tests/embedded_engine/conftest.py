"""Fixtures: one session that most tests share, and the official SDK's client on it."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import dagger
import pytest
import pytest_asyncio
from dagger.client._session import ConnectParams, SingleConnection
from pytest_asyncio import is_async_test

from tests.embedded_engine.engine import EngineProcess
from tests.embedded_engine.machine import BEYOND, TUNNELS, Listener, Machine
from tests.environment.packages import require

collect_ignore: list[str] = []
if os.geteuid() != 0:
    # The other tests are what that module, as root, starts them once more for.
    collect_ignore.append("test_unprivileged.py")
    if not os.access(TUNNELS, os.R_OK | os.W_OK):
        collect_ignore.append("test_uplinks.py")


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """A running session with a state folder of its own."""
    with EngineProcess(tmp_path_factory.mktemp("engine") / "state") as running:
        yield running


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests of this folder share an event loop, and with it a connection, unless a module has its own."""
    for item in items:
        is_here = Path(__file__).parent in item.path.parents
        if is_here and is_async_test(item) and not any(mark.kwargs for mark in item.iter_markers("asyncio")):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def dag(engine: EngineProcess) -> AsyncIterator[dagger.Client]:
    """The SDK's client, connected to the shared session; one for all tests, since each reads the whole schema."""
    async with connected(engine) as client:
        yield client


@asynccontextmanager
async def connected(session: EngineProcess) -> AsyncIterator[dagger.Client]:
    """Connects the SDK's client to a session."""
    async with SingleConnection(ConnectParams(port=session.port, session_token=session.token)) as connection:
        yield dagger.Client.from_connection(connection)


@pytest.fixture(scope="session")
def busybox(dag: dagger.Client, busybox_image: str) -> dagger.Container:
    """A container made from the busybox image."""
    return dag.container().from_(busybox_image)


def shell(script: str) -> list[str]:
    """Returns the command that runs a script in a container."""
    return ["sh", "-c", script]


@pytest.fixture(scope="session")
def offline_busybox(busybox_layout: Path) -> str:
    """The reference of the busybox image for sessions that reach no registry."""
    return f"oci-layout://{busybox_layout}"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """A machine without a way to any other but its neighbour."""
    require("iproute2")
    with Machine() as made:
        yield made


@pytest.fixture
def outside(machine: Machine) -> Iterator[Listener]:
    """A listener that the machine reaches by its default route."""
    with closing(Listener(machine, BEYOND)) as listener:
        yield listener


@pytest.fixture
def inside(machine: Machine) -> Iterator[Listener]:
    """A listener on the machine's loopback."""
    with closing(Listener(machine, "127.0.0.1")) as listener:
        yield listener
