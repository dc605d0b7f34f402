"""What the interfaces were when their last change was written down, each with that change's line of the changelog.

`python -m tests.compatibility.golden "What changed, for those who rely on it"` takes over what they are now.
"""

from __future__ import annotations

import hashlib
import json
import sys
from typing import Any, Final

from tests.compatibility.interfaces import INTERFACES
from tests.documentation.pages import ROOT

FOLDER: Final = ROOT / "tests" / "compatibility" / "golden"
CHANGELOG: Final = ROOT / "CHANGELOG.md"
HEADING: Final = "## Unreleased\n"


def stored(name: str) -> dict[str, Any]:
    """What is noted of an interface: `interface`, the `change` that made it so, and the `seal` over both."""
    file = FOLDER / f"{name}.json"
    noted: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return noted


def seal(interface: Any, change: str) -> str:
    """Binds an interface to the line of its change, so that neither is edited alone."""
    return hashlib.sha256(json.dumps([interface, change], sort_keys=True).encode()).hexdigest()


def take_over(change: str) -> list[str]:
    """Note what the interfaces are now; returns the names of those that changed."""
    now = {name: json.loads(json.dumps(read())) for name, read in INTERFACES.items()}
    changed = [name for name, interface in now.items() if stored(name).get("interface") != interface]
    for name in changed:
        noted = {"change": change, "seal": seal(now[name], change), "interface": now[name]}
        (FOLDER / f"{name}.json").write_text(json.dumps(noted, indent=1, ensure_ascii=False) + "\n")
    text = CHANGELOG.read_text()
    if changed and line_of(change) not in text:
        CHANGELOG.write_text(text.replace(f"{HEADING}\n", f"{HEADING}\n{line_of(change)}", 1))
    return changed


def line_of(change: str) -> str:
    """The line of the changelog for a change."""
    return f"- {change}\n"


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].strip():
        sys.exit('say what changed: make golden CHANGE="…"')
    print("changed:", ", ".join(take_over(sys.argv[1].strip())) or "nothing")  # noqa: T201
