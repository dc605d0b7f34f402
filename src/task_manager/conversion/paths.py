"""Paths in definitions: inside a container, and inside a task's source folder."""

from __future__ import annotations

import posixpath
from pathlib import PureWindowsPath


def container_path(workdir: str, path: str) -> str:
    """The absolute, normal form of a path in a container.

    Args:
        workdir: The step's working folder, absolute.
        path: Absolute, or counted from the working folder.

    Returns:
        A path without `.`, `..`, doubled or trailing slashes; what climbs above the root stays at the root.
    """
    normal = posixpath.normpath(posixpath.join("/", workdir, path))
    return "/" + normal.lstrip("/")


def contains(outer: str, inner: str) -> bool:
    """Whether a normal container path is another one, or a folder that the other lies in."""
    return outer in ("/", inner) or inner.startswith(outer + "/")


def source_path(path: str) -> str | None:
    """The normal form of a path relative to a source folder.

    Args:
        path: As a definition gives it, with forward slashes.

    Returns:
        The path without `.`, `..` and doubled slashes (`.` for the folder itself), or None when it is absolute (on any
        system) or leaves the folder. Links are not looked at: that is the reader's part.
    """
    windows = PureWindowsPath(path)
    if "\x00" in path or windows.drive or windows.root:
        return None
    normal = posixpath.normpath(path)
    return None if normal == ".." or normal.startswith("../") else normal
