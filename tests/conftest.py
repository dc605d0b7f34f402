"""Fixtures that any test may use: real images, real registries."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.environment.busybox_image import busybox_layout as build_busybox_layout
from tests.environment.python_image import python_layout as build_python_layout
from tests.environment.registry import Registry, running_registry


@pytest.fixture(scope="session")
def busybox_layout() -> Path:
    """An OCI image layout with busybox alone."""
    return build_busybox_layout()


@pytest.fixture(scope="session")
def python_layout() -> Path:
    """An OCI image layout with Python and all that the built-in templates require."""
    return build_python_layout()


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A running, empty registry that lets everybody push and pull."""
    with running_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


@pytest.fixture(scope="session")
def busybox_image(registry: Registry, busybox_layout: Path) -> str:
    """The reference of the busybox image, `127.0.0.1:PORT/library/busybox:latest`."""
    return registry.push(busybox_layout, "library/busybox", "latest")


@pytest.fixture(scope="session")
def python_image(registry: Registry, python_layout: Path) -> str:
    """The reference of the Python image, `127.0.0.1:PORT/library/python:3`."""
    return registry.push(python_layout, "library/python", "3")
