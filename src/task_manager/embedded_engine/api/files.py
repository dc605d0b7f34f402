"""Directory, File and Stat."""

import hashlib
import os
import posixpath
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.objects import ApiObject, expect, field
from task_manager.embedded_engine.api.paths import inside
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.export import export_file, export_folder
from task_manager.embedded_engine.patterns import Filter, PatternError, compiled
from task_manager.embedded_engine.session import Session
from task_manager.embedded_engine.store.copying import CopyOptions, digest_folder
from task_manager.embedded_engine.store.trees import TreeRoot

Result = TypeVar("Result")
_LARGEST_CONTENTS = 128 << 20
_FILE_TYPES = {stat.S_IFDIR: "DIRECTORY", stat.S_IFREG: "REGULAR", stat.S_IFLNK: "SYMLINK"}
_EXISTS_TYPES = {"DIRECTORY_TYPE": "DIRECTORY", "REGULAR_TYPE": "REGULAR", "SYMLINK_TYPE": "SYMLINK"}


async def read_tree(session: Session, tree: model.Tree, read: Callable[[TreeRoot], Result]) -> Result:
    """Return what `read` makes of a tree.

    Raises:
        ApiError: The tree cannot be made, or reading it failed.
    """
    snapshot = await session.evaluator.tree(tree)
    with session.evaluator.view(snapshot) as root:
        return await session.threads.run(read, root)


def missing(path: str, error: OSError) -> ApiError:
    """Return the error for a path that cannot be read, in a system call's words."""
    reason = (error.strerror or str(error)).lower()
    return ApiError(f"stat {path}: {reason}")


class Stat(ApiObject):
    """A file's or folder's status."""

    type_name = "Stat"

    def __init__(self, session: Session, name: str, status: os.stat_result) -> None:
        super().__init__(session)
        self._name = name
        self._status = status

    def identity(self) -> str:
        return f"{self._name}:{self.file_type()}:{self.permissions()}:{self.size()}"

    @field
    def name(self) -> str:
        return self._name

    @field
    def size(self) -> int:
        return int(self._status.st_size)

    @field
    def permissions(self) -> int:
        return stat.S_IMODE(self._status.st_mode) & 0o777

    @field
    def file_type(self) -> str:
        return kind_of(self._status.st_mode)


def kind_of(mode: int) -> str:
    """Return a mode's kind in the API's words."""
    return _FILE_TYPES.get(stat.S_IFMT(mode), "UNKNOWN")


def status_reader(path: str, shown: str, *, follow: bool) -> Callable[[TreeRoot], os.stat_result]:
    """Return a function that reads the status of a path and speaks of it as `shown`."""

    def read(root: TreeRoot) -> os.stat_result:
        try:
            return root.status(path, follow=follow)
        except OSError as error:
            raise missing(shown, error) from error

    return read


async def path_exists(session: Session, tree: model.Tree, path: str, expected: str | None, *, follow: bool) -> bool:
    """Return whether a tree has something, of a kind if one is expected, at a path."""

    def read(root: TreeRoot) -> bool:
        try:
            status = root.status(path, follow=follow and expected != "SYMLINK_TYPE")
        except OSError:
            return False
        return expected is None or kind_of(status.st_mode) == _EXISTS_TYPES[expected]

    return await read_tree(session, tree, read)


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
        return f"{self.tree.digest}:{self.path}"

    @field
    async def sync(self) -> str:
        await self._read(self._check)
        return self.id()

    @field
    def name(self) -> str:
        return posixpath.basename(self.path.rstrip("/")) + "/"

    @field
    async def digest(self) -> str:
        def read(root: TreeRoot) -> str:
            self._check(root)
            return "sha256:" + digest_folder(root, self.path, CopyOptions())

        return await self._read(read)

    @field
    async def entries(self, path: str | None = None) -> list[str]:
        target = self._inside(path or ".")

        def read(root: TreeRoot) -> list[str]:
            self._check(root)
            _check_folder(root, target, path or self._shown)
            return [_marked(root, target, name) for name in root.names(target)]

        return await self._read(read)

    @field
    async def glob(self, pattern: str) -> list[str]:
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
        return await path_exists(
            self.session, self.tree, self._inside(path), expected_type, follow=not do_not_follow_symlinks
        )

    @field
    async def stat(self, path: str, do_not_follow_symlinks: bool = False) -> Stat:
        read = status_reader(self._inside(path), path, follow=not do_not_follow_symlinks)
        return Stat(self.session, posixpath.basename(path.rstrip("/")), await self._read(read))

    @field
    async def find_up(self, name: str, start: str) -> str | None:
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
        return Directory(self.session, self.tree, self._inside(path), path)

    @field
    def file(self, path: str) -> "File":
        return File(self.session, self.tree, self._inside(path), path)

    @field
    def with_new_file(self, path: str, contents: str, permissions: int | None = 0o644) -> "Directory":
        target = self._inside(path)
        return self._edited(model.WriteFile(target, contents.encode("utf-8", "surrogatepass"), permissions or 0))

    @field
    def with_new_directory(self, path: str, permissions: int | None = 0o644) -> "Directory":
        # The API states 0644 as the default, which no folder is usable with; engines take it for the usual mode.
        mode = 0 if permissions in (None, 0o644) else permissions
        return self._edited(model.MakeFolder(self._inside(path), mode or 0))

    @field
    def with_directory(
        self,
        path: str,
        source: str,
        exclude: Sequence[str] | None = None,
        include: Sequence[str] | None = None,
        gitignore: bool = False,
        owner: str = "",
        permissions: int | None = None,
    ) -> "Directory":
        other = expect(self.session, source, Directory)
        filtered = Filter.of(include, exclude, gitignore=bool(gitignore))
        return self._edited(
            model.CopyFolder(other.tree, other.path, self._inside(path), filtered, owner or "", permissions)
        )

    @field
    def with_file(self, path: str, source: str, permissions: int | None = None, owner: str = "") -> "Directory":
        other = expect(self.session, source, File)
        return self._edited(other.copied_to(target_path(self._inside(path), path), permissions, owner))

    @field
    def with_files(self, path: str, sources: Sequence[str], permissions: int | None = None) -> "Directory":
        directory = self
        for source in sources:
            directory = directory.with_file(posixpath.join(path, "") or "/", source, permissions)
        return directory

    @field
    def with_symlink(self, target: str, link_name: str) -> "Directory":
        return self._edited(model.MakeLink(target, self._inside(link_name)))

    @field
    def with_timestamps(self, timestamp: int) -> "Directory":
        return self._edited(model.SetTimes(self.path, timestamp))

    @field
    def chown(self, path: str, owner: str) -> "Directory":
        return self._edited(model.ChangeOwner(self._inside(path), owner))

    @field
    def without_directory(self, path: str) -> "Directory":
        return self.without_files([path])

    @field
    def without_file(self, path: str) -> "Directory":
        return self.without_files([path])

    @field
    def without_files(self, paths: Sequence[str]) -> "Directory":
        return self._edited(model.Remove(tuple(self._inside(path) for path in paths)))

    @field
    def with_error(self, err: str) -> "Directory":
        if err:
            raise ApiError(err)
        return self

    @field
    def filter(
        self, exclude: Sequence[str] | None = None, include: Sequence[str] | None = None, gitignore: bool = False
    ) -> "Directory":
        return Directory(self.session, model.Scratch()).with_directory("/", self.id(), exclude, include, gitignore)

    @field
    def diff(self, other: str) -> "Directory":
        upper = expect(self.session, other, Directory)
        return Directory(self.session, model.Difference(self.tree, self.path, upper.tree, upper.path))

    @field
    async def export(self, path: str, wipe: bool = False) -> str:
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


def target_path(resolved: str, given: str) -> str:
    """Return a copy's target: one given with a slash at its end names the folder to copy into."""
    return resolved.rstrip("/") + "/" if given.endswith(("/", "/.")) else resolved


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


class File(ApiObject):
    """A file of a tree."""

    type_name = "File"

    def __init__(self, session: Session, tree: model.Tree, path: str, shown: str = "") -> None:
        super().__init__(session)
        self.tree = tree
        self.path = path
        self._shown = shown or path

    def identity(self) -> str:
        return f"{self.tree.digest}:{self.path}"

    @field
    async def sync(self) -> str:
        await self._read(self._status)
        return self.id()

    @field
    def name(self) -> str:
        return posixpath.basename(self.path)

    @field
    async def size(self) -> int:
        return int((await self._read(self._status)).st_size)

    @field
    async def stat(self) -> Stat:
        return Stat(self.session, self.name(), await self._read(self._status))

    @field
    async def contents(self, offset_lines: int | None = None, limit_lines: int | None = None) -> str:
        def read(root: TreeRoot) -> bytes:
            if self._status(root).st_size > _LARGEST_CONTENTS:
                raise ApiError(f"file size {self._status(root).st_size} exceeds limit {_LARGEST_CONTENTS}")
            return root.read(self.path)

        data = await self._read(read)
        if offset_lines is not None or limit_lines is not None:
            first = offset_lines or 0
            last = None if limit_lines is None else first + limit_lines
            data = b"".join(data.splitlines(keepends=True)[first:last])
        return data.decode("utf-8", "replace")

    @field
    async def digest(self, exclude_metadata: bool = False) -> str:
        def read(root: TreeRoot) -> str:
            status = self._status(root)
            facts = "" if exclude_metadata else f"{status.st_mode:o}:{status.st_uid}:{status.st_gid}:"
            return "sha256:" + hashlib.sha256(facts.encode() + root.read(self.path)).hexdigest()

        return await self._read(read)

    @field
    def with_name(self, name: str) -> "File":
        if "/" in name:
            raise ApiError(f'file name "{name}" must not contain a directory')
        return File(self.session, model.Edited(model.Scratch(), self.copied_to(f"/{name}", None, "")), f"/{name}")

    @field
    def with_timestamps(self, timestamp: int) -> "File":
        return self._edited(model.SetTimes(self.path, timestamp))

    @field
    def chown(self, owner: str) -> "File":
        return self._edited(model.ChangeOwner(self.path, owner))

    @field
    def with_replaced(self, search: str, replacement: str, all: bool = False, first_from: int | None = None) -> "File":  # noqa: A002
        return self._edited(model.ReplaceText(self.path, search, replacement, bool(all), first_from))

    @field
    async def export(self, path: str, allow_parent_dir_path: bool = False) -> str:
        target = self.session.host_path(path)
        if target.is_dir():
            if not (allow_parent_dir_path or path.endswith("/")):
                raise ApiError(
                    f"destination {path} is a directory; must be a file path unless allowParentDirPath is set"
                )
            target /= self.name()

        def read(root: TreeRoot) -> Path:
            self._status(root)
            return export_file(root, self.path, target)

        return str(await self._read(read))

    def copied_to(self, path: str, permissions: int | None, owner: str) -> model.CopyFile:
        """Return the change that copies this file to a path."""
        return model.CopyFile(self.tree, self.path, path, owner or "", permissions)

    def _status(self, root: TreeRoot) -> os.stat_result:
        try:
            status = root.status(self.path)
        except OSError as error:
            raise missing(self._shown, error) from error
        if stat.S_ISDIR(status.st_mode):
            raise ApiError(f"path {self._shown} is a directory, not a file")
        return status

    def _edited(self, action: model.Action) -> "File":
        return File(self.session, model.Edited(self.tree, action), self.path, self._shown)

    async def _read(self, read: Callable[[TreeRoot], Result]) -> Result:
        return await read_tree(self.session, self.tree, read)
