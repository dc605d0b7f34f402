"""Keeps what is expensive to build for all later test runs of this user on this machine."""

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import platformdirs

KEEP_SECONDS: Final = 7 * 24 * 3600
_BUILDING: Final = ".building"


def cache_folder() -> Path:
    """Returns the folder that built parts are kept in, made when it is missing."""
    return platformdirs.user_cache_path("task-manager-tests", appauthor=False, ensure_exists=True)


def digest_of(*parts: bytes | str) -> str:
    """Returns a short key that changes with any of the parts."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        total.update(len(data).to_bytes(8) + data)
    return total.hexdigest()[:20]


def built_once(name: str, key: str, build: Callable[[Path], None], *, folder: Path | None = None) -> Path:
    """Returns the folder that `build` fills, building it only when no run before has.

    Several processes may ask at once: one builds, the others wait for it. The folder is built aside and renamed, so an
    interrupted build leaves nothing that a later run would take for whole. A build removes what interrupted builds left
    and what nobody asked for in `KEEP_SECONDS`.

    Args:
        name: What is built.
        key: Everything that the result depends on, as `digest_of` gives it.
        build: Fills the empty folder that it gets.
        folder: Where to keep it, instead of the user's cache folder.
    """
    home = folder or cache_folder()
    home.mkdir(parents=True, exist_ok=True)
    wanted = home / f"{name}-{key}"
    with _locked(home / f"{name}.lock"):
        if not wanted.is_dir():
            _remove_abandoned(home, name)
            aside = Path(tempfile.mkdtemp(prefix=f"{name}-", suffix=_BUILDING, dir=home))
            build(aside)
            aside.rename(wanted)
        os.utime(wanted)
    return wanted


def _remove_abandoned(home: Path, name: str) -> None:
    for older in home.glob(f"{name}-*"):
        if older.suffix == _BUILDING or older.stat().st_mtime < time.time() - KEEP_SECONDS:
            shutil.rmtree(older)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
