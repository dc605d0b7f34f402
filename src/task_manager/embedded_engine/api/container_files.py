"""Container: its file system, seen and changed from outside."""

import posixpath
from collections.abc import Sequence
from typing import Self

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api import objects
from task_manager.embedded_engine.api.container_base import ContainerBase
from task_manager.embedded_engine.api.directory import Directory
from task_manager.embedded_engine.api.file import File
from task_manager.embedded_engine.api.objects import field
from task_manager.embedded_engine.api.reading import Stat, path_exists, read_tree, status_reader, target_path
from task_manager.embedded_engine.patterns import Filter


class ContainerFiles(ContainerBase):
    """Files and folders of the root and of mounted trees."""

    @field
    def rootfs(self) -> Directory:
        """The root as a directory, mounts left out."""
        return Directory(self.session, self.state.root)

    @field
    def directory(self, path: str, expand: bool = False) -> Directory:
        """A folder of the root or of a mounted directory."""
        given = self._expanded(path, expand)
        _, tree, inner = self.state.locate(self.state.resolve(given))
        return Directory(self.session, tree, inner, given)

    @field
    def file(self, path: str, expand: bool = False) -> File:
        """A file of the root or of a mounted directory."""
        given = self._expanded(path, expand)
        _, tree, inner = self.state.locate(self.state.resolve(given))
        return File(self.session, tree, inner, given)

    @field
    async def exists(
        self, path: str, expected_type: str | None = None, do_not_follow_symlinks: bool = False, expand: bool = False
    ) -> bool:
        """Whether something is at a path, of a kind if one is expected."""
        _, tree, inner = self.state.locate(self._path(path, expand))
        return await path_exists(self.session, tree, inner, expected_type, follow=not do_not_follow_symlinks)

    @field
    async def stat(self, path: str, do_not_follow_symlinks: bool = False) -> Stat:
        """The status of what is at a path."""
        _, tree, inner = self.state.locate(self.state.resolve(path))
        status = await read_tree(self.session, tree, status_reader(inner, path, follow=not do_not_follow_symlinks))
        return Stat(self.session, posixpath.basename(path.rstrip("/")), status)

    @field
    def with_new_file(
        self, path: str, contents: str, permissions: int | None = 0o644, owner: str = "", expand: bool = False
    ) -> Self:
        """The container with a file written."""
        mount, _, inner = self.state.locate(self._path(path, expand))
        data = contents.encode("utf-8", "surrogatepass")
        return self._edited(mount, model.WriteFile(inner, data, permissions or 0, owner or ""))

    @field
    def with_directory(
        self,
        path: str,
        source: str,
        *,
        exclude: Sequence[str] | None = None,
        include: Sequence[str] | None = None,
        gitignore: bool = False,
        owner: str = "",
        expand: bool = False,
        permissions: int | None = None,
    ) -> Self:
        """The container with a directory's content copied into a folder."""
        other = objects.expect(self.session, source, Directory)
        mount, _, inner = self.state.locate(self._path(path, expand))
        filtered = Filter.of(include, exclude, gitignore=bool(gitignore))
        return self._edited(mount, model.CopyFolder(other.tree, other.path, inner, filtered, owner or "", permissions))

    @field
    def with_file(
        self, path: str, source: str, permissions: int | None = None, owner: str = "", expand: bool = False
    ) -> Self:
        """The container with a file copied to a path."""
        other = objects.expect(self.session, source, File)
        given = self._expanded(path, expand)
        mount, _, inner = self.state.locate(self.state.resolve(given))
        return self._edited(mount, other.copied_to(target_path(inner, given), permissions, owner))

    @field
    def with_files(
        self, path: str, sources: Sequence[str], permissions: int | None = None, owner: str = "", expand: bool = False
    ) -> Self:
        """The container with files copied into a folder."""
        container = self
        for source in sources:
            container = container.with_file(path.rstrip("/") + "/", source, permissions, owner, expand)
        return container

    @field
    def with_symlink(self, target: str, link_name: str, expand: bool = False) -> Self:
        """The container with a symbolic link made."""
        mount, _, inner = self.state.locate(self._path(link_name, expand))
        return self._edited(mount, model.MakeLink(self._expanded(target, expand), inner))

    @field
    def without_directory(self, path: str, expand: bool = False) -> Self:
        """The container without a folder."""
        return self.without_files([path], expand)

    @field
    def without_file(self, path: str, expand: bool = False) -> Self:
        """The container without a file."""
        return self.without_files([path], expand)

    @field
    def without_files(self, paths: Sequence[str], expand: bool = False) -> Self:
        """The container without some files."""
        state = self.state
        for path in paths:
            state = state.without(self._path(path, expand))
        return type(self)(self.session, state)
