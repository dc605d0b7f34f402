"""From a reference to an image: what it is, and its layers in the store."""

import asyncio
import gzip
import hashlib
import io
import json
import shutil
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from task_manager.embedded_engine import model
from task_manager.embedded_engine.errors import ImageNotPulledError
from task_manager.embedded_engine.images.layout import Layout
from task_manager.embedded_engine.images.references import LAYOUT_SCHEME, parse_layout_reference, parse_reference
from task_manager.embedded_engine.images.sources import (
    Credentials,
    ImageConfig,
    ImageSource,
    Manifest,
    RegistrySettings,
    parse_config,
    sha256,
)
from task_manager.embedded_engine.images.unpacking import BadArchiveError, unpack
from task_manager.embedded_engine.single_flight import SingleFlight
from task_manager.embedded_engine.snapshots import Snapshot, Threads, with_layer, writable
from task_manager.embedded_engine.store.layers import LayerStore, Record, Workspace

if TYPE_CHECKING:
    from task_manager.embedded_engine.images.registry import RegistryClient

_LARGEST_CONFIG = 8 << 20
# How long a tag is taken to stand for the same image.
_RESOLVED_SECONDS = 60.0


@dataclass(frozen=True)
class Image:
    """An image that was looked up: its root's description, its configuration, its reference with digest."""

    root: model.ImageRoot
    config: ImageConfig
    pinned: str


class ImagePuller:
    """Looks images up and brings their layers into the store."""

    def __init__(self, store: LayerStore, threads: Threads, settings: RegistrySettings, parallelism: int) -> None:
        self._store = store
        self._threads = threads
        self._settings = settings
        self._client: RegistryClient | None = None
        self._slots = asyncio.Semaphore(parallelism)
        self._unpacking: dict[str, asyncio.Lock] = {}
        self._flights = SingleFlight()
        self._resolved: dict[tuple[str, str, Credentials | None], tuple[float, Image]] = {}

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()

    async def resolve(self, text: str, wanted: str, credentials: Credentials | None) -> Image:
        """Return the image that a reference names; a registry that said so lately is not asked again.

        Args:
            text: The reference.
            wanted: The platform, such as linux/amd64.
            credentials: For the registry; None for what the Docker configuration knows.

        Raises:
            RegistryUnreachableError: The registry did not answer.
            ImageNotPulledError: There is no such image, or it is broken.
        """
        key = (text, wanted, credentials)
        now = time.monotonic()
        moment, known = self._resolved.get(key, (-_RESOLVED_SECONDS, None))
        if known is not None and now - moment < _RESOLVED_SECONDS:
            return known
        image = await self._flights.run(repr(key), lambda: self._resolve(text, wanted, credentials))
        self._resolved[key] = (now, image)
        return image

    async def _resolve(self, text: str, wanted: str, credentials: Credentials | None) -> Image:
        source, target, name = self._source(text, credentials)
        manifest = await source.manifest(target)
        digest = manifest.digest
        try:
            if manifest.is_index:
                manifest = await source.manifest(_chosen(manifest, wanted, name))
            return await self._image(source, manifest, name, digest, credentials)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ImageNotPulledError(name, f"its manifest or configuration is broken: {error}") from error

    async def root(self, tree: model.ImageRoot) -> Snapshot:
        """Return the snapshot of an image's root, its missing layers fetched and unpacked.

        Raises:
            RegistryUnreachableError: The registry did not answer.
            ImageNotPulledError: A layer is missing, broken, or not what its digest says.
            StorageError: The store is full or failed.
        """
        keys = _chain_keys(tree.layers)
        for length in range(len(keys), 0, -1):
            if (record := self._store.lookup(keys[length - 1])) is not None:
                break
        else:
            length, record = 0, None
        snapshot = _output(record) if record else Snapshot()
        if length == len(keys):
            return snapshot
        return await self._pull(tree, keys, length, snapshot)

    async def _pull(self, tree: model.ImageRoot, keys: Sequence[str], done: int, snapshot: Snapshot) -> Snapshot:
        source, _, name = self._source(tree.reference, cast("Credentials | None", tree.auth))
        folder = self._store.session_folder / f"pull-{keys[-1][:16]}"
        async with self._unpacking.setdefault(keys[-1], asyncio.Lock()):
            with self._store.guarded():
                folder.mkdir(exist_ok=True)
            fetches = [asyncio.ensure_future(self._fetch(source, layer, folder, name)) for layer in tree.layers[done:]]
            try:
                for layer, key, fetch in zip(tree.layers[done:], keys[done:], fetches, strict=True):
                    blob = await fetch
                    snapshot = await self._threads.run(self._unpack, blob, layer, key, snapshot, name)
            finally:
                for fetch in fetches:
                    fetch.cancel()
                await asyncio.gather(*fetches, return_exceptions=True)
                await self._threads.run(shutil.rmtree, folder, True)
        return snapshot

    def _source(self, text: str, credentials: Credentials | None) -> tuple[ImageSource, str, str]:
        if text.startswith(LAYOUT_SCHEME):
            layout = parse_layout_reference(text.partition("@")[0])
            return Layout(layout), text.partition("@")[2] or layout.tag, text
        reference = parse_reference(text)
        if self._client is None:
            # Loading an HTTP client takes longer than all the rest; sessions that pull nothing start without it.
            from task_manager.embedded_engine.images.registry import RegistryClient

            self._client = RegistryClient(self._settings)
        return self._client.repository(reference, credentials), reference.target, str(reference)

    async def _image(
        self, source: ImageSource, manifest: Manifest, name: str, digest: str, credentials: Credentials | None
    ) -> Image:
        content = manifest.parsed()
        config = parse_config(json.loads(await self._small_blob(source, content["config"]["digest"], name)))
        described = content["layers"]
        if len(described) != len(config.diff_ids):
            raise ImageNotPulledError(name, "its manifest and its configuration list different layers")
        layers = tuple(_layer(item, diff_id) for item, diff_id in zip(described, config.diff_ids, strict=True))
        pinned = _pinned(name, digest)
        return Image(model.ImageRoot(layers, _pinned(name, manifest.digest), credentials), config, pinned)

    async def _small_blob(self, source: ImageSource, digest: str, name: str) -> bytes:
        data = bytearray()
        async with source.blob(digest) as pieces:
            async for piece in pieces:
                data += piece
                if len(data) > _LARGEST_CONFIG:
                    raise ImageNotPulledError(name, f"its configuration is larger than {_LARGEST_CONFIG} bytes")
        if sha256(bytes(data)) != digest:
            raise ImageNotPulledError(name, f"its configuration's digest is {sha256(bytes(data))}, not {digest}")
        return bytes(data)

    async def _fetch(self, source: ImageSource, layer: model.ImageLayer, folder: Path, name: str) -> Path:
        """Bring a layer's blob to a file, its digest verified."""
        digest = hashlib.sha256()
        path = folder / layer.blob.removeprefix("sha256:")
        async with self._slots, source.blob(layer.blob) as pieces:
            with self._store.guarded(), path.open("wb") as file:
                async for piece in pieces:
                    digest.update(piece)
                    file.write(piece)
        if f"sha256:{digest.hexdigest()}" != layer.blob:
            raise ImageNotPulledError(
                name, f"a layer's digest is sha256:{digest.hexdigest()}, not {layer.blob}: nothing of it is kept"
            )
        return path

    def _unpack(self, blob: Path, layer: model.ImageLayer, key: str, base: Snapshot, name: str) -> Snapshot:
        if (record := self._store.lookup(key)) is not None:
            return _output(record)
        with self._store.workspace() as workspace:
            try:
                with blob.open("rb") as file, writable(self._store, base, workspace) as target:
                    archive = _Verified(_decompressed(file))
                    unpack(cast("BinaryIO", archive), target)
                    archive.drain()
            except (BadArchiveError, EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise ImageNotPulledError(name, str(error)) from error
            if archive.digest != layer.diff_id:
                raise ImageNotPulledError(name, f"a layer unpacks to {archive.digest}, not {layer.diff_id}")
            snapshot = with_layer(self._store, base, workspace, key)
            return _output(self._commit(workspace, key, snapshot))

    def _commit(self, workspace: Workspace, key: str, snapshot: Snapshot) -> Record:
        return self._store.commit(workspace, key, {"outputs": [snapshot.plain()], "kind": "image layer"})


class _Verified(io.RawIOBase):
    """Reads a stream and takes its digest on the way."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return bytes of the stream."""
        data = self._stream.read(size)
        self._digest.update(data)
        return data

    def drain(self) -> None:
        """Read what follows the archive's end mark."""
        while self.read(1 << 20):
            pass

    @property
    def digest(self) -> str:
        """The digest of what was read."""
        return f"sha256:{self._digest.hexdigest()}"


def _decompressed(file: BinaryIO) -> BinaryIO:
    """Return a blob uncompressed, by what it begins with: media types are not always right."""
    magic = file.read(4)
    file.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return cast("BinaryIO", gzip.GzipFile(fileobj=file))
    if magic == b"\x28\xb5\x2f\xfd":
        import zstandard

        return cast("BinaryIO", zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True))
    return file


def _chosen(index: Manifest, wanted: str, name: str) -> str:
    """Return the digest of the manifest for a platform.

    Raises:
        ImageNotPulledError: The index has none.
    """
    system, architecture, *variant = wanted.split("/")
    available = []
    for item in index.parsed()["manifests"]:
        offered: dict[str, Any] = item.get("platform") or {}
        available.append(f"{offered.get('os', '?')}/{offered.get('architecture', '?')}")
        same = not offered or (offered.get("os"), offered.get("architecture")) == (system, architecture)
        if same and (not variant or offered.get("variant") in (None, "", variant[0])):
            return str(item["digest"])
    raise ImageNotPulledError(name, f"it has no image for {wanted}, only for {', '.join(dict.fromkeys(available))}")


def _layer(item: dict[str, Any], diff_id: str) -> model.ImageLayer:
    return model.ImageLayer(diff_id, item["digest"], item.get("mediaType", ""), int(item.get("size", 0)))


def _chain_keys(layers: Sequence[model.ImageLayer]) -> list[str]:
    """Return, per layer, the key of it on top of those below; as in OCI image-spec, config.md, "Layer ChainID"."""
    keys: list[str] = []
    for layer in layers:
        text = f"image-layer\0{keys[-1] if keys else ''}\0{layer.diff_id}"
        keys.append(hashlib.sha256(text.encode()).hexdigest())
    return keys


def _pinned(name: str, digest: str) -> str:
    return f"{name.partition('@')[0]}@{digest}"


def _output(record: Record) -> Snapshot:
    return Snapshot.recorded(record.data["outputs"][0])
