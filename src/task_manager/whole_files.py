"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def write_whole(path: Path, content: str | bytes, *, mode: int = 0o600) -> None:
    """Write a file so that whoever reads it sees it as it was before or as it is afterwards.

    Several may write it at once: the last one's stays.

    Args:
        path: Where; its folder is there, and what is there already is replaced.
        content: What is in it; text is kept as UTF-8.
        mode: Who may do what with it.

    Raises:
        OSError: It cannot be written; nothing has changed.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".new")
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        aside.chmod(mode)
        aside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink()
        raise
