"""Links of the documentation lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def documents() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True)
    return listed.stdout.split()


def anchors(path: Path) -> set[str]:
    """The anchors that headings get: lower case, spaces as hyphens, no punctuation."""
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in HEADING.findall(path.read_text())}


@pytest.mark.parametrize("document", documents())
def test_relative_links_lead_to_files_and_headings(document: str) -> None:
    path = ROOT / document
    for link in LINK.findall(path.read_text()):
        if "://" not in link and not link.startswith("mailto:"):
            place, _, anchor = link.partition("#")
            target = (path.parent / place).resolve() if place else path
            assert target.exists(), f"{document}: {link}"
            assert not anchor or anchor in anchors(target), f"{document}: {link}"
