"""Where an image's manifest and blobs come from."""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

MANIFEST_TYPES = (
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True)
class Credentials:
    """A user name and password of a registry."""

    username: str
    password: str


@dataclass(frozen=True)
class RegistrySettings:
    """How registries are reached: mirrors by registry host, hosts that speak plain http, time-outs in seconds."""

    mirrors: Mapping[str, Sequence[str]]
    insecure: frozenset[str]
    connect_timeout: float
    pull_timeout: float


@dataclass(frozen=True)
class Manifest:
    """A manifest or index as it came: bytes, digest and media type."""

    data: bytes
    digest: str
    media_type: str

    @property
    def is_index(self) -> bool:
        """Whether it lists manifests rather than layers."""
        return self.media_type in INDEX_TYPES

    def parsed(self) -> dict[str, Any]:
        """Return its JSON object.

        Raises:
            ValueError: It is none.
        """
        content = json.loads(self.data)
        if not isinstance(content, dict):
            raise ValueError("not a JSON object")  # noqa: TRY004 - a bad value of a document
        return content


@dataclass(frozen=True)
class ImageConfig:
    """What an image says about containers made from it."""

    environment: tuple[tuple[str, str], ...] = ()
    entrypoint: tuple[str, ...] = ()
    default_args: tuple[str, ...] = ()
    working_folder: str = ""
    user: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    ports: tuple[tuple[int, str], ...] = ()
    platform: str = ""
    diff_ids: tuple[str, ...] = field(default=())


class ImageSource(Protocol):
    """One image's place: a repository of a registry, or a layout."""

    async def manifest(self, target: str) -> Manifest:
        """Return the manifest or index that a tag or digest names, its digest verified."""

    def blob(self, digest: str) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Give a blob's bytes in pieces, not verified."""


def sha256(data: bytes) -> str:
    """Return the digest of bytes as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def parse_config(content: dict[str, Any]) -> ImageConfig:
    """Return an image's configuration; specification: OCI image-spec, config.md.

    Raises:
        ValueError, TypeError, AttributeError: It has not that form.
    """
    config = content.get("config") or {}
    return ImageConfig(
        environment=tuple(_pair(item) for item in config.get("Env") or ()),
        entrypoint=tuple(config.get("Entrypoint") or ()),
        default_args=tuple(config.get("Cmd") or ()),
        working_folder=config.get("WorkingDir") or "",
        user=config.get("User") or "",
        labels=tuple((config.get("Labels") or {}).items()),
        ports=tuple(_port(item) for item in config.get("ExposedPorts") or {}),
        platform=f"{content.get('os', 'linux')}/{content.get('architecture', '')}",
        diff_ids=tuple(content["rootfs"]["diff_ids"]),
    )


def _pair(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return name, value


def _port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    return int(number), (protocol or "tcp").upper()
