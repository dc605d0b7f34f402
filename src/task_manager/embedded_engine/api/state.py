"""A container's description: its file system and its configuration."""

import posixpath
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.paths import absolute
from task_manager.embedded_engine.errors import ApiError

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ContainerState(model.Described):
    """Everything that a container is; each change makes a new one."""

    root: model.Tree = field(default_factory=model.Scratch)
    platform: str = ""
    environment: Pairs = ()
    working_folder: str = ""
    user: str = ""
    entrypoint: tuple[str, ...] = ()
    default_args: tuple[str, ...] = ()
    labels: Pairs = ()
    annotations: Pairs = ()
    ports: tuple[model.ServicePort, ...] = ()
    mounts: tuple[model.Mount, ...] = ()
    secrets: tuple[tuple[str, model.SecretValue], ...] = ()
    volatile: Pairs = ()
    services: tuple[model.Binding, ...] = ()
    # Whether the default arguments were set by a call, not by the image.
    own_default_args: bool = False
    image: str = ""
    last: model.Execution | None = None
    registry_auth: tuple[tuple[str, str, model.SecretValue], ...] = ()

    def locate(self, path: str) -> tuple[model.Mount | None, model.Tree, str]:
        """Return the mount (None: the root), the tree and the path in it that a container's path stands for.

        Raises:
            ApiError: The path lies in a temporary mount or a cache volume.
        """
        for mount in reversed(self.mounts):
            if path != mount.target and not path.startswith(mount.target.rstrip("/") + "/"):
                continue
            if mount.tree is None:
                kind = {"temporary": "tmpfs", "cache": "cache"}.get(mount.kind, mount.kind)
                raise ApiError(f"{path}: cannot retrieve path from {kind}")
            below = path[len(mount.target.rstrip("/")) :].lstrip("/")
            return mount, mount.tree, posixpath.join(mount.path, below) if below else mount.path
        return None, self.root, path

    def edited(self, mount: model.Mount | None, action: model.Action) -> "ContainerState":
        """Return the container after a change of its root or of what a mount holds."""
        if mount is None:
            return replace(self, root=model.Edited(self.root, action), image="", last=self.last)
        if mount.tree is None:
            raise ApiError(f"{mount.target}: cannot be changed from outside")
        changed = replace(mount, tree=model.Edited(mount.tree, action, self.accounts(getattr(action, "owner", ""))))
        return replace(self, mounts=tuple(changed if item is mount else item for item in self.mounts))

    def mounted(self, mount: model.Mount) -> "ContainerState":
        """Return the container with a mount, in place of those at the same target and below it."""
        below = mount.target.rstrip("/") + "/"
        kept = (item for item in self.mounts if item.target != mount.target and not item.target.startswith(below))
        return replace(self, mounts=(*kept, mount))

    def unmounted(self, target: str) -> "ContainerState":
        """Return the container without what is mounted at a path."""
        return replace(self, mounts=tuple(mount for mount in self.mounts if mount.target != target))

    def without(self, path: str) -> "ContainerState":
        """Return the container without a path; where something is mounted there, that goes, and what is below it.

        Raises:
            ApiError: The path lies in a temporary mount or a cache volume.
        """
        if any(mount.target == path for mount in self.mounts):
            return self.unmounted(path).without(path)
        mount, _, inner = self.locate(path)
        return self.edited(mount, model.Remove((inner,)))

    def accounts(self, owner: str) -> model.Tree | None:
        """Return the tree that knows an owner's names; None where it has none."""
        return self.root if any(part and not part.isdigit() for part in owner.split(":")) else None

    def command(self, arguments: Sequence[str], *, use_entrypoint: bool) -> tuple[str, ...]:
        """Return what runs for some arguments.

        Raises:
            ApiError: There is nothing to run.
        """
        chosen = tuple(arguments) or self.default_args
        if use_entrypoint:
            chosen = (*self.entrypoint, *chosen)
        if not chosen:
            raise ApiError("no command has been set")
        return chosen

    def service_command(self, arguments: Sequence[str], *, use_entrypoint: bool) -> tuple[str, ...]:
        """Return what a service of this container runs: an image's own default command comes with its entrypoint.

        Raises:
            ApiError: There is nothing to run.
        """
        if not (arguments or self.default_args or self.entrypoint):
            raise ApiError("no service command has been set")
        wanted = use_entrypoint or not (arguments or self.own_default_args)
        return self.command(arguments, use_entrypoint=wanted)

    def resolve(self, path: str) -> str:
        """Return a path of the container, absolute."""
        return absolute(path, self.working_folder)


def assigned(pairs: Pairs, name: str, value: str) -> Pairs:
    """Return pairs with a value set, in its old place where it had one."""
    if any(key == name for key, _ in pairs):
        return tuple((key, value if key == name else old) for key, old in pairs)
    return (*pairs, (name, value))


def removed(pairs: Pairs, name: str) -> Pairs:
    """Return pairs without a name."""
    return tuple(pair for pair in pairs if pair[0] != name)
