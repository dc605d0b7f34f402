"""Cache keys: digests over named components.

A component is a set of named texts, its parts. Equal parts give equal digests on every machine and in every order;
parts that are long, or that are files, are digests themselves. What a component is made of is kept with the key, so
that differences can be told.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from posixpath import normpath
from typing import Any, Final

from task_manager.models import KeyComponent
from task_manager.pipeline import HostSource, Pipeline, content_digest

KEY_VERSION: Final = 1
"""Raised when keys come to mean something else: earlier entries are not found any more."""

_LONGEST_PART: Final = 100
_NOT_THE_WORK: Final = {"cache", "retry"}
"""What only says how often the work is done."""


def component(name: str, parts: Mapping[str, str]) -> KeyComponent:
    """A component of texts by name; long ones are kept as digests."""
    kept = {part: short(text) for part, text in sorted(parts.items())}
    return KeyComponent(name=name, digest=content_digest({"name": name, "parts": dict(parts)}), parts=kept)


def short(text: str) -> str:
    """The text, or a digest of it where it is long."""
    return text if len(text) <= _LONGEST_PART else content_digest(text)


def canonical(value: Any) -> str:
    """JSON-like data as a text that is the same for equal data, whatever the order of keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def key_of(components: Sequence[KeyComponent]) -> str:
    """The key: `sha256:…` over the components' names and digests, in whatever order they come."""
    return content_digest({"version": KEY_VERSION, **{one.name: one.digest for one in components}})


def pipeline_component(pipeline: Pipeline) -> KeyComponent:
    """What a pipeline does: its steps, each a part, and what its result is made from."""
    data = pipeline.model_dump(mode="json", exclude=_NOT_THE_WORK)
    steps = {
        f"step {step['id']}": canonical({name: value for name, value in step.items() if name not in _NOT_THE_WORK})
        for step in data.pop("steps")
    }
    order = canonical([step.id for step in pipeline.steps])
    return component("pipeline", {**steps, "order": order, **{name: canonical(value) for name, value in data.items()}})


def values_component(name: str, values: Mapping[str, Any]) -> KeyComponent:
    """JSON-like values by name."""
    return component(name, {part: canonical(value) for part, value in values.items()})


def secrets_component(values: Mapping[str, str | None], key: bytes) -> KeyComponent:
    """Secrets by name: digests of their values that nobody can check a guess against without the key.

    Args:
        values: Each secret's value; none where it is missing.
        key: The key of the digests.
    """
    return component("secrets", {name: _keyed(name, value, key) for name, value in values.items()})


def _keyed(name: str, value: str | None, key: bytes) -> str:
    if value is None:
        return "missing"
    text = f"{name}\0{value}".encode("utf-8", "surrogateescape")
    return "hmac-sha256:" + hmac.new(key, text, hashlib.sha256).hexdigest()


def selection_digest(listing: Mapping[str, str], source: HostSource) -> str:
    """`sha256:…` over what a source takes of a folder: its files' paths below it and their contents.

    Args:
        listing: What the folder holds, as a snapshot's listing tells it.
        source: The source; a pattern that cannot be read takes everything, so that no change goes unseen.
    """
    digest = hashlib.sha256()
    for path, value in selected(listing, source):
        digest.update(f"{path}\0{value}\0".encode("utf-8", "surrogateescape"))
    return f"sha256:{digest.hexdigest()}"


def selected(listing: Mapping[str, str], source: HostSource) -> list[tuple[str, str]]:
    """The paths that a source takes of a folder, relative to its own path and sorted, with their values."""
    place = normpath(source.path)
    prefix = "" if place == "." else f"{place}/"
    include, exclude = _expression(source.include), _expression(source.exclude)
    below = [(path.removeprefix(prefix), value) for path, value in listing.items() if path.startswith(prefix)]
    if not below and place in listing:
        return [("", listing[place])]
    return sorted(
        (path, value)
        for path, value in below
        if (include is None or include.match(path)) and (exclude is None or not exclude.match(path))
    )


@lru_cache(maxsize=256)
def _expression(patterns: tuple[str, ...]) -> re.Pattern[str] | None:
    """What matches a path, or a folder above it, as Dockerfiles have it; none where everything has to be taken."""
    if not patterns or any(pattern.startswith("!") for pattern in patterns):
        return None
    texts = "|".join(_translated(normpath(pattern.strip()).lstrip("/")) for pattern in patterns)
    try:
        return re.compile(f"(?:{texts})(?:/.*)?\\Z", re.DOTALL)
    except re.error:
        return None


def _translated(pattern: str) -> str:
    return "".join(_pieces(pattern))


def _pieces(pattern: str) -> Iterable[str]:
    wildcards = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    for piece in re.findall(r"\*\*/|\*\*|\*|\?|\[!?\]?[^\]]*\]|\\.|.", pattern, re.DOTALL):
        if piece in wildcards:
            yield wildcards[piece]
        elif piece.startswith("[") and len(piece) > 1:
            yield piece.replace("[!", "[^", 1)
        else:
            yield re.escape(piece.removeprefix("\\") or piece)
