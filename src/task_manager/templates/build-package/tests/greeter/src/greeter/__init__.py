"""Greets."""


def greet(name: str) -> str:
    """A greeting."""
    return f"Hello, {name}!"
