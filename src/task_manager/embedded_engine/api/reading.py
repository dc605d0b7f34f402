"""Reading trees for the API: status, existence, errors in a system call's words."""

import os
import stat
from collections.abc import Callable
from typing import TypeVar

from task_manager.embedded_engine import model
from task_manager.embedded_engine.api.objects import ApiObject, field
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.session import Session
from task_manager.embedded_engine.store.trees import TreeRoot

Result = TypeVar("Result")
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
        """Return the values themselves: a status has no life of its own."""
        return f"{self._name}:{self.file_type()}:{self.permissions()}:{self.size()}"

    @field
    def name(self) -> str:
        """The last part of the path."""
        return self._name

    @field
    def size(self) -> int:
        """The size in bytes."""
        return int(self._status.st_size)

    @field
    def permissions(self) -> int:
        """The permission bits."""
        return stat.S_IMODE(self._status.st_mode) & 0o777

    @field
    def file_type(self) -> str:
        """What it is: REGULAR, DIRECTORY, SYMLINK or UNKNOWN."""
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


def target_path(resolved: str, given: str) -> str:
    """Return a copy's target: one given with a slash at its end names the folder to copy into."""
    return resolved.rstrip("/") + "/" if given.endswith(("/", "/.")) else resolved
