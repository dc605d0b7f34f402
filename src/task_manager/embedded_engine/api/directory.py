"""Directory: a folder of a tree, as if it were a root."""

import posixpath
import stat
from collections.abc import Callable, Sequence
from typing import TypeVar

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.file import File
from task_manager.embedded_engine.api.objects import ApiObject, expect, field
from task_manager.embedded_engine.api.paths import inside
from task_manager.embedded_engine.api.reading import (
    Stat,
    missing,
    path_exists,
    read_tree,
    status_reader,
    target_path,
)
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.export import export_folder
from task_manager.embedded_engine.patterns import Filter, PatternError, compiled
from task_manager.embedded_engine.session import Session
from task_manager.embedded_engine.store.copying import CopyOptions, digest_folder
from task_manager.embedded_engine.store.trees import TreeRoot

Result = TypeVar("Result")


class Directory(ApiObject):
    """A folder of a tree, as if it were a root."""

    type_name = "Directory"

    def __init__(self, session: Session, tree: model.Tree, path: str = "/", shown: str = "") -> None:
        super().__init__(session)
        self.tree = tree
        self.path = path
        # How errors speak of the folder itself: by the path that it was asked for with.
        self._shown = shown or path

    def identity(self) -> str:
        """Return the tree's digest and the folder in it."""
        return f"{self.tree.digest}:{self.path}"

    @field
    async def sync(self) -> str:
        """Make the directory now and return its id."""
        await self._read(self._check)
        return self.id()

    @field
    async def name(self) -> str:
        """The folder's name, with a slash at its end."""
        await self._read(self._check)
        return posixpath.basename(self.path.rstrip("/")) + "/"

    @field
    async def digest(self) -> str:
        """A digest of names, kinds, modes and contents."""

        def read(root: TreeRoot) -> str:
            self._check(root)
            return "sha256:" + digest_folder(root, self.path, CopyOptions())

        return await self._read(read)

    @field
    async def entries(self, path: str | None = None) -> list[str]:
        """The names in the folder, or in one below it; folders end in a slash."""
        target = self._inside(path or ".")

        def read(root: TreeRoot) -> list[str]:
            self._check(root)
            _check_folder(root, target, path or self._shown)
            return [_marked(root, target, name) for name in root.names(target)]

        return await self._read(read)

    @field
    async def glob(self, pattern: str) -> list[str]:
        """The paths below that a pattern matches; folders end in a slash."""
        try:
            expression = compiled(pattern)
        except PatternError as error:
            raise ApiError(f"failed to create glob pattern matcher: {error}") from error

        def read(root: TreeRoot) -> list[str]:
            self._check(root)
            found = (entry for entry in root.walk(self.path) if expression.match(entry.path))
            return [entry.path + ("/" if entry.is_folder else "") for entry in found]

        return await self._read(read)

    @field
    async def exists(self, path: str, expected_type: str | None = None, do_not_follow_symlinks: bool = False) -> bool:
        """Whether something is at a path, of a kind if one is expected."""
        return await path_exists(
            self.session, self.tree, self._inside(path), expected_type, follow=not do_not_follow_symlinks
        )

    @field
    async def stat(self, path: str, do_not_follow_symlinks: bool = False) -> Stat:
        """The status of what is at a path."""
        if not path:
            raise ApiError("stat : no such file or directory")
        read = status_reader(self._inside(path), path, follow=not do_not_follow_symlinks)
        return Stat(self.session, posixpath.basename(path.rstrip("/")), await self._read(read))

    @field
    async def find_up(self, name: str, start: str) -> str | None:
        """The path of the nearest file or folder of a name, from a folder upwards; null where there is none."""

        def read(root: TreeRoot) -> str | None:
            folder = posixpath.normpath(start.lstrip("/") or ".")
            while True:
                if root.exists(self._inside(posixpath.join(folder, name))):
                    return posixpath.normpath(posixpath.join(folder, name))
                if folder in (".", ""):
                    return None
                folder = posixpath.dirname(folder) or "."

        return await self._read(read)

    @field
    def directory(self, path: str) -> "Directory":
        """A folder below."""
        return Directory(self.session, self.tree, self._inside(path), path)

    @field
    def file(self, path: str) -> "File":
        """A file below."""
        return File(self.session, self.tree, self._inside(path), path)

    @field
    def with_new_file(self, path: str, contents: str, permissions: int | None = 0o644) -> "Directory":
        """The directory with a file written."""
        target = self._inside(path)
        return self._edited(model.WriteFile(target, contents.encode("utf-8", "surrogatepass"), permissions or 0))

    @field
    def with_new_directory(self, path: str, permissions: int | None = 0o644) -> "Directory":
        """The directory with a folder made."""
        # The API states 0644 as the default, which no folder is usable with; engines take it for the usual mode.
        mode = 0 if permissions in (None, 0o644) else permissions
        if posixpath.normpath(path).startswith("../"):
            raise ApiError(f"cannot create directory outside parent: {posixpath.normpath(path)}")
        return self._edited(model.MakeFolder(self._inside(path), mode or 0))

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
        permissions: int | None = None,
    ) -> "Directory":
        """The directory with another's content copied into a folder."""
        other = expect(self.session, source, Directory)
        filtered = Filter.of(include, exclude, gitignore=bool(gitignore))
        return self._edited(
            model.CopyFolder(other.tree, other.path, self._inside(path), filtered, owner or "", permissions)
        )

    @field
    def with_file(self, path: str, source: str, permissions: int | None = None, owner: str = "") -> "Directory":
        """The directory with a file copied to a path."""
        other = expect(self.session, source, File)
        return self._edited(other.copied_to(target_path(self._inside(path), path), permissions, owner))

    @field
    def with_files(self, path: str, sources: Sequence[str], permissions: int | None = None) -> "Directory":
        """The directory with files copied into a folder."""
        directory = self
        for source in sources:
            directory = directory.with_file(posixpath.join(path, "") or "/", source, permissions)
        return directory

    @field
    def with_symlink(self, target: str, link_name: str) -> "Directory":
        """The directory with a symbolic link made."""
        return self._edited(model.MakeLink(target, self._inside(link_name)))

    @field
    def with_timestamps(self, timestamp: int) -> "Directory":
        """The directory with all times set, in seconds since 1970."""
        return self._edited(model.SetTimes(self.path, timestamp))

    @field
    def chown(self, path: str, owner: str) -> "Directory":
        """The directory with another owner, a user or user:group, for a path and all below it."""
        return self._edited(model.ChangeOwner(self._inside(path), owner))

    @field
    def without_directory(self, path: str) -> "Directory":
        """The directory without a folder."""
        return self.without_files([path])

    @field
    def without_file(self, path: str) -> "Directory":
        """The directory without a file."""
        return self.without_files([path])

    @field
    def without_files(self, paths: Sequence[str]) -> "Directory":
        """The directory without some files."""
        return self._edited(model.Remove(tuple(self._inside(path) for path in paths)))

    @field
    def with_error(self, err: str) -> "Directory":
        """An error with this message, unless it is empty."""
        if err:
            raise ApiError(err)
        return self

    @field
    def filter(
        self, exclude: Sequence[str] | None = None, include: Sequence[str] | None = None, gitignore: bool = False
    ) -> "Directory":
        """The directory's content that patterns take."""
        return Directory(self.session, model.Scratch()).with_directory(
            "/", self.id(), exclude=exclude, include=include, gitignore=gitignore
        )

    @field
    def diff(self, other: str) -> "Directory":
        """What the other directory has that this one has not, or has otherwise."""
        upper = expect(self.session, other, Directory)
        return Directory(self.session, model.Difference(self.tree, self.path, upper.tree, upper.path))

    @field
    async def export(self, path: str, wipe: bool = False) -> str:
        """Write the content into a folder of the host and return the folder's path."""
        target = self.session.host_path(path)

        def read(root: TreeRoot) -> None:
            self._check(root)
            export_folder(root, self.path, target, wipe=wipe)

        await self._read(read)
        return str(target)

    def _inside(self, path: str) -> str:
        return inside(self.path, path)

    def _edited(self, action: model.Action) -> "Directory":
        return Directory(self.session, model.Edited(self.tree, action), self.path, self._shown)

    def _check(self, root: TreeRoot) -> None:
        _check_folder(root, self.path, self._shown)

    async def _read(self, read: Callable[[TreeRoot], Result]) -> Result:
        return await read_tree(self.session, self.tree, read)


def _check_folder(root: TreeRoot, path: str, shown: str) -> None:
    try:
        status = root.status(path)
    except OSError as error:
        raise missing(shown, error) from error
    if not stat.S_ISDIR(status.st_mode):
        raise ApiError(f"path {shown} is a file, not a directory")


def _marked(root: TreeRoot, folder: str, name: str) -> str:
    status = root.status(f"{folder}/{name}", follow=False)
    return name + "/" if stat.S_ISDIR(status.st_mode) else name
