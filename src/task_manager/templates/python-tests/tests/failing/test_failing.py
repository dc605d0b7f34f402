"""One test passes, one fails, one breaks."""

import pytest


def test_passes() -> None:
    """True is true."""


def test_fails() -> None:
    """One is not two."""
    one = 1
    assert one == 2, "one is not two"  # noqa: PLR2004, S101


@pytest.fixture
def broken() -> None:
    """Cannot be set up."""
    raise RuntimeError("the fixture is broken")


def test_breaks(broken: None) -> None:
    """Never gets that far."""
