"""One browser and one server for all tests of a module."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.dashboard_server import DashboardServer, running
from tests.browser.looking import Visitor
from tests.environment import packages

Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; none is downloaded."""
    packages.require("chromium")
    with sync_playwright() as playwright:
        # Root has no sandbox of Chromium's; nothing but the test's own server is looked at.
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield chromium
        chromium.close()


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
        visitor.close()
