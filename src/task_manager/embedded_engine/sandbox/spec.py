"""What a sandbox is to contain: plain data that crosses from the session to the launcher."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class OverlaySpec:
    """A tree merged from layer folders, lowest first; writable when it has an upper and a work folder."""

    layers: tuple[str, ...]
    upper: str | None = None
    work: str | None = None


@dataclass(frozen=True)
class MountSpec:
    """Something to attach at `target`. Exactly one source is set; `kind` says which.

    `overlay`: the folder or file `subpath` of a merged tree. `bind`: a path of the host. `tmpfs`: an empty one of
    `size` bytes (None: the kernel's default). `content`: a file of its own in memory with `mode`, `owner` and text (as
    latin-1).
    """

    kind: str
    target: str
    overlay: OverlaySpec | None = None
    subpath: str = "/"
    source: str = ""
    size: int | None = None
    content: str = ""
    mode: int = 0o400
    owner: str = ""
    read_only: bool = False
    is_file: bool = False


@dataclass(frozen=True)
class SandboxSpec:
    """One command and everything around it."""

    root: OverlaySpec
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_folder: str
    user: str
    mounts: tuple[MountSpec, ...]
    # A folder with two empty ones, `root` and `part`: where mounts are attached while the root is built.
    mount_points: str
    hostname: str = "task-manager"
    # `none`: its own loopback alone; `outbound`: also a way out, where the machine has one; `host`: the host's.
    network: str = "none"
    # Where it is in the session's network; empty where it is not in there. The isolated only reach the others.
    address: str = ""
    isolated: bool = True
    redirect_stdin: str = ""
    redirect_stdout: str = ""
    redirect_stderr: str = ""
    init: bool = True
    limits: Mapping[str, int] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """Return the spec as JSON."""
        return json.dumps(self, default=vars).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "SandboxSpec":
        """Return the spec that `to_json` wrote."""
        data = json.loads(text)
        data["root"] = _overlay(data["root"])
        data["mounts"] = tuple(_mount(mount) for mount in data["mounts"])
        data["arguments"] = tuple(data["arguments"])
        data["environment"] = tuple((name, value) for name, value in data["environment"])
        return cls(**data)


def _overlay(data: dict[str, Any]) -> OverlaySpec:
    return OverlaySpec(tuple(data["layers"]), data["upper"], data["work"])


def _mount(data: dict[str, Any]) -> MountSpec:
    overlay = data.pop("overlay")
    return MountSpec(overlay=_overlay(overlay) if overlay else None, **data)
