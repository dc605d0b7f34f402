"""The frame around each page: navigation, theme, what the browser loads."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

from task_manager.dashboard.views.icons import icon
from task_manager.dashboard.views.tree import Node, h

STATIC: Final = Path(__file__).parent.parent / "static"
STATIC_PATH: Final = "/_dashboard"
"""Where the files of `STATIC` are served."""

_PLACES: Final = (
    ("overview", "Overview", "/"),
    ("runs", "Runs", "/runs"),
    ("projects", "Projects", "/projects"),
    ("templates", "Templates", "/templates"),
    ("statistics", "Statistics", "/statistics"),
    ("settings", "Settings", "/settings"),
)


def _address(name: str) -> str:
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?{digest}"


HEAD: Final = (
    f'<script src="{_address("dashboard.js")}"></script>'
    f'<link rel="stylesheet" href="{_address("dashboard.css")}">'
    f'<link rel="stylesheet" href="{_address("work.css")}">'
    '<meta name="color-scheme" content="light dark">'
)
"""What is added to the head of each page."""


def navigation(place: str, *, with_session: bool = False) -> list[Node]:
    """The navigation: beside the page, and on small screens a drawer.

    Args:
        place: The entry that the page belongs to.
        with_session: Whether the browser has logged in, and can log out.
    """
    entries = [
        h("a", icon(name), h("span", text), href=href, aria_current="page" if name == place else None)
        for name, text, href in _PLACES
    ]
    menu = h(
        "button", icon("menu"), type="button", class_="menu", aria_label="Open the navigation", data_drawer="toggle"
    )
    theme = h("button", icon("theme"), h("span", "Theme"), type="button", class_="theme", data_theme_button="")
    brand = h("a", h("span", class_="brand-mark"), h("span", "Task Manager"), href="/", class_="brand")
    return [
        h("a", "Skip to the content", href="#main", class_="skip"),
        h("header", menu, brand, class_="topbar"),
        h("div", class_="shade", data_drawer="close"),
        h(
            "nav",
            brand,
            h("div", *entries, class_="places"),
            h("div", theme, _logout() if with_session else None, class_="nav-end"),
            class_="nav",
            aria_label="Main",
        ),
    ]


def _logout() -> Node:
    button = h("button", icon("person"), h("span", "Log out"), type="submit", class_="theme")
    return h("form", button, method="post", action="/logout")


def trouble(place: str, message: str, remedy: str) -> list[Node]:
    """A page that cannot be shown: why, what to do, and a way out.

    Args:
        place: The entry of the navigation that it belongs to; empty: none.
        message: What is wrong.
        remedy: What to do; may be empty.
    """
    name, href = next(((text, href) for one, text, href in _PLACES if one == place), ("Overview", "/"))
    way_out = h("a", f"Go to {name}", href=href, class_="button")
    drawing, text = icon("warn"), h("p", remedy) if remedy else None
    return [h("div", drawing, h("h1", message), text, way_out, class_="empty", role="alert")]


def heading(
    title: str, *parts: Node | None, trail: tuple[tuple[str, str], ...] = (), under: Node | None = None
) -> Node:
    """A page's heading.

    Args:
        title: The page's name.
        parts: Buttons and the like, at the right.
        trail: What is above the page: names and addresses.
        under: A line below the title.
    """
    links = [part for name, href in trail for part in (h("a", name, href=href), h("span", "/", aria_hidden="true"))]
    above = h("nav", *links, class_="trail", aria_label="Breadcrumb") if links else None
    texts = h("div", above, h("h1", title), under, class_="heading-text")
    return h("div", texts, h("div", *parts, class_="heading-parts"), class_="heading")
