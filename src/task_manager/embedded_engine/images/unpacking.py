"""Unpacking an image layer onto the layers below it; specification: OCI image-spec, layer.md."""

import os
import posixpath
import stat
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

from task_manager.embedded_engine.store.trees import TreeRoot, remove_at

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"


class BadArchiveError(ValueError):
    """A layer's archive is broken or tries to leave its root."""


def unpack(archive: BinaryIO, target: TreeRoot) -> None:
    """Apply a layer's uncompressed tar archive to a mounted tree.

    Ids that this user namespace does not have stay with the engine's user; device files, which it may not make, are
    left out.

    Raises:
        BadArchiveError: The archive is broken.
        OSError: The file system refused.
    """
    folders: list[tuple[str, tarfile.TarInfo]] = []
    try:
        with tarfile.open(fileobj=archive, mode="r|") as tar:
            for member in tar:
                path = _clean(member.name)
                _apply(tar, member, path, target)
                if member.isdir():
                    folders.append((path, member))
    except (tarfile.TarError, EOFError) as error:
        raise BadArchiveError(f"its archive is broken: {error}") from error
    for path, member in reversed(folders):
        with suppress(OSError):
            _set_times(target, path, member)


def _clean(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise BadArchiveError(f"its archive has a path that leads out of it: {name}")
    return "/".join(parts)


def _apply(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, target: TreeRoot) -> None:
    head, name = posixpath.split(path)
    if name == _OPAQUE:
        _empty(target, head)
    elif name.startswith(_WHITEOUT):
        target.remove(posixpath.join(head, name.removeprefix(_WHITEOUT)))
    elif not path:
        _take_attributes(target, "/", member)
    elif not member.isdev() or member.isfifo():
        _make(tar, member, path, target)


def _empty(target: TreeRoot, path: str) -> None:
    with suppress(FileNotFoundError, NotADirectoryError), target.folder(path) as folder:
        for name in os.listdir(folder):  # noqa: PTH208 - a descriptor, not a path
            remove_at(folder, name)


def _make(tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, target: TreeRoot) -> None:
    head, name = posixpath.split(path)
    target.make_folders(head or "/")
    with target.folder(head) as folder:
        if member.isdir():
            _make_folder(folder, name)
        else:
            with suppress(FileNotFoundError):
                remove_at(folder, name)
            _make_other(tar, member, folder, name, target)
        if not member.islnk():
            _own_and_mode(folder, name, member)
            if not member.isdir():
                _touch(folder, name, member)


def _make_folder(folder: int, name: str) -> None:
    try:
        is_folder = stat.S_ISDIR(os.lstat(name, dir_fd=folder).st_mode)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=folder)
        return
    if not is_folder:
        os.unlink(name, dir_fd=folder)
        os.mkdir(name, 0o755, dir_fd=folder)


def _make_other(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: int, name: str, target: TreeRoot) -> None:
    if member.issym():
        os.symlink(member.linkname, name, dir_fd=folder)
    elif member.islnk():
        with target.parent(_clean(member.linkname)) as (source, source_name):
            os.link(source_name, name, src_dir_fd=source, dst_dir_fd=folder, follow_symlinks=False)
    elif member.isfifo():
        os.mkfifo(name, 0o644, dir_fd=folder)
    elif member.isreg():
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=folder), "wb") as file:
            for piece in _pieces(tar, member):
                file.write(piece)
    else:
        raise BadArchiveError(f"its archive has an entry of an unknown kind: {member.name}")


def _pieces(tar: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[bytes]:
    content = tar.extractfile(member)
    if content is None:
        return
    left = member.size
    while piece := content.read(min(1 << 20, left)):
        left -= len(piece)
        yield piece
    if left:
        raise BadArchiveError(f"its archive ends inside {member.name}")


def _take_attributes(target: TreeRoot, path: str, member: tarfile.TarInfo) -> None:
    with target.folder(path) as folder:
        _own_and_mode(folder, ".", member)


def _own_and_mode(folder: int, name: str, member: tarfile.TarInfo) -> None:
    if (member.uid, member.gid) != (0, 0):
        with suppress(OSError):
            os.chown(name, member.uid, member.gid, dir_fd=folder, follow_symlinks=False)
    if not member.issym():
        os.chmod(name, stat.S_IMODE(member.mode), dir_fd=folder)
    for key, value in member.pax_headers.items():
        # Capabilities and the like; what this namespace may not set would have no effect here either.
        if key.startswith("SCHILY.xattr.user."):
            with suppress(OSError):
                _set_attribute(folder, name, key.removeprefix("SCHILY.xattr."), value)


def _set_attribute(folder: int, name: str, key: str, value: str) -> None:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        os.setxattr(descriptor, key, value.encode("utf-8", "surrogateescape"))
    finally:
        os.close(descriptor)


def _touch(folder: int, name: str, member: tarfile.TarInfo) -> None:
    os.utime(name, (member.mtime, member.mtime), dir_fd=folder, follow_symlinks=False)


def _set_times(target: TreeRoot, path: str, member: tarfile.TarInfo) -> None:
    if not path:
        return
    with target.parent(path) as (folder, name):
        _touch(folder, name, member)
