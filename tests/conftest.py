"""Fixtures that any test may use: real images, real registries, small disks."""

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.environment import disks, skips, warm_program
from tests.environment.busybox_image import busybox_layout as build_busybox_layout
from tests.environment.go_image import go_layout as build_go_layout
from tests.environment.node_image import node_layout as build_node_layout
from tests.environment.python_image import python_layout as build_python_layout
from tests.environment.registry import Registry, black_hole_address, refused_address, running_registry

_LONGEST: Final = ("test_unprivileged", "test_documentation.py", "test_templates_on_the_engine")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(skips)
    warm_program.begin_run()
    # Who starts the tests in the background may have interrupts ignored, which programs under test would inherit.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # Whoever runs something twice means to execute it twice; tests of the cache switch it on.
    os.environ["TASK_MANAGER_CACHE_ENABLED"] = "false"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are processors: many tests wait for programs that they started."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests, so that the processes that share the others end together."""
    items.sort(key=lambda item: next((n for n, name in enumerate(_LONGEST) if name in item.nodeid), len(_LONGEST)))


def pytest_collection_finish() -> None:
    """Leave what was loaded and collected, which stays to the end, out of the search for what is garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def busybox_layout() -> Path:
    """An OCI image layout with busybox alone."""
    return build_busybox_layout()


@pytest.fixture(scope="session")
def python_layout() -> Path:
    """An OCI image layout with Python and all that the built-in templates require."""
    return build_python_layout()


@pytest.fixture(scope="session")
def node_layout() -> Path:
    """An OCI image layout with Node.js and npm."""
    return build_node_layout()


@pytest.fixture(scope="session")
def go_layout() -> Path:
    """An OCI image layout with Go, without any C compiler."""
    return build_go_layout()


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


@pytest.fixture(scope="session")
def refused_registry() -> Iterator[str]:
    """`127.0.0.1:PORT` where every connection is refused."""
    with refused_address() as address:
        yield address


@pytest.fixture(scope="session")
def black_holed_registry() -> Iterator[str]:
    """`127.0.0.1:PORT` where no connection is ever made nor refused."""
    with black_hole_address() as address:
        yield address


@pytest.fixture
def small_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty file system of 4 MiB; do not resolve its path."""
    with disks.small_disk(tmp_path_factory.mktemp("disk")) as path:
        yield path
