"""Areas."""


def rectangle(width: float, height: float) -> float:
    """The area of a rectangle."""
    return width * height
