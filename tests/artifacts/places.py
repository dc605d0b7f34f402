"""Places that artifacts are kept in, with a way to change what lies there behind the store's back."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Protocol
from unittest.mock import patch

import httpx
from moto.server import ThreadedMotoServer

from task_manager.artifacts.objects import Objects

_numbers = count()


class Place(Protocol):
    """Where objects are kept."""

    objects: Objects

    def keys(self) -> list[str]:
        """What is there."""

    def replace(self, key: str, content: bytes) -> None:
        """Put other bytes in an object's place."""

    def content(self, key: str) -> bytes:
        """An object's bytes, as stored."""


class FolderPlace:
    """A local folder."""

    def __init__(self, folder: Path) -> None:
        self.objects = Objects.in_folder(folder)
        self._folder = folder

    def keys(self) -> list[str]:
        return sorted(path.relative_to(self._folder).as_posix() for path in self._folder.rglob("*") if path.is_file())

    def replace(self, key: str, content: bytes) -> None:
        (self._folder / key).write_bytes(content)

    def content(self, key: str) -> bytes:
        return (self._folder / key).read_bytes()


class S3Place:
    """A bucket of an S3 server, under a prefix."""

    def __init__(self, address: str) -> None:
        bucket = f"bucket-{next(_numbers)}"
        httpx.put(f"{address}/{bucket}").raise_for_status()
        with patch.dict(os.environ, s3_environment(address)):
            self.objects = Objects.at(f"s3://{bucket}/some/prefix")

    def keys(self) -> list[str]:
        return sorted(facts.key for facts in self.objects.all())

    def replace(self, key: str, content: bytes) -> None:
        self.objects.write(key, [content])

    def content(self, key: str) -> bytes:
        return b"".join(self.objects.read(key))


def s3_environment(address: str) -> Mapping[str, str]:
    """What gives access to a server on loopback."""
    return {
        "AWS_ENDPOINT_URL": address,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
    }


@contextmanager
def s3_server() -> Iterator[str]:
    """A server on loopback that speaks S3; its address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
