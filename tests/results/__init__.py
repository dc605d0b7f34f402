"""What real tools wrote, as files to read in tests."""

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"
"""Real outputs of pytest, ruff, hatchling and the built-in templates' scripts; its README.md says how made."""
