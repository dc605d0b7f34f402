"""File: one file of a tree."""

import hashlib
import os
import posixpath
import stat
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.objects import ApiObject, field
from task_manager.embedded_engine.api.reading import Stat, missing, read_tree
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.export import export_file
from task_manager.embedded_engine.session import Session
from task_manager.embedded_engine.store.trees import TreeRoot

Result = TypeVar("Result")
_LARGEST_CONTENTS = 128 << 20


class File(ApiObject):
    """A file of a tree."""

    type_name = "File"

    def __init__(self, session: Session, tree: model.Tree, path: str, shown: str = "") -> None:
        super().__init__(session)
        self.tree = tree
        self.path = path
        self._shown = shown or path

    def identity(self) -> str:
        """Return the tree's digest and the path in it."""
        return f"{self.tree.digest}:{self.path}"

    @field
    async def sync(self) -> str:
        """Make the file now and return its id."""
        await self._read(self._status)
        return self.id()

    @field
    async def name(self) -> str:
        """The file's name."""
        await self._read(self._status)
        return posixpath.basename(self.path)

    @field
    async def size(self) -> int:
        """The size in bytes."""
        return int((await self._read(self._status)).st_size)

    @field
    async def stat(self) -> Stat:
        """The file's status."""
        return Stat(self.session, posixpath.basename(self.path), await self._read(self._status))

    @field
    async def contents(self, offset_lines: int | None = None, limit_lines: int | None = None) -> str:
        """The contents, or some lines of them; bytes that are not UTF-8 are replaced."""

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
        """A digest of the contents and, unless excluded, of mode and owner."""

        def read(root: TreeRoot) -> str:
            status = self._status(root)
            facts = "" if exclude_metadata else f"{status.st_mode:o}:{status.st_uid}:{status.st_gid}:"
            return "sha256:" + hashlib.sha256(facts.encode() + root.read(self.path)).hexdigest()

        return await self._read(read)

    @field
    def with_name(self, name: str) -> "File":
        """The file by another name."""
        if "/" in name:
            raise ApiError(f'file name "{name}" must not contain a directory')
        return File(self.session, model.Edited(model.Scratch(), self.copied_to(f"/{name}", None, "")), f"/{name}")

    @field
    def with_timestamps(self, timestamp: int) -> "File":
        """The file with its times set, in seconds since 1970."""
        return self._edited(model.SetTimes(self.path, timestamp))

    @field
    def chown(self, owner: str) -> "File":
        """The file with another owner, a user or user:group."""
        return self._edited(model.ChangeOwner(self.path, owner))

    @field
    def with_replaced(self, search: str, replacement: str, all: bool = False, first_from: int | None = None) -> "File":  # noqa: A002
        """The file with text replaced: the only place, the first from a line on, or all of them."""
        return self._edited(model.ReplaceText(self.path, search, replacement, bool(all), first_from))

    @field
    async def export(self, path: str, allow_parent_dir_path: bool = False) -> str:
        """Write the file to a path of the host and return that."""
        target = self.session.host_path(path)
        if target.is_dir():
            if not (allow_parent_dir_path or path.endswith("/")):
                raise ApiError(
                    f"destination {path} is a directory; must be a file path unless allowParentDirPath is set"
                )
            target /= posixpath.basename(self.path)

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
