"""Answers that are the same for every session of a store, kept as files."""

import json
import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any


class KeptAnswers:
    """Answers by key; one that cannot be kept is made again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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
            answer: dict[str, Any] = json.loads((self._folder / key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return answer

    def _write(self, key: str, answer: dict[str, Any]) -> None:
        aside = self._folder / f"{key}.{os.getpid()}"
        with suppress(OSError):
            self._folder.mkdir(exist_ok=True)
            aside.write_text(json.dumps(answer), encoding="utf-8")
            aside.replace(self._folder / key)
