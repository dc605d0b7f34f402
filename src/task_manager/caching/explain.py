"""What differs between two keys, component by component."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from task_manager.models import KeyComponent

_WORDS: Final[Mapping[str, str]] = {
    "pipeline": "the pipeline",
    "parameters": "parameters",
    "sources": "source files",
    "images": "images",
    "environment": "the environment of all steps",
    "secrets": "secrets",
    "inputs": "what comes from other tasks",
    "engine": "the engine",
    "platform": "the platform",
    "template": "the template",
    "code": "the code of the function",
    "processor": "how results are made",
}


@dataclass(frozen=True)
class Difference:
    """One part of a component that differs.

    Attributes:
        component: The component's name.
        part: The part's name; empty where only the component's digest is known to differ.
        before: What it was; none where it was not there.
        after: What it is; none where it is gone.
    """

    component: str
    part: str
    before: str | None
    after: str | None


def differences(before: Sequence[KeyComponent], after: Sequence[KeyComponent]) -> tuple[Difference, ...]:
    """All parts that differ, in the components' order."""
    known = {one.name: one for one in before}
    names = dict.fromkeys([one.name for one in after] + list(known))
    current = {one.name: one for one in after}
    return tuple(found for name in names for found in _of_component(name, known.get(name), current.get(name)))


def _of_component(name: str, before: KeyComponent | None, after: KeyComponent | None) -> Iterable[Difference]:
    if before is not None and after is not None and before.digest == after.digest:
        return
    old, new = before.parts if before else {}, after.parts if after else {}
    changed = [part for part in dict.fromkeys([*old, *new]) if old.get(part) != new.get(part)]
    for part in changed:
        yield Difference(name, part, old.get(part), new.get(part))
    if not changed:
        yield Difference(name, "", before.digest if before else None, after.digest if after else None)


def summary(found: Sequence[Difference]) -> str:
    """The components that differ, in words."""
    names = dict.fromkeys(one.component for one in found)
    words = [_WORDS.get(name, name) for name in names]
    if len(words) < 2:  # noqa: PLR2004
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"
