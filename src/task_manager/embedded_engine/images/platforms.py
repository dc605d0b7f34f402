"""Platforms as image indexes name them: system/architecture[/variant]."""

import platform as host
from typing import Final

from task_manager.embedded_engine.errors import ApiError

_SYSTEMS: Final = frozenset({"android", "darwin", "freebsd", "linux", "netbsd", "openbsd", "solaris", "windows"})
_ARCHITECTURES: Final = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x"}
)
_OTHER_NAMES: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64", "i386": "386", "armhf": "arm"}
_MOST_PARTS: Final = 3


def default_platform() -> str:
    """Return this machine's platform."""
    return f"linux/{_architecture(host.machine())}"


def normalised(text: str) -> str:
    """Return a platform in its usual form; a system or an architecture alone is completed.

    Raises:
        ApiError: It names neither.
    """
    parts = text.strip().lower().split("/")
    if len(parts) == 1:
        return _completed(parts[0])
    if len(parts) > _MOST_PARTS or not all(parts):
        raise ApiError(f'"{text}": cannot parse platform specifier: invalid argument')
    return "/".join([parts[0], _architecture(parts[1]), *parts[2:]])


def _completed(part: str) -> str:
    if part in _SYSTEMS:
        return f"{part}/{_architecture(host.machine())}"
    if _architecture(part) in _ARCHITECTURES:
        return f"linux/{_architecture(part)}"
    raise ApiError(f'"{part}": unknown operating system or architecture: invalid argument')


def _architecture(name: str) -> str:
    return _OTHER_NAMES.get(name, name)
