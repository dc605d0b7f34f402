"""Artifacts as people name them: `STEP/OUTPUT`, or `OUTPUT` where one step has it."""

from __future__ import annotations

from collections.abc import Sequence

from task_manager.errors import InvalidInput, NotFound
from task_manager.models import Artifact


def artifacts_called(name: str, there: Sequence[Artifact]) -> list[Artifact]:
    """Those that a name means: the artifact `STEP/OUTPUT`, or all whose output has that name."""
    exact = [artifact for artifact in there if artifact.name == name]
    return exact or [artifact for artifact in there if artifact.name.rpartition("/")[2] == name]


def artifact_called(name: str, there: Sequence[Artifact]) -> Artifact:
    """The one artifact that a name means.

    Raises:
        NotFound: There is none.
        InvalidInput: There are several; they are named.
    """
    called = artifacts_called(name, there)
    if not called:
        raise NotFound("artifact", name, known=[one.name for one in there])
    if len(called) > 1:
        candidates = [one.name for one in called]
        raise InvalidInput(
            f"Several artifacts are called {name!r}.",
            remedy=f"Name one: {', '.join(candidates)}.",
            details={"artifact": name, "candidates": candidates},
        )
    return called[0]
