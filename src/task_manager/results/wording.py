"""Numbers, sizes and durations as people are told them."""

from __future__ import annotations

_LARGER_UNITS = ("kB", "MB", "GB", "TB")
_STEP = 1000
_SHOWN_DECIMALLY = 10
_MINUTE = 60


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


def seconds_text(seconds: float | None) -> str:
    """A duration: `3.2 s`, `2:05 min`, `1:02:03 h`; empty when it is unknown."""
    if seconds is None:
        return ""
    if seconds < _MINUTE:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(int(seconds), _MINUTE)
    hours, minutes = divmod(minutes, _MINUTE)
    return f"{hours}:{minutes:02}:{rest:02} h" if hours else f"{minutes}:{rest:02} min"


def number_text(value: float) -> str:
    """A measured number with three significant digits at most: `0.93`, `12`, `0.00042`."""
    if value == int(value) and abs(value) < 10**9:
        return f"{int(value):,}"
    return f"{value:.3g}"
