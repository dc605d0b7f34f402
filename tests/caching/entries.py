"""Entries for tests, with what a test does not care about filled in."""

from datetime import UTC, datetime, timedelta
from typing import Any

from task_manager.caching.entries import CacheEntry
from task_manager.caching.keys import component, key_of

NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


def an_entry(name: str = "a", *, size: int = 10, **fields: Any) -> CacheEntry:
    """An entry whose key comes of its name."""
    components = (component("parameters", {"name": name}), component("images", {"busybox": f"digest of {name}"}))
    about = {"run_id": f"run-{name}", "task_id": f"task-{name}", "task_title": name, "project_id": "project-1"}
    ended = {"status": "succeeded", "seconds": 12.5, "created_at": NOW, "expires_at": NOW + timedelta(days=30)}
    return CacheEntry.model_validate(
        {
            "key": key_of(components),
            "components": components,
            **about,
            **ended,
            "result": {"text": "x" * size},
            **fields,
        }
    )
