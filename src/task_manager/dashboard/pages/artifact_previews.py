"""What artifacts look like, without downloading them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from task_manager.application import Application
from task_manager.artifacts.names import artifact_called
from task_manager.dashboard.views.run_result import artifact_address
from task_manager.dashboard.views.tree import Node, h
from task_manager.models import Artifact
from task_manager.results.wording import size_text

MOST_BYTES: Final = 64 * 1024
"""How much of a text is shown."""

_MOST_ENTRIES: Final = 200
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})


async def preview(application: Application, left: Sequence[Artifact], name: str) -> Node:
    """An artifact as a picture, a text or a list of files.

    Args:
        application: The application.
        left: What the run left.
        name: Of the artifact.

    Raises:
        NotFound: The run left no such thing.
        ArtifactError: It cannot be read.
    """
    artifact = artifact_called(name, left)
    if artifact.is_directory:
        entries = await application.artifacts.entries(artifact.digest)
        rows = [
            h("li", h("code", one.path), h("small", size_text(one.size) if one.size else one.kind.value))
            for one in entries[:_MOST_ENTRIES]
        ]
        more = len(entries) - len(rows)
        return h("ul", *rows, h("li", f"{more:,} more") if more > 0 else None, class_="changes")
    if artifact.media_type in _PICTURES:
        return h("img", src=artifact_address(artifact.run_id, artifact.name), alt=artifact.name, class_="picture")
    if not artifact.size:
        return h("p", "It is empty.", class_="muted")
    content = await application.artifacts.read(artifact.digest, limit=MOST_BYTES)
    if b"\0" in content:
        return h("p", "It is binary; download it to look at it.", class_="muted")
    cut = h("small", f"The first {size_text(MOST_BYTES)}.") if artifact.size > MOST_BYTES else None
    return h("div", h("pre", content.decode("utf-8", "replace"), class_="block", tabindex="0"), cut)
