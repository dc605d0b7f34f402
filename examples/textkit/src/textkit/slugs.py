"""Titles as parts of addresses."""

from __future__ import annotations

import re
import unicodedata

_SPELLED = str.maketrans({"ß": "ss", "ø": "o", "Ø": "O", "æ": "ae", "Æ": "AE", "ł": "l", "Ł": "L"})


def slugify(text: str, *, separator: str = "-", max_length: int | None = None) -> str:
    """A text in lower-case ASCII letters and digits: `Crème brûlée!` becomes `creme-brulee`.

    Args:
        text: What is to be named.
        separator: What stands between the words.
        max_length: Only whole words that fit into so many characters are kept, but at least a part of the first.
    """
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED)).encode("ascii", "ignore").decode()
    parts = re.findall(r"[a-z0-9]+", plain.lower().replace("'", ""))
    slug = separator.join(parts)
    if max_length is None or len(slug) <= max_length:
        return slug
    while len(parts) > 1 and len(separator.join(parts)) > max_length:
        parts.pop()
    return separator.join(parts)[:max_length]
