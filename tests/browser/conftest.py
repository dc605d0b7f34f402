"""One browser and one server for all tests of a module."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.dashboard_server import DashboardServer, running
from tests.browser.looking import Visitor
from tests.environment import packages

Visit = Callable[..., Visitor]

# Playwright leaves a running event loop in the thread that uses it, where other tests want to run one of their own.
_THREAD: Final = ThreadPoolExecutor(1, thread_name_prefix="browser")


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Calls the test in the browser's thread."""
    test = pyfuncitem.obj
    pyfuncitem.obj = lambda **values: _THREAD.submit(test, **values).result()
    try:
        return (yield)
    finally:
        pyfuncitem.obj = test


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; none is downloaded."""
    packages.require("chromium")
    playwright = _THREAD.submit(sync_playwright().start).result()
    # Root has no sandbox of Chromium's; nothing but the test's own server is looked at.
    launch = functools.partial(
        playwright.chromium.launch,
        executable_path=shutil.which("chromium"),
        args=["--no-sandbox", "--disable-dev-shm-usage"],
    )
    chromium = _THREAD.submit(launch).result()
    yield chromium
    for end in (chromium.close, playwright.stop):
        _THREAD.submit(end).result()


@pytest.fixture(scope="module")
def server(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DashboardServer]:
    """A running server with an empty data folder; without a browser it is not even started."""
    with running(tmp_path_factory.mktemp("dashboard")) as started:
        yield started


@pytest.fixture
def visit(browser: Browser, server: DashboardServer) -> Iterator[Visit]:
    """Makes visitors of the server; what went wrong in their browsers fails the test."""
    visitors: list[Visitor] = []

    def make(**options: object) -> Visitor:
        visitors.append(Visitor(browser, server.url, **options))  # type: ignore[arg-type]
        return visitors[-1]

    yield make
    for visitor in visitors:
        _THREAD.submit(visitor.close).result()
