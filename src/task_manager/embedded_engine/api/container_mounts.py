"""Container: what is mounted in it."""

from dataclasses import replace
from typing import Self

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api import objects
from task_manager.embedded_engine.api.container_base import ContainerBase
from task_manager.embedded_engine.api.directory import Directory
from task_manager.embedded_engine.api.file import File
from task_manager.embedded_engine.api.objects import field
from task_manager.embedded_engine.api.values import CacheVolume, Secret


class ContainerMounts(ContainerBase):
    """Mounted trees, files, cache volumes, memory and secrets."""

    @field
    def with_mounted_directory(
        self, path: str, source: str, owner: str = "", read_only: bool = False, expand: bool = False
    ) -> Self:
        """The container with a directory mounted; what commands write there does not reach the root."""
        other = objects.expect(self.session, source, Directory)
        tree = self._owned(other.tree, other.path, owner)
        target = self._path(path, expand)
        return self._mounted(model.Mount("tree", target, tree, other.path, read_only=bool(read_only)))

    @field
    def with_mounted_file(self, path: str, source: str, owner: str = "", expand: bool = False) -> Self:
        """The container with a file mounted."""
        other = objects.expect(self.session, source, File)
        tree = self._owned(other.tree, other.path, owner)
        return self._mounted(model.Mount("file", self._path(path, expand), tree, other.path))

    @field
    def with_mounted_cache(
        self,
        path: str,
        cache: str,
        *,
        source: str | None = None,
        sharing: str = "SHARED",
        owner: str = "",
        expand: bool = False,
    ) -> Self:
        """The container with a cache volume mounted."""
        volume = objects.expect(self.session, cache, CacheVolume)
        key = volume.key
        if source:
            begun = objects.expect(self.session, source, Directory)
            key = replace(key, source=begun.tree, source_path=begun.path)
        key = replace(key, owner=owner, accounts=self.state.accounts(owner)) if owner else key
        chosen = sharing if sharing and sharing != "SHARED" else volume.sharing
        return self._mounted(model.Mount("cache", self._path(path, expand), cache=key, sharing=chosen))

    @field
    def with_mounted_temp(self, path: str, size: int | None = None, expand: bool = False) -> Self:
        """The container with empty memory mounted, new for each command; the size is in bytes."""
        return self._mounted(model.Mount("temporary", self._path(path, expand), size=size))

    @field
    def with_mounted_secret(
        self, path: str, source: str, owner: str = "", mode: int | None = 0o400, expand: bool = False
    ) -> Self:
        """The container with a secret mounted as a file."""
        secret = objects.expect(self.session, source, Secret).value
        chosen = 0o400 if mode is None else mode
        return self._mounted(
            model.Mount("secret", self._path(path, expand), secret=secret, owner=owner or "", mode=chosen)
        )

    @field
    def without_mount(self, path: str, expand: bool = False) -> Self:
        """The container without what is mounted at a path."""
        return type(self)(self.session, self.state.unmounted(self._path(path, expand)))

    @field
    def mounts(self) -> list[str]:
        """Where something is mounted."""
        return [mount.target for mount in self.state.mounts]

    def _owned(self, tree: model.Tree, path: str, owner: str) -> model.Tree:
        if not owner:
            return tree
        return model.Edited(tree, model.ChangeOwner(path, owner), self.state.accounts(owner))
