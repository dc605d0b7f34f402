"""Numbers as headlines say them."""

from __future__ import annotations

_LARGER_UNITS = ("kB", "MB", "GB", "TB")
_STEP = 1000
_SHOWN_DECIMALLY = 10


def counted(number: int, noun: str) -> str:
    """`1 row`, `312 rows`, `1,204 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def size_text(size: int) -> str:
    """A number of bytes in decimal units: `512 B`, `3.4 kB`, `21 MB`."""
    if size < _STEP:
        return f"{size} B"
    number, unit = float(size), "B"
    for larger in _LARGER_UNITS:
        number, unit = number / _STEP, larger
        if round(number) < _STEP:
            break
    return f"{number:.1f} {unit}" if number < _SHOWN_DECIMALLY else f"{number:.0f} {unit}"


def number_text(value: float) -> str:
    """A measured number with three significant digits at most: `0.93`, `12`, `0.00042`."""
    if value == int(value) and abs(value) < 10**9:
        return f"{int(value):,}"
    return f"{value:.3g}"
