"""Writes OCI image layouts (OCI image specification 1.1, `image-layout.md`, `config.md`, `manifest.md`).

A layout is a folder with `oci-layout`, `index.json` and one file a blob under `blobs/sha256`. Here it always holds
one image.
"""

import gzip
import hashlib
import json
import platform
import tarfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final, cast

import zstandard

CONFIG_TYPE: Final = "application/vnd.oci.image.config.v1+json"
INDEX_TYPE: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST_TYPE: Final = "application/vnd.oci.image.manifest.v1+json"

SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

_ARCHITECTURES: Final = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm"}


class Compression(StrEnum):
    """How a layer is packed: the end of its media type."""

    GZIP = "gzip"
    ZSTD = "zstd"

    @property
    def media_type(self) -> str:
        return f"application/vnd.oci.image.layer.v1.tar+{self}"


@dataclass(frozen=True)
class Layer:
    """One layer: a function that adds its entries to an open archive, and how that is packed."""

    fill: Callable[[tarfile.TarFile], None]
    compression: Compression = Compression.GZIP


@dataclass(frozen=True)
class ImageSettings:
    """What an image says about the containers made from it."""

    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: {"PATH": SYSTEM_PATH})
    working_directory: str = ""


@dataclass(frozen=True)
class Descriptor:
    """Names a blob by media type, digest (`sha256:…`) and size in bytes."""

    media_type: str
    digest: str
    size: int

    def as_json(self) -> dict[str, object]:
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def architecture() -> str:
    """Returns this machine's architecture by the name that images use (the one of Go's GOARCH)."""
    return _ARCHITECTURES.get(platform.machine(), platform.machine())


def add_directory(layer: tarfile.TarFile, path: str, mode: int = 0o755) -> None:
    """Adds a folder that belongs to root."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    layer.addfile(entry)


def add_file(layer: tarfile.TarFile, path: str, content: bytes, mode: int = 0o644) -> None:
    """Adds a file that belongs to root."""
    entry = tarfile.TarInfo(path)
    entry.size, entry.mode = len(content), mode
    layer.addfile(entry, BytesIO(content))


def add_link(layer: tarfile.TarFile, path: str, target: str) -> None:
    """Adds a symbolic link that belongs to root."""
    entry = tarfile.TarInfo(path)
    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
    layer.addfile(entry)


def layer_of(layout: Path, number: int) -> Layer:
    """Returns a layer of another layout's image, counted from 0, the lowest."""
    descriptor = read_manifest(layout)[1][number]

    def fill(layer: tarfile.TarFile) -> None:
        with (
            unpacking(descriptor, blob_path(layout, descriptor.digest)) as content,
            tarfile.open(mode="r|", fileobj=content) as archive,
        ):
            for entry in archive:
                layer.addfile(entry, archive.extractfile(entry) if entry.isfile() else None)

    return Layer(fill)


def tree(
    root: Path, target: str = "", *, leave_out: Callable[[PurePosixPath], bool] = lambda _: False
) -> Callable[[tarfile.TarFile], None]:
    """Returns what adds a folder's content, all of it root's, to a layer.

    Args:
        root: The folder.
        target: Where its content appears in the image, such as `usr/local`.
        leave_out: Whether a path, relative to `root`, is left out with all below it.
    """

    def accept(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if leave_out(PurePosixPath(entry.name).relative_to(target)):
            return None
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        return entry

    def fill(layer: tarfile.TarFile) -> None:
        for path in sorted(root.iterdir()):
            layer.add(path, (PurePosixPath(target) / path.name).as_posix(), filter=accept)

    return fill


def write_layout(folder: Path, layers: Sequence[Layer], settings: ImageSettings) -> None:
    """Writes an image layout.

    Args:
        folder: An existing folder that becomes the layout.
        layers: The layers, lowest first. The same entries give the same digests.
        settings: What the image's configuration says.
    """
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    written = [_write_layer(blobs, layer) for layer in layers]
    config = _write_json(blobs, CONFIG_TYPE, _config(settings, [diff_id for _, diff_id in written]))
    manifest = _write_json(
        blobs,
        MANIFEST_TYPE,
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": config.as_json(),
            "layers": [descriptor.as_json() for descriptor, _ in written],
        },
    )
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [manifest.as_json()]}
    (folder / "index.json").write_text(json.dumps(index))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


def unpacking(layer: Descriptor, blob: Path) -> AbstractContextManager[BinaryIO]:
    """Returns a layer's plain archive, opened for reading from start to end."""
    if layer.media_type == Compression.ZSTD.media_type:
        reader = zstandard.ZstdDecompressor().stream_reader(blob.open("rb"), closefd=True)
        return cast("AbstractContextManager[BinaryIO]", reader)
    return cast("AbstractContextManager[BinaryIO]", gzip.open(blob))


def manifest_of(layout: Path) -> Descriptor:
    """Returns the descriptor of a layout's only manifest."""
    (entry,) = json.loads((layout / "index.json").read_text())["manifests"]
    return _descriptor(entry)


def read_manifest(layout: Path) -> tuple[Descriptor, tuple[Descriptor, ...]]:
    """Returns the descriptors of an image's configuration and of its layers, lowest first."""
    manifest = json.loads(blob_path(layout, manifest_of(layout).digest).read_bytes())
    return _descriptor(manifest["config"]), tuple(map(_descriptor, manifest["layers"]))


def blob_path(layout: Path, digest: str) -> Path:
    """Returns the file that holds a blob."""
    return layout / "blobs" / Path(*digest.split(":"))


def _descriptor(entry: Mapping[str, str | int]) -> Descriptor:
    return Descriptor(str(entry["mediaType"]), str(entry["digest"]), int(entry["size"]))


def _config(settings: ImageSettings, diff_ids: Sequence[str]) -> dict[str, object]:
    run: dict[str, object] = {"Env": [f"{name}={value}" for name, value in settings.environment.items()]}
    if settings.command:
        run["Cmd"] = list(settings.command)
    if settings.working_directory:
        run["WorkingDir"] = settings.working_directory
    return {
        "architecture": architecture(),
        "os": "linux",
        "config": run,
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [{"created_by": "the tests"} for _ in diff_ids],
    }


def _write_layer(blobs: Path, layer: Layer) -> tuple[Descriptor, str]:
    """Writes one packed layer; returns its descriptor and the digest of the plain archive (its diff id)."""
    aside = blobs / "writing"
    with aside.open("wb") as file, _packing(layer.compression, file) as packed:
        plain = _Hashed(packed)
        with tarfile.open(mode="w|", fileobj=cast("BinaryIO", plain), format=tarfile.PAX_FORMAT) as archive:
            layer.fill(archive)
    with aside.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    descriptor = Descriptor(layer.compression.media_type, f"sha256:{digest}", aside.stat().st_size)
    aside.rename(blobs / digest)
    return descriptor, f"sha256:{plain.hexdigest()}"


def _packing(compression: Compression, file: BinaryIO) -> AbstractContextManager[BinaryIO]:
    """Returns what packs all that is written to it into `file`."""
    if compression is Compression.ZSTD:
        writer = zstandard.ZstdCompressor(level=3, threads=-1).stream_writer(file, closefd=False)
        return cast("AbstractContextManager[BinaryIO]", writer)
    # No time in the header: the same layer is the same file.
    return cast("AbstractContextManager[BinaryIO]", gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0))


def _write_json(blobs: Path, media_type: str, document: Mapping[str, object]) -> Descriptor:
    content = json.dumps(document, sort_keys=True).encode()
    digest = hashlib.sha256(content).hexdigest()
    (blobs / digest).write_bytes(content)
    return Descriptor(media_type, f"sha256:{digest}", len(content))


class _Hashed:
    """A file to write to that also hashes what passes."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def write(self, data: bytes) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
