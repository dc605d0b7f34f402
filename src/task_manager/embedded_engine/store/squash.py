"""Merging neighbouring layers into one, what they remove included."""

import os
import stat
from contextlib import suppress
from pathlib import Path

from task_manager.embedded_engine.store.trees import remove_at

_OPAQUE = "user.overlay.opaque"


def squash(layers: list[Path], target: Path) -> None:
    """Merge overlay layers, lowest first, into an empty folder that means the same to an overlay.

    Files are hard links to the layers' own: layers never change.

    Raises:
        OSError: The file system refused.
    """
    for layer in layers:
        source, sink = _open(layer), _open(target)
        try:
            _merge(source, sink)
        finally:
            os.close(source)
            os.close(sink)


def _open(path: Path | str, folder: int | None = None) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _merge(source: int, sink: int) -> None:
    if _is_opaque(source):
        for name in os.listdir(sink):
            remove_at(sink, name)
        os.setxattr(sink, _OPAQUE, b"y")
    for name in os.listdir(source):
        status = os.lstat(name, dir_fd=source)
        if stat.S_ISDIR(status.st_mode):
            _merge_folder(source, sink, name)
        else:
            with suppress(FileNotFoundError):
                remove_at(sink, name)
            os.link(name, name, src_dir_fd=source, dst_dir_fd=sink, follow_symlinks=False)
    _take_over(source, sink)


def _merge_folder(source: int, sink: int, name: str) -> None:
    hides = _replace_non_folder(sink, name)
    inner = _open(name, source)
    target = _open(name, sink)
    try:
        if hides:
            # What stood here hid everything below it; the folder in its place must go on doing so.
            os.setxattr(target, _OPAQUE, b"y")
        _merge(inner, target)
    finally:
        os.close(inner)
        os.close(target)


def _replace_non_folder(sink: int, name: str) -> bool:
    """Make `name` a folder; return whether something that is no folder was there."""
    try:
        status = os.lstat(name, dir_fd=sink)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=sink)
        return False
    if stat.S_ISDIR(status.st_mode):
        return False
    os.unlink(name, dir_fd=sink)
    os.mkdir(name, 0o755, dir_fd=sink)
    return True


def _is_opaque(folder: int) -> bool:
    try:
        return os.getxattr(folder, _OPAQUE) == b"y"
    except OSError:
        return False


def _take_over(source: int, sink: int) -> None:
    status = os.fstat(source)
    os.fchown(sink, status.st_uid, status.st_gid)
    os.fchmod(sink, stat.S_IMODE(status.st_mode))
    os.utime(sink, ns=(status.st_atime_ns, status.st_mtime_ns))
