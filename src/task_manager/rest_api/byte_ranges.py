"""Files in parts, as HTTP asks for them (RFC 9110, section 14); one range at a time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fastapi import Response
from fastapi.responses import StreamingResponse

from task_manager.rest_api.problems import RangeNotSatisfiable
from task_manager.rest_api.revisions import etag

_ONE_RANGE: Final = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")
CHUNK: Final = 64 * 1024
DOWNLOAD: Final = {
    # What runs leave is shown by nobody on this server's behalf.
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "sandbox",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of what runs left."""


def file_response(path: Path, *, tag: str, media_type: str, asked: str | None, if_range: str | None) -> Response:
    """A file, or the part of it that was asked for.

    Args:
        path: The file.
        tag: What its entity tag is made of.
        media_type: What it is.
        asked: The request's `Range`; one that is no single range of bytes counts as none.
        if_range: The request's `If-Range`: a part is only wanted of this.

    Raises:
        RangeNotSatisfiable: The part begins after the file's end.
    """
    size = path.stat().st_size
    part = _part(asked, size) if asked is not None and if_range in (None, etag(tag)) else None
    start, end = part or (0, size)
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Length": str(end - start),
        "ETag": etag(tag),
        **DOWNLOAD,
    }
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    return StreamingResponse(_read(path, start, end), 206 if part else 200, headers, media_type)


def _part(asked: str, size: int) -> tuple[int, int] | None:
    """Where the part begins and ends, in bytes; none: the whole."""
    match = _ONE_RANGE.fullmatch(asked.strip())
    if match is None or not any(match.groups()):
        return None
    first, last = match.groups()
    if not first:
        start, end = max(size - int(last), 0), size
    else:
        start, end = int(first), min(int(last) + 1, size) if last else size
    if first and last and int(last) < int(first):
        return None
    if start >= size or start == end:
        raise RangeNotSatisfiable(
            f"The file has {size:,} bytes; there is no part {asked!r} of it.", details={"size": size}
        )
    return start, end


def _read(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        left = end - start
        while left and (chunk := file.read(min(CHUNK, left))):
            left -= len(chunk)
            yield chunk
