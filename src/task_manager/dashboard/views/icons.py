"""Small line drawings, in a square of 24 by 24."""

from __future__ import annotations

from typing import Final

from task_manager.dashboard.views.tree import Node, h

_CIRCLE: Final = "M12 3a9 9 0 1 0 0 18a9 9 0 0 0 0-18z"
_PATHS: Final = {
    "overview": "M4 4h7v7H4zM13 4h7v4h-7zM13 11h7v9h-7zM4 14h7v6H4z",
    "runs": f"{_CIRCLE}M10 8.5v7l5.5-3.5z",
    "projects": "M3 6.5a1.5 1.5 0 0 1 1.5-1.5H9l2.5 2.5h8A1.5 1.5 0 0 1 21 9v8.5a1.5 1.5 0 0 1-1.5 1.5h-15A1.5"
    " 1.5 0 0 1 3 17.5z",
    "templates": "M4 4h16v16H4zM4 9h16M10 9v11",
    "statistics": "M4 20h16M7 16v-5M12 16V6M17 16v-8",
    "settings": "M4 7h9M18 7h2M4 17h2M11 17h9M15.5 4.5a2.5 2.5 0 1 0 0 5a2.5 2.5 0 0 0 0-5zM8.5 14.5a2.5 2.5"
    " 0 1 0 0 5a2.5 2.5 0 0 0 0-5z",
    "good": f"{_CIRCLE}M8 12.5l2.7 2.7L16 9.5",
    "bad": f"{_CIRCLE}M9 9l6 6M15 9l-6 6",
    "active": "M12 3a9 9 0 1 0 9 9",
    "waiting": f"{_CIRCLE}M12 7.5V12l3 2",
    "stopped": f"{_CIRCLE}M8 12h8",
    "warn": "M12 4l9 16H3zM12 10v4M12 17v.200",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "close": "M6 6l12 12M18 6L6 18",
    "search": "M10.5 4a6.5 6.5 0 1 0 0 13a6.5 6.5 0 0 0 0-13zM20 20l-4.8-4.8",
    "download": "M12 4v11M7.5 11l4.5 4.5l4.5-4.5M4 20h16",
    "again": "M20 12a8 8 0 1 1-2.5-5.8M20 4v4.5h-4.5",
    "stop": "M7 7h10v10H7z",
    "pause": "M8 6v12M16 6v12",
    "play": "M8 5.5v13l10.5-6.5z",
    "right": "M9 5l7 7l-7 7",
    "left": "M15 5l-7 7l7 7",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
    "bolt": "M13 3L5 14h6l-1 7l8-11h-6z",
    "file": "M6 3h8l4 4v14H6zM14 3v4h4",
    "folder": "M3 6h6l2 2h10v11H3z",
    "person": "M12 4a4 4 0 1 0 0 8a4 4 0 0 0 0-8zM4.5 20.5c1-4 4-5.5 7.5-5.5s6.5 1.5 7.5 5.5",
    "theme": "M12 3a9 9 0 1 0 0 18z M12 3a9 9 0 0 1 0 18",
    "add": "M12 5v14M5 12h14",
    "plug": "M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4",
    "worker": "M5 7h14v10H5zM9 3v4M15 3v4M9 17v4M15 17v4",
    "edit": "M4 20l1-4L16 5l3 3L8 19z",
    "up": "M12 19V5M6 11l6-6l6 6",
    "down": "M12 5v14M6 13l6 6l6-6",
    "trash": "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
}


def icon(name: str, *, class_: str = "") -> Node:
    """A drawing; it says nothing to a screen reader: the text beside it does."""
    path = h("path", d=_PATHS[name])
    return h("svg", path, class_=f"icon {class_}".strip(), viewBox="0 0 24 24", aria_hidden="true", focusable="false")
