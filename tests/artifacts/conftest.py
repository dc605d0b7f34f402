"""Every place that artifacts are kept in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.artifacts.places import FolderPlace, Place, S3Place, s3_server


@pytest.fixture(scope="session")
def s3_address() -> Iterator[str]:
    """The address of a server on loopback that speaks S3."""
    with s3_server() as address:
        yield address


@pytest.fixture(params=["folder", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A place with nothing in it."""
    if request.param == "folder":
        return FolderPlace(tmp_path / "kept")
    return S3Place(request.getfixturevalue("s3_address"))
