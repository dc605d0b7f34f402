"""PostgreSQL, Redis and S3 beside memory and disk."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.artifacts.conftest import s3_address
from tests.artifacts.places import s3_environment
from tests.environment.redis import RedisServer, running_redis
from tests.store.conftest import postgresql

__all__ = ["postgresql", "redis", "s3_address"]


@pytest.fixture
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server of the test's own, which may be killed."""
    folder: Path = tmp_path_factory.mktemp("redis")
    with running_redis(folder) as server:
        yield server


@pytest.fixture
def s3_bucket(s3_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an empty bucket; the environment gives access to it."""
    for name, value in {**s3_environment(s3_address), "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    bucket = f"cache-{uuid.uuid4().hex}"
    httpx.put(f"{s3_address}/{bucket}").raise_for_status()
    return f"s3://{bucket}"
