"""Zstandard compression of content, in streams."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Final

import zstandard
from typing_extensions import Buffer

from task_manager.errors import ArtifactDamaged

_CHUNK: Final = 1024 * 1024
_LEVEL: Final = 3
_SMALLEST: Final = 512
_WORTH: Final = 0.9


def pays(sample: bytes) -> bool:
    """Whether content that begins so is worth compressing: it gets a tenth smaller at least."""
    if len(sample) < _SMALLEST:
        return False
    return len(zstandard.ZstdCompressor(level=_LEVEL).compress(sample)) <= _WORTH * len(sample)


def compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Content, compressed."""
    chunker = zstandard.ZstdCompressor(level=_LEVEL).chunker(chunk_size=_CHUNK)
    for chunk in chunks:
        yield from chunker.compress(chunk)
    yield from chunker.finish()  # type: ignore[no-untyped-call]


def decompressed(chunks: Iterator[bytes], digest: str) -> Iterator[bytes]:
    """Content as it was, in chunks of a megabyte at most, whatever the compressed bytes say.

    Args:
        chunks: Compressed content.
        digest: What it is stored as, for messages.

    Raises:
        ArtifactDamaged: It is no such content.
    """
    reader = zstandard.ZstdDecompressor().stream_reader(io.BufferedReader(_Chunks(chunks), _CHUNK))
    try:
        while content := reader.read(_CHUNK):
            yield content
    except zstandard.ZstdError as error:
        raise ArtifactDamaged(
            f"The content stored as {digest} is damaged: it cannot be decompressed.",
            remedy="Remove it with: task-manager artifact verify --remove. Then run the task again.",
            details={"digest": digest},
        ) from error


class _Chunks(io.RawIOBase):
    """Chunks as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        target = memoryview(buffer)
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        count = min(len(target), len(self._rest))
        target[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count
