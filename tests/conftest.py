"""Fixtures that any test may use: real images, real registries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment import images
from tests.environment.registry import Registry, running_registry


@pytest.fixture(scope="session")
def busybox_layout() -> Path:
    """An OCI image layout with busybox alone."""
    return images.busybox_layout()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A running, empty registry that lets everybody push and pull."""
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def busybox_image(registry: Registry, busybox_layout: Path) -> str:
    """The reference of the busybox image, `127.0.0.1:PORT/library/busybox:latest`."""
    return registry.push(busybox_layout, "library/busybox", "latest")
