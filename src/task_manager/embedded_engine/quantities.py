"""Sizes and ages as people write them, such as 5GiB and 30d."""

import re

_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)\s*", re.IGNORECASE)
_BINARY = ("KiB", "MiB", "GiB", "TiB")
_BYTES = {
    "": 1,
    "b": 1,
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
    **{form: 1024**power for power, letter in enumerate("kmgt", 1) for form in (letter, f"{letter}i", f"{letter}ib")},
}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SIZE_FORM = "a size such as 500MB, 5GiB or 1048576 (bytes)"
AGE_FORM = "an age such as 90s, 12h, 30d or 4w"


def parse_size(text: str) -> int:
    """Return a size in bytes; KB, MB, … are powers of 1000, K, KiB, … of 1024.

    Raises:
        ValueError: It is not a size.
    """
    return int(_parsed(text, _BYTES, SIZE_FORM))


def parse_age(text: str) -> float:
    """Return an age in seconds; a bare number has no unit and is refused.

    Raises:
        ValueError: It is not an age.
    """
    return _parsed(text, _SECONDS, AGE_FORM)


def format_size(size: int) -> str:
    """Return a number of bytes for people, such as 1.4 GiB."""
    amount, unit = float(size), "B"
    for larger in _BINARY:
        if amount < 1024:  # noqa: PLR2004 - the step between units
            break
        amount, unit = amount / 1024, larger
    return f"{size} B" if unit == "B" else f"{amount:.1f} {unit}"


def format_age(seconds: float) -> str:
    """Return a time span for people, in its largest whole unit, such as 3d."""
    for unit in ("d", "h", "min"):
        if seconds >= _SECONDS[unit]:
            return f"{int(seconds // _SECONDS[unit])}{unit}"
    return f"{max(int(seconds), 0)}s"


def _parsed(text: str, units: dict[str, int], form: str) -> float:
    match = _AMOUNT.fullmatch(text)
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise ValueError(f"{text!r} is not {form}")
    return float(match[1]) * factor
