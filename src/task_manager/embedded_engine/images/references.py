"""Image references: names as `docker pull` takes them, and layouts on disk."""

import ipaddress
import re
from dataclasses import dataclass

from task_manager.embedded_engine.errors import ApiError

DOCKER_HUB = "docker.io"
_DOCKER_HUB_HOST = "registry-1.docker.io"
LAYOUT_SCHEME = "oci-layout://"
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class Reference:
    """An image in a registry: `registry/repository:tag@digest`; tag or digest may be empty, not both."""

    registry: str
    repository: str
    tag: str
    digest: str

    def __str__(self) -> str:
        """Return the whole reference."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.registry}/{self.repository}{tag}{digest}"

    @property
    def host(self) -> str:
        """The host, with port if it has one, that answers for the registry."""
        return _DOCKER_HUB_HOST if self.registry == DOCKER_HUB else self.registry

    @property
    def target(self) -> str:
        """What a manifest is asked for by: the digest, or the tag where there is none."""
        return self.digest or self.tag

    def pinned(self, digest: str) -> str:
        """Return the reference with the digest that it stands for."""
        return str(Reference(self.registry, self.repository, self.tag, digest))


def parse_reference(text: str) -> Reference:
    """Return the reference that a name stands for: `busybox` is docker.io/library/busybox:latest.

    Raises:
        ApiError: It is not an image reference.
    """
    name, _, digest = text.strip().partition("@")
    head, slash, rest = name.partition("/")
    if slash and (head == "localhost" or "." in head or ":" in head):
        registry, path = head, rest
    else:
        registry, path = DOCKER_HUB, name
    path, _, tag = path.partition(":")
    registry = DOCKER_HUB if registry in ("index.docker.io", _DOCKER_HUB_HOST) else registry
    if registry == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    if not _NAME.match(path) or (tag and not _TAG.match(tag)) or (digest and not _DIGEST.match(digest)):
        raise ApiError(f"failed to parse image address {text}: invalid reference format")
    return Reference(registry, path, tag or ("" if digest else "latest"), digest)


def is_loopback(host: str) -> bool:
    """Return whether a host, with or without port, is this machine by a loopback name or address."""
    name = host.rsplit(":", 1)[0] if not host.endswith("]") else host
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class LayoutReference:
    """An image in an OCI layout on disk, `oci-layout:///absolute/folder[:tag]`; without a tag, the only image there."""

    folder: str
    tag: str


def parse_layout_reference(text: str) -> LayoutReference:
    """Return the folder and tag that an `oci-layout://` reference names.

    Raises:
        ApiError: The folder is not absolute.
    """
    path = text.removeprefix(LAYOUT_SCHEME)
    folder, _, tag = path.partition(":")
    if not folder.startswith("/"):
        raise ApiError(
            f"failed to parse image address {text}: a layout's folder must be absolute, {LAYOUT_SCHEME}/folder[:tag]"
        )
    return LayoutReference(folder, tag)
