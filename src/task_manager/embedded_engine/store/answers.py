"""Answers that are the same for every session of a store, kept as files: a line with the digest, then the JSON."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class KeptAnswers:
    """Answers by key; one that cannot be kept, or is not what was kept, is made again.

    Args:
        folder: Where they are.
        unfinished: Where unfinished files go, on the same file system.
    """

    def __init__(self, folder: Path, unfinished: Path) -> None:
        self._folder = folder
        self._unfinished = unfinished
        self._known: dict[str, dict[str, Any]] = {}

    async def get(self, key: str, make: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Return the answer of a key, made now where it is not there; answers with errors are not kept."""
        answer = self._known.get(key) or self._read(key)
        if answer is None:
            answer = await make()
            if "errors" in answer:
                return answer
            self._write(key, answer)
        self._known[key] = answer
        return answer

    def _read(self, key: str) -> dict[str, Any] | None:
        try:
            data = (self._folder / key).read_bytes()
        except OSError:
            return None
        if not is_whole(data):
            return None
        answer: dict[str, Any] = json.loads(data.partition(b"\n")[2])
        return answer

    def _write(self, key: str, answer: dict[str, Any]) -> None:
        aside = self._unfinished / f"answer-{key}"
        data = json.dumps(answer).encode()
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            aside.write_bytes(_digest(data) + b"\n" + data)
            aside.replace(self._folder / key)


def is_whole(data: bytes) -> bool:
    """Return whether a kept answer's file is what was written."""
    digest, _, answer = data.partition(b"\n")
    return digest == _digest(answer)


def _digest(data: bytes) -> bytes:
    return f"sha256:{hashlib.sha256(data).hexdigest()}".encode()
