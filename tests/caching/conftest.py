"""PostgreSQL and Redis beside memory and disk."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment.redis import RedisServer, running_redis
from tests.store.conftest import postgresql

__all__ = ["postgresql", "redis"]


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of the test's own, which may be killed."""
    folder: Path = tmp_path_factory.mktemp("redis")
    with running_redis(folder) as server:
        yield server
