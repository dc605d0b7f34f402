"""Wheels (the binary distribution format of Python packages)."""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from task_manager.errors import OutputInvalid
from task_manager.results.packages import BuiltPackage
from task_manager.results.parsers.files import Parsed, invalid, open_report, storable_text

# What the standard library raises for an archive that is none, is cut off, or holds damaged or foreign compression.
_DAMAGED = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError, OSError)
_EXPECTED = "a wheel"
_MAXIMUM_BYTES = 1024 * 1024 * 1024
_MAXIMUM_METADATA = 1024 * 1024
_CHUNK = 1024 * 1024
_MAXIMUM_WHEELS = 100
_LISTED = 3
_FILE_NAME = re.compile(r"(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?-(?P<tags>[^-]+-[^-]+-[^-]+)\.whl")


def parse_wheels(path: Path, name: str) -> Parsed[tuple[BuiltPackage, ...]]:
    """Read a wheel, or all wheels of a folder.

    Args:
        path: A `.whl` file, or a folder that directly holds at least one.
        name: As messages call it.

    Returns:
        The wheels, by file name, and those that could not be read.

    Raises:
        OutputInvalid: There is no wheel that can be read.
    """
    if not path.is_dir() or path.is_symlink():
        return Parsed((_parse_wheel(path, name, name),))
    files = sorted(file for file in path.iterdir() if file.suffix == ".whl")[:_MAXIMUM_WHEELS]
    packages: list[BuiltPackage] = []
    problems: list[OutputInvalid] = []
    for file in files:
        try:
            packages.append(_parse_wheel(file, f"{name}/{file.name}", name))
        except OutputInvalid as error:
            problems.append(error)
    if not packages:
        raise problems[0] if problems else invalid(name, expected="a folder with a wheel", found=_listing(path))
    return Parsed(tuple(packages), tuple(problems))


def _listing(folder: Path) -> str:
    names = sorted(file.name for file in folder.iterdir())
    if not names:
        return "an empty folder"
    more = len(names) - _LISTED
    return f"a folder with {', '.join(names[:_LISTED])}" + (f" and {more} more" if more > 0 else "")


def _parse_wheel(path: Path, name: str, artifact: str) -> BuiltPackage:
    match = _FILE_NAME.fullmatch(path.name)
    if match is None:
        raise invalid(name, expected="a file named NAME-VERSION-PYTHON-ABI-PLATFORM.whl", found=repr(path.name))
    with open_report(path, name, expected=_EXPECTED, limit=_MAXIMUM_BYTES) as file:
        digest, size = hashlib.sha256(), 0
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
        try:
            with zipfile.ZipFile(file) as archive:
                metadata = _metadata(archive, name)
        except _DAMAGED as error:
            raise invalid(name, expected=_EXPECTED, found=f"no readable zip archive ({error})") from error
    if not metadata["Name"] or not metadata["Version"]:
        raise invalid(name, expected="metadata with name and version", found="metadata without them")
    return BuiltPackage(
        artifact=artifact,
        file=path.name,
        name=storable_text(str(metadata["Name"])),
        version=storable_text(str(metadata["Version"])),
        size=size,
        digest=f"sha256:{digest.hexdigest()}",
        requires_python=storable_text(str(metadata["Requires-Python"] or "")),
        tags=(match["tags"],),
    )


def _metadata(archive: zipfile.ZipFile, name: str) -> Message:
    places = [info for info in archive.infolist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", info.filename)]
    if len(places) != 1:
        raise invalid(name, expected="one .dist-info/METADATA", found=f"{len(places)} of them")
    if places[0].file_size > _MAXIMUM_METADATA:
        raise invalid(name, expected="metadata of at most 1 MiB", found=f"{places[0].file_size:,} bytes")
    with archive.open(places[0]) as file:
        return BytesParser().parsebytes(file.read(_MAXIMUM_METADATA))
