"""Applying the changes that descriptions name to a mounted, writable tree."""

import errno
import fnmatch
import os
import posixpath
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from task_manager.embedded_engine import model
from task_manager.embedded_engine.errors import ApiError
from task_manager.embedded_engine.sandbox.users import UnknownUserError, resolve_owner
from task_manager.embedded_engine.store.copying import CopyOptions, copy_file, copy_folder
from task_manager.embedded_engine.store.trees import TreeRoot, remove_at

_DEFAULT_FILE_MODE = 0o644
_DEFAULT_FOLDER_MODE = 0o755
_IN_THE_WAY = frozenset({errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG})
_PATTERN = re.compile(r"[*?\[]")


@dataclass(frozen=True)
class Others:
    """The trees that a change reads.

    Attributes:
        source: What a copy copies from; None for other actions.
        accounts: The tree whose users and groups owners are looked up in.
    """

    source: TreeRoot | None
    accounts: TreeRoot


def apply(action: model.Action, target: TreeRoot, others: Others) -> None:
    """Change a tree.

    Args:
        action: What to do.
        target: The tree, writable.
        others: What it is read from.

    Raises:
        ApiError: What the action asks for cannot be done in this tree.
        OSError: The file system refused.
    """
    for kind, function in _APPLIERS.items():
        if isinstance(action, kind):
            with _refusals():
                function(action, target, others)
            return
    raise TypeError(type(action).__name__)


@contextmanager
def _refusals() -> Iterator[None]:
    """Say in a system call's words that something of another kind is in the way.

    Raises:
        ApiError: It is.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        raise ApiError(f"{error.filename}: {(error.strerror or '').lower()}") from error


def owner_ids(accounts: TreeRoot, text: str) -> tuple[int, int]:
    """Return the user and group ids of an owner, by the accounts of a tree.

    Raises:
        ApiError: A name is not known there.
    """
    try:
        return resolve_owner(accounts.descriptor, text)
    except UnknownUserError as error:
        raise ApiError(f"failed to parse ownership {text}: {error}") from error


def _owner(others: Others, text: str) -> tuple[int, int] | None:
    return owner_ids(others.accounts, text) if text else None


def _write_file(action: model.WriteFile, target: TreeRoot, others: Others) -> None:
    name = posixpath.basename(action.path.rstrip("/"))
    if len(name.encode()) > 255:  # noqa: PLR2004 - NAME_MAX
        raise ApiError("File name length exceeds the maximum supported 255 characters")
    owner = _owner(others, action.owner)
    target.make_folders(posixpath.dirname(action.path.rstrip("/")) or "/")
    target.write(action.path, action.contents, action.mode or _DEFAULT_FILE_MODE)
    _settle(target, action.path, action.mode or _DEFAULT_FILE_MODE, owner)


def _make_folder(action: model.MakeFolder, target: TreeRoot, others: Others) -> None:
    target.make_folders(action.path, action.mode or _DEFAULT_FOLDER_MODE, _owner(others, action.owner))


def _remove(action: model.Remove, target: TreeRoot, _: Others) -> None:
    for path in action.paths:
        if _PATTERN.search(path):
            _remove_matching(target, path)
        else:
            target.remove(path)


def _remove_matching(target: TreeRoot, pattern: str) -> None:
    head, last = posixpath.split(pattern.rstrip("/"))
    for folder in _matching_folders(target, head):
        with target.folder(folder) as descriptor:
            for name in fnmatch.filter(os.listdir(descriptor), last):  # noqa: PTH208 - a descriptor, not a path
                remove_at(descriptor, name)


def _matching_folders(target: TreeRoot, pattern: str) -> list[str]:
    folders = [""]
    for part in pattern.strip("/").split("/") if pattern.strip("/") else []:
        if _PATTERN.search(part):
            folders = [f"{folder}/{name}" for folder in folders for name in fnmatch.filter(target.names(folder), part)]
        else:
            folders = [f"{folder}/{part}" for folder in folders]
    return [folder for folder in folders if _is_folder(target, folder)]


def _is_folder(target: TreeRoot, path: str) -> bool:
    try:
        return stat.S_ISDIR(target.status(path).st_mode)
    except OSError:
        return False


def _make_link(action: model.MakeLink, target: TreeRoot, _: Others) -> None:
    target.make_folders(posixpath.dirname(action.path.rstrip("/")) or "/")
    with target.parent(action.path) as (folder, name):
        try:
            os.symlink(action.target, name, dir_fd=folder)
        except FileExistsError:
            raise ApiError(f"symlink {action.target} /{action.path.lstrip('/')}: file exists") from None


def _copy_folder(action: model.CopyFolder, target: TreeRoot, others: Others) -> None:
    options = CopyOptions(action.filter, action.mode, _owner(others, action.owner))
    copy_folder(_given(others), action.source_path, target, action.path, options)


def _copy_file(action: model.CopyFile, target: TreeRoot, others: Others) -> None:
    path = action.path
    if path.endswith("/") or _is_folder(target, path):
        path = posixpath.join(path, posixpath.basename(action.source_path))
    options = CopyOptions(mode=action.mode, owner=_owner(others, action.owner))
    copy_file(_given(others), action.source_path, target, path, options)


def _given(others: Others) -> TreeRoot:
    if others.source is None:
        raise ValueError("a copy without a source")
    return others.source


def _change_owner(action: model.ChangeOwner, target: TreeRoot, others: Others) -> None:
    owner = _owner(others, action.owner)
    if owner is None:
        raise ApiError("the owner is empty: name a user, or a user and a group as user:group")

    def change(folder: int, name: str) -> None:
        os.chown(name, *owner, dir_fd=folder, follow_symlinks=False)

    _everywhere(target, action.path, change)


def _set_times(action: model.SetTimes, target: TreeRoot, _: Others) -> None:
    def change(folder: int, name: str) -> None:
        os.utime(name, (action.seconds, action.seconds), dir_fd=folder, follow_symlinks=False)

    _everywhere(target, action.path, change)


def _everywhere(target: TreeRoot, path: str, change: Callable[[int, str], None]) -> None:
    """Change everything below a path, then what is at the path."""
    descriptor = target.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            for _, folders, files, folder in os.fwalk(".", topdown=False, dir_fd=descriptor):
                for name in (*files, *folders):
                    change(folder, name)
            change(descriptor, ".")
            return
    finally:
        os.close(descriptor)
    with target.parent(path) as (folder, name):
        change(folder, name)


def _replace_text(action: model.ReplaceText, target: TreeRoot, _: Others) -> None:
    lines = target.read(action.path).splitlines(keepends=True)
    skipped = max((action.first_from or 1) - 1, 0)
    before, after = b"".join(lines[:skipped]), b"".join(lines[skipped:])
    search, replacement = action.search.encode(), action.replacement.encode()
    count = after.count(search)
    if count == 0 and not action.everywhere:
        raise ApiError("search string not found")
    if count > 1 and not action.everywhere and action.first_from is None:
        raise ApiError(f"search string found multiple times: {', '.join(_places(after, search))}")
    changed = after.replace(search, replacement, -1 if action.everywhere else 1)
    status = target.status(action.path)
    target.write(action.path, before + changed, stat.S_IMODE(status.st_mode))


def _places(text: bytes, search: bytes) -> list[str]:
    places = []
    for match in re.finditer(re.escape(search), text):
        start = text.rfind(b"\n", 0, match.start()) + 1
        line = text.count(b"\n", 0, match.start()) + 1
        places.append(f"line {line} ({match.start() - start}-{match.end() - start})")
    return places


def _settle(target: TreeRoot, path: str, mode: int, owner: tuple[int, int] | None) -> None:
    descriptor = target.open(path, os.O_WRONLY)
    try:
        os.fchmod(descriptor, mode)
        if owner:
            os.fchown(descriptor, *owner)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ApiError(
            f"the owner {owner} does not exist here: only the ids that the engine was given can own files"
        ) from error
    finally:
        os.close(descriptor)


_APPLIERS: dict[type[model.Action], Callable[..., None]] = {
    model.WriteFile: _write_file,
    model.MakeFolder: _make_folder,
    model.Remove: _remove,
    model.MakeLink: _make_link,
    model.CopyFolder: _copy_folder,
    model.CopyFile: _copy_file,
    model.ChangeOwner: _change_owner,
    model.SetTimes: _set_times,
    model.ReplaceText: _replace_text,
}
