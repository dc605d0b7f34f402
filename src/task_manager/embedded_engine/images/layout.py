"""Images in OCI layouts on disk; specification: OCI image-spec, image-layout.md."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from task_manager.embedded_engine.errors import ImageNotPulledError
from task_manager.embedded_engine.images.references import LAYOUT_SCHEME, LayoutReference
from task_manager.embedded_engine.images.sources import Manifest, sha256

_CHUNK = 1 << 20
_TAG_ANNOTATION = "org.opencontainers.image.ref.name"


class Layout:
    """A layout's manifests and blobs."""

    def __init__(self, reference: LayoutReference) -> None:
        self._folder = Path(reference.folder)
        self._name = f"{LAYOUT_SCHEME}{reference.folder}" + (f":{reference.tag}" if reference.tag else "")

    async def manifest(self, target: str) -> Manifest:
        """Return the manifest or index that a tag or digest names; an empty target is the only one there.

        Raises:
            ImageNotPulledError: It is not there, or not what its digest says.
        """
        return await asyncio.to_thread(self._manifest, target)

    @asynccontextmanager
    async def blob(self, digest: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """Give a blob's bytes in pieces.

        Raises:
            ImageNotPulledError: It is not there.
        """
        try:
            file = await asyncio.to_thread(self._path(digest).open, "rb")
        except OSError as error:
            raise self._broken(f"the blob {digest} cannot be read: {error.strerror}") from error

        async def pieces() -> AsyncIterator[bytes]:
            while data := await asyncio.to_thread(file.read, _CHUNK):
                yield data

        with file:
            yield pieces()

    def _manifest(self, target: str) -> Manifest:
        digest, media_type = (target, "") if target.startswith("sha256:") else self._listed(target)
        try:
            data = self._path(digest).read_bytes()
        except OSError as error:
            raise self._broken(f"the manifest {digest} cannot be read: {error.strerror}") from error
        if sha256(data) != digest:
            raise self._broken(f"the manifest's digest is {sha256(data)}, not {digest}")
        return Manifest(data, digest, media_type or str(_object(data).get("mediaType", "")))

    def _listed(self, tag: str) -> tuple[str, str]:
        try:
            listed = _object((self._folder / "index.json").read_bytes())["manifests"]
            found = [item for item in listed if not tag or item.get("annotations", {}).get(_TAG_ANNOTATION) == tag]
            if len(found) == 1:
                return found[0]["digest"], found[0].get("mediaType", "")
        except OSError as error:
            raise self._broken(f"it is no OCI layout: index.json cannot be read: {error.strerror}") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._broken("index.json is not an OCI index") from error
        if tag:
            raise self._broken(f"it has no image with the tag {tag}")
        raise self._broken(f"it has {len(found)} images: name one with :tag")

    def _path(self, digest: str) -> Path:
        algorithm, _, value = digest.partition(":")
        if algorithm != "sha256" or not value.isalnum():
            raise self._broken(f"{digest} is no digest that can be verified")
        return self._folder / "blobs" / algorithm / value

    def _broken(self, reason: str) -> ImageNotPulledError:
        return ImageNotPulledError(self._name, reason)


def _object(data: bytes) -> dict[str, Any]:
    content = json.loads(data)
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - a bad value of a document
    return content
