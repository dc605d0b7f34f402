"""Immutable descriptions of file system trees and commands, each with a digest.

A description says how something comes to be; nothing runs until an evaluator is asked for it. Equal descriptions have
equal digests, and a digest is the key of the result in the store.
"""

import hashlib
import json
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, ClassVar, cast

from task_manager.embedded_engine.patterns import Filter

# A field that does not change what a description stands for.
_VOLATILE = {"volatile": True}
_ENCODER = json.JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


class Described:
    """Gives a frozen dataclass a digest over its kind and fields."""

    _lasting_fields: ClassVar[tuple[str, ...]]

    @property
    def _lasting(self) -> tuple[str, ...]:
        """The names of the fields that count; the same for every description of a kind."""
        kind = type(self)
        if (known := kind.__dict__.get("_lasting_fields")) is None:
            known = tuple(item.name for item in fields(cast("Any", kind)) if not item.metadata.get("volatile"))
            kind._lasting_fields = known
        return known

    @cached_property
    def digest(self) -> str:
        """The description's identity, 64 hexadecimal digits."""
        content = {name: _plain(getattr(self, name)) for name in self._lasting}
        text = _ENCODER.encode([type(self).__name__, content])
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Described):
        return value.digest
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Filter):
        return [list(value.include), list(value.exclude), value.gitignore]
    return value


class Tree(Described):
    """A file system tree."""


@dataclass(frozen=True)
class Scratch(Tree):
    """The empty tree."""


@dataclass(frozen=True)
class Imported(Tree):
    """A tree that is in the store already, by the digest of its content."""

    key: str


@dataclass(frozen=True)
class ImageLayer(Described):
    """One layer of an image: its blob and the digest of the uncompressed archive."""

    diff_id: str
    blob: str = field(metadata=_VOLATILE)
    media_type: str = field(metadata=_VOLATILE)
    size: int = field(metadata=_VOLATILE)


@dataclass(frozen=True)
class ImageRoot(Tree):
    """An image's root file system; `reference` names where its blobs are fetched from."""

    layers: tuple[ImageLayer, ...]
    reference: str = field(metadata=_VOLATILE)
    auth: object = field(default=None, metadata=_VOLATILE)


@dataclass(frozen=True)
class Toolchain(Tree):
    """The host's program folders over an empty root; `fingerprint` changes when what is bound does."""

    fingerprint: str


@dataclass(frozen=True)
class Edited(Tree):
    """A tree after one change.

    Attributes:
        accounts: The root whose users and groups the action's owner is one of; None: the changed tree's own.
    """

    base: Tree
    action: "Action"
    accounts: Tree | None = None


@dataclass(frozen=True)
class Difference(Tree):
    """What is new or changed in `upper`'s folder against `lower`'s."""

    lower: Tree
    lower_path: str
    upper: Tree
    upper_path: str


@dataclass(frozen=True)
class Output(Tree):
    """A tree that a command leaves: its root (0), or one of its writable mounts (from 1 on)."""

    execution: "Execution"
    index: int


class Action(Described):
    """A change of a tree."""


@dataclass(frozen=True)
class WriteFile(Action):
    """Write a file."""

    path: str
    contents: bytes
    mode: int
    owner: str = ""


@dataclass(frozen=True)
class MakeFolder(Action):
    """Make a folder and those above it."""

    path: str
    mode: int
    owner: str = ""


@dataclass(frozen=True)
class Remove(Action):
    """Remove paths, which may be patterns; links are removed themselves."""

    paths: tuple[str, ...]


@dataclass(frozen=True)
class MakeLink(Action):
    """Make a symbolic link."""

    target: str
    path: str


@dataclass(frozen=True)
class CopyFolder(Action):
    """Copy a folder's content of another tree into a folder."""

    source: Tree
    source_path: str
    path: str
    filter: Filter = field(default_factory=Filter)
    owner: str = ""
    mode: int | None = None


@dataclass(frozen=True)
class CopyFile(Action):
    """Copy a file of another tree over a path."""

    source: Tree
    source_path: str
    path: str
    owner: str = ""
    mode: int | None = None


@dataclass(frozen=True)
class ChangeOwner(Action):
    """Give everything at and below a path an owner."""

    path: str
    owner: str


@dataclass(frozen=True)
class SetTimes(Action):
    """Set the times of everything at and below a path, in seconds since 1970."""

    path: str
    seconds: int


@dataclass(frozen=True)
class ReplaceText(Action):
    """Replace text in a file; `first_from` is the line, from 1, that the search starts at (None: the first line)."""

    path: str
    search: str
    replacement: str
    everywhere: bool
    first_from: int | None


@dataclass(frozen=True)
class SecretValue(Described):
    """A secret: `key` stands for the value in digests, the value itself is in no description."""

    name: str
    key: str
    value: bytes = field(repr=False, metadata=_VOLATILE)


@dataclass(frozen=True)
class CacheVolumeKey(Described):
    """A cache volume's identity and how it begins.

    Attributes:
        accounts: The root whose users and groups the owner is one of; a volume is the same for containers of other
            accounts.
    """

    key: str
    source: Tree | None = None
    source_path: str = "/"
    owner: str = ""
    accounts: Tree | None = field(default=None, metadata=_VOLATILE)


@dataclass(frozen=True)
class Mount(Described):
    """Something mounted in a container. `kind` is tree, file, cache, temporary or secret."""

    kind: str
    target: str
    tree: Tree | None = None
    path: str = "/"
    cache: CacheVolumeKey | None = None
    sharing: str = "SHARED"
    secret: SecretValue | None = None
    owner: str = ""
    mode: int = 0o400
    size: int | None = None
    read_only: bool = False

    @property
    def has_output(self) -> bool:
        """Whether a command leaves a changed tree in it."""
        return self.kind in ("tree", "file") and not self.read_only


@dataclass(frozen=True)
class Execution(Described):
    """A command, everything that it can see, and what is expected of it."""

    root: Tree
    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    working_folder: str
    user: str
    mounts: tuple[Mount, ...]
    secret_environment: tuple[tuple[str, SecretValue], ...]
    stdin: str = ""
    redirect_stdin: str = ""
    redirect_stdout: str = ""
    redirect_stderr: str = ""
    expect: str = "SUCCESS"
    network: bool = True
    init: bool = True
    services: tuple["Binding", ...] = ()
    volatile_names: tuple[str, ...] = ()
    volatile_environment: tuple[tuple[str, str], ...] = field(default=(), metadata=_VOLATILE)
    # The container's, for those who read events; commands do not see them.
    labels: tuple[tuple[str, str], ...] = field(default=(), metadata=_VOLATILE)


@dataclass(frozen=True)
class Squashed(Described):
    """Several layers merged into one, by their names in the store."""

    layers: tuple[str, ...]


@dataclass(frozen=True)
class ServicePort(Described):
    """A port that a service listens on; a `checked` one must accept connections before the service counts as up."""

    number: int
    protocol: str
    description: str | None
    checked: bool


@dataclass(frozen=True)
class ServiceCommand(Described):
    """A command that runs as long as others need it."""

    execution: Execution
    ports: tuple[ServicePort, ...]
    hostname: str = ""


@dataclass(frozen=True)
class Binding(Described):
    """A service under a name that a command knows it by."""

    alias: str
    service: ServiceCommand
