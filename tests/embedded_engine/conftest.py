"""Fixtures: one session that most tests share, and the official SDK's client on it."""

import os
from collections.abc import AsyncIterator, Iterator

import dagger
import pytest
from dagger.client._session import ConnectParams, SingleConnection

from tests.embedded_engine.engine import EngineProcess

# For an ordinary user the other tests are what that module, as root, starts them once more for.
collect_ignore = [] if os.geteuid() == 0 else ["test_unprivileged.py"]


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    """A running session with a state folder of its own."""
    with EngineProcess(tmp_path_factory.mktemp("engine") / "state") as running:
        yield running


@pytest.fixture
async def dag(engine: EngineProcess) -> AsyncIterator[dagger.Client]:
    """The SDK's client, connected to the shared session."""
    async with SingleConnection(ConnectParams(port=engine.port, session_token=engine.token)) as connection:
        yield dagger.Client.from_connection(connection)


@pytest.fixture
def busybox(dag: dagger.Client, busybox_image: str) -> dagger.Container:
    """A container made from the busybox image."""
    return dag.container().from_(busybox_image)


def shell(script: str) -> list[str]:
    """Returns the command that runs a script in a container."""
    return ["sh", "-c", script]
