"""A browser that takes nothing amiss silently: console errors and requests to others fail the test."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tests.browser.dashboard_server import PATIENCE
from tests.environment.node import node_modules

PICTURES: Final = Path(os.environ.get("BROWSER_PICTURES") or Path(__file__).parents[2] / "build" / "browser")
"""Where pictures of the pages are kept, to be looked at."""

DESKTOP: Final = (1440, 900)
PHONE: Final = (390, 844)

_SERIOUS: Final = ("serious", "critical")
_GONE_SERVER: Final = re.compile("WebSocket connection to|net::ERR_")

expect.set_options(timeout=PATIENCE * 1000)


class Visitor:
    """Somebody who looks at pages in a browser of their own.

    Args:
        browser: The browser.
        url: The server, which nothing but is asked.
        size: Of the window, in pixels.
        dark: Whether the system is set to dark colours.
    """

    def __init__(self, browser: Browser, url: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> None:
        width, height = size
        self.url = url
        self.context: BrowserContext = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
            accept_downloads=True,
        )
        self.context.set_default_timeout(PATIENCE * 1000)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.server_may_go = False
        self._name = f"{width}-{'dark' if dark else 'light'}"
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.context.on("request", self._see)

    def open(self, path: str) -> Page:
        """Open a page, and wait until it is there."""
        self.page.goto(f"{self.url}{path}")
        self.page.locator(".content h1").first.wait_for()
        return self.page

    def picture(self, name: str) -> None:
        """Keep a picture of the page."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=PICTURES / f"{name}-{self._name}.png", full_page=True)

    def is_wider_than_the_window(self) -> bool:
        """Whether one would have to scroll sideways."""
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(self.page.evaluate(script))

    def barriers(self) -> list[str]:
        """What keeps people from using the page, as axe-core finds: serious and critical alone."""
        folder = node_modules(Path(__file__).parent / "axe")
        self.page.evaluate((folder / "axe-core" / "axe.min.js").read_text())
        found: dict[str, Any] = self.page.evaluate("axe.run({resultTypes: ['violations']})")
        return [
            f"{one['id']}: {one['help']}: {[node['html'][:200] for node in one['nodes'][:3]]}"
            for one in found["violations"]
            if one["impact"] in _SERIOUS
        ]

    def close(self) -> None:
        """Go; complaints that were heard fail the test."""
        self.context.close()
        assert not self.complaints, self.complaints

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not (self.server_may_go and _GONE_SERVER.search(message.text)):
            self.complaints.append(f"console: {message.text}")

    def _see(self, request: Request) -> None:
        own = (self.url, self.url.replace("http", "ws", 1), "data:", "blob:")
        if not request.url.startswith(own):
            self.complaints.append(f"asked another server: {request.url}")
