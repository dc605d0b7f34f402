"""Paths as the API takes them."""

import posixpath
import re
from collections.abc import Callable

from task_manager.embedded_engine.errors import ApiError

_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*|[0-9*#$@!?-]))")


def absolute(path: str, working_folder: str) -> str:
    """Return a container's path, cleaned: relative ones start at the working folder."""
    return posixpath.normpath(posixpath.join(working_folder or "/", path)).replace("//", "/")


def inside(folder: str, path: str) -> str:
    """Return a path below a directory object's folder; leading slashes mean the folder itself.

    Raises:
        ApiError: The path leads out of the folder.
    """
    cleaned = posixpath.normpath(path.lstrip("/") or ".")
    if cleaned == ".." or cleaned.startswith("../"):
        raise ApiError(f"path cannot escape directory: {path}")
    return posixpath.normpath(posixpath.join(folder, cleaned))


def expand(text: str, lookup: Callable[[str], str]) -> str:
    """Replace `$NAME` and `${NAME}` by what `lookup` says of the name."""
    return _VARIABLE.sub(lambda match: lookup(match[1] if match[1] is not None else match[2]), text)
