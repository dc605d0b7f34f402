"""Tests that pass, one of which is skipped."""

import os

import pytest
from calculator import add


def test_sum() -> None:
    """Two and two are four."""
    assert add(2, 2) == 4  # noqa: PLR2004, S101


def test_environment() -> None:
    """The task's environment arrives as text."""
    assert os.environ.get("LEVEL", "1") == "1"  # noqa: S101


@pytest.mark.skip(reason="not today")
def test_later() -> None:
    """Never run."""
