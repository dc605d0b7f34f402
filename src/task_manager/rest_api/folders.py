"""Folders that runs left: what is in them, one file of them, or all as an archive."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi.responses import StreamingResponse

from task_manager.errors import NotFound
from task_manager.rest_api.byte_ranges import CHUNK, DOWNLOAD
from task_manager.rest_api.revisions import etag

ARCHIVE: Final = "application/zip"

_MOST_NAMED: Final = 1000
_EARLIEST: Final = (1980, 1, 1, 0, 0, 0)  # the archive's format knows no earlier time (APPNOTE.TXT, section 4.4.6)


def files_below(folder: Path) -> list[tuple[str, Path]]:
    """The files of a folder, each with its path from there, in order; links are left out, wherever they lead."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sorted((path.relative_to(folder).as_posix(), path) for path in found)


def file_below(folder: Path, wanted: str) -> Path:
    """The file of that path from a folder.

    Raises:
        NotFound: There is none.
    """
    known = dict(files_below(folder))
    if wanted not in known:
        raise NotFound("file", wanted, known=list(known)[:_MOST_NAMED])
    return known[wanted]


def archive_response(folder: Path, *, name: str, tag: str) -> StreamingResponse:
    """A folder's files as an archive that is made while it is sent.

    Args:
        folder: The folder.
        name: Of the archive, without its ending.
        tag: What its entity tag is made of.
    """
    headers = {**DOWNLOAD, "ETag": etag(tag), "Content-Disposition": f'attachment; filename="{name}.zip"'}
    return StreamingResponse(_archived(files_below(folder)), 200, headers, ARCHIVE)


class _Sent:
    """A file that can only be written, whose content is taken away as it comes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, content: bytes) -> int:
        """Take content."""
        self._parts.append(bytes(content))
        return len(content)

    def flush(self) -> None:
        """Nothing waits."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        content = b"".join(self._parts)
        self._parts.clear()
        return content


def _archived(files: list[tuple[str, Path]]) -> Iterator[bytes]:
    sent = _Sent()
    with zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as archive:  # type: ignore[call-overload] # it needs no more
        for name, path in files:
            # The same folder makes the same archive, byte by byte.
            info = zipfile.ZipInfo(name, _EARLIEST)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (path.stat().st_mode & 0o777) << 16
            with path.open("rb") as content, archive.open(info, "w", force_zip64=True) as target:
                while chunk := content.read(CHUNK):
                    target.write(chunk)
                    yield sent.taken()
    yield sent.taken()
