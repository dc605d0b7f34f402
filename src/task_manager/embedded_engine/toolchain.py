"""The host's toolchain as a root: its program folders and the running Python, read-only, and nothing else."""

import hashlib
import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from task_manager.embedded_engine.sandbox.spec import MountSpec

HOST_TOOLCHAIN = "task-manager.invalid/host-toolchain"
HOME = "/root"
_PROGRAM_FOLDERS = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_CONFIGURATION = (
    *("ld.so.cache", "ld.so.conf", "ld.so.conf.d", "alternatives", "ssl", "ca-certificates", "pki", "crypto-policies"),
    *("nsswitch.conf", "localtime", "mime.types", "protocols", "services", "gitconfig", "fonts", "java", "python3"),
)
_PASSWD = f"root:x:0:0:root:{HOME}:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# What changes when the system's package manager changes something.
_PACKAGE_DATABASES = (
    "/var/lib/dpkg/status",
    "/var/lib/rpm/rpmdb.sqlite",
    "/usr/lib/sysimage/rpm/rpmdb.sqlite",
    "/lib/apk/db/installed",
)


class HostToolchain:
    """What of the host is bound, and its fingerprint."""

    def __init__(self, prefixes: Sequence[str] | None = None) -> None:
        found = (
            prefixes if prefixes is not None else (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)
        )
        self._prefix = found[0]
        self._prefixes = _outermost(found)

    def mounts(self) -> tuple[MountSpec, ...]:
        """Return the binds that make a root of it."""
        return (*self._folders(), *self._configuration(), *self._accounts())

    def environment(self) -> tuple[tuple[str, str], ...]:
        """Return the environment: programs of the virtual environment come first."""
        own = [f"{self._prefix}/bin", *(f"{prefix}/bin" for prefix in self._prefixes)]
        path = ":".join([*dict.fromkeys(own), _SYSTEM_PATH])
        return (("PATH", path), ("HOME", HOME))

    def fingerprint(self) -> str:
        """Return a digest that changes when the bound programs or packages do."""
        digest = hashlib.sha256()
        for fact in self._facts():
            digest.update(fact.encode("utf-8", "surrogateescape") + b"\n")
        return digest.hexdigest()

    def _folders(self) -> Iterator[MountSpec]:
        for folder in _PROGRAM_FOLDERS:
            if Path(folder).is_dir():
                yield MountSpec("bind", folder, source=os.path.realpath(folder), read_only=True)
        for prefix in self._prefixes:
            yield MountSpec("bind", prefix, source=prefix, read_only=True)

    def _configuration(self) -> Iterator[MountSpec]:
        for name in _CONFIGURATION:
            path = Path("/etc") / name
            real = path.resolve()
            if real.is_relative_to("/etc") or real.is_relative_to("/usr"):
                with suppress(OSError):
                    if path.exists():
                        yield MountSpec("bind", str(path), source=str(real), read_only=True, is_file=real.is_file())

    def _accounts(self) -> Iterator[MountSpec]:
        yield MountSpec("content", "/etc/passwd", content=_PASSWD, mode=0o644, is_file=True, read_only=True)
        yield MountSpec("content", "/etc/group", content=_GROUP, mode=0o644, is_file=True, read_only=True)

    def _facts(self) -> Iterator[str]:
        yield f"{platform.machine()} {platform.python_implementation()} {sys.version}"
        yield f"{self._prefix} {self._prefixes}"
        for path in (
            *_PROGRAM_FOLDERS,
            *_PACKAGE_DATABASES,
            "/usr/bin",
            "/usr/lib",
            "/usr/local/bin",
            "/usr/local/lib",
        ):
            yield _identity(path)
        for prefix in self._prefixes:
            for folder in (f"{prefix}/bin", *map(str, sorted(Path(prefix).glob("lib*/python*/site-packages")))):
                yield folder
                yield from (_package_identity(child) for child in sorted(_children(folder)))


def _outermost(prefixes: Sequence[str]) -> tuple[str, ...]:
    """Return the folders, without those that lie inside the system's program folders or inside each other."""
    kept: list[str] = []
    for prefix in sorted({os.path.abspath(prefix) for prefix in prefixes}):  # noqa: PTH100 - links stay as they are
        covered = (*_PROGRAM_FOLDERS, *kept)
        if not any(Path(prefix).is_relative_to(folder) for folder in covered):
            kept.append(prefix)
    return tuple(kept)


def _children(folder: str) -> list[Path]:
    try:
        return [child for child in Path(folder).iterdir() if child.name != "__pycache__"]
    except OSError:
        return []


def _package_identity(path: Path) -> str:
    """Return what changes when an installer replaces a package, and not when Python caches its bytecode."""
    if path.suffix in (".dist-info", ".egg-info"):
        return _identity(str(path / "RECORD"))
    return str(path) if path.is_dir() else _identity(str(path))


def _identity(path: str) -> str:
    try:
        status = Path(path).stat()
    except OSError:
        return f"{path} absent"
    return f"{path} {status.st_dev} {status.st_ino} {status.st_size} {status.st_mtime_ns}"
