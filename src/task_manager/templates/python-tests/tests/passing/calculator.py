"""Something to test."""


def add(one: int, other: int) -> int:
    """The sum."""
    return one + other
