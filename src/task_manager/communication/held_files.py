"""Held containers as files of the data folder, so that every process knows them.

Each has `ID.json` with what it is, `ID.lock`, which the process that holds it has locked, `ID.log` with what it writes,
and `ID.stop` while somebody wishes for its end. A lock ends with its process, so a container whose file says that it
runs, and whose lock nobody has, is known to have died with its holder.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, StringConstraints, ValidationError

from task_manager.communication.containers import ContainerRecord
from task_manager.errors import NotFound, StoreError, StoreUnwritable
from task_manager.file_locks import try_lock
from task_manager.models import Record
from task_manager.pipeline import ContainerPath, EnvironmentName
from task_manager.whole_files import write_whole

_ID: Final = re.compile(r"container-[a-z0-9-]+")

Port = Annotated[int, Field(ge=1, le=65535)]
Word = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$")]


class HostMount(Record):
    """A file or folder of the host in a container: a copy, made when the container starts.

    Attributes:
        source: An absolute path of the host.
        target: Where the container has it.
    """

    source: Path
    target: ContainerPath


class ContainerSpec(Record):
    """What a held container shall be.

    Attributes:
        image: An image reference.
        name: What people call it.
        command: Program and arguments; empty: the image's own.
        ports: TCP ports that must accept connections before it counts as started.
        capabilities: What it is found by, beside `port:NUMBER` and `network`.
    """

    image: str = Field(min_length=1)
    name: str = ""
    command: tuple[str, ...] = ()
    environment: dict[EnvironmentName, str] = Field(default_factory=dict)
    ports: tuple[Port, ...] = ()
    mounts: tuple[HostMount, ...] = ()
    capabilities: frozenset[Word] = frozenset()


class HeldContainer(Record):
    """A held container: what it shall be, and how it is."""

    spec: ContainerSpec
    record: ContainerRecord


class HeldFiles:
    """The files of a data folder's held containers.

    Args:
        folder: Where they are; it is made with the first.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ids(self) -> tuple[str, ...]:
        """The ids of all, oldest first."""
        return tuple(sorted(path.stem for path in self._folder.glob("container-*.json")))

    def read(self, container_id: str) -> HeldContainer:
        """What is known of one.

        Raises:
            NotFound: There is none of that id.
            StoreError: Its file cannot be read.
        """
        if not _ID.fullmatch(container_id):
            raise NotFound("container", container_id, known=self.ids())
        try:
            return HeldContainer.model_validate_json(self._path(container_id, "json").read_bytes())
        except FileNotFoundError:
            raise NotFound("container", container_id, known=self.ids()) from None
        except (OSError, ValidationError) as error:
            raise StoreError(f"The file of container {container_id} cannot be read: {error}") from error

    def write(self, held: HeldContainer) -> HeldContainer:
        """Keep what is known of one.

        Raises:
            StoreUnwritable: The folder cannot be written.
        """
        path = self._path(held.record.id, "json")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(path, held.model_dump_json(indent=1))
        except OSError as error:
            raise StoreUnwritable(f"{path} cannot be written: {error.strerror}.") from error
        return held

    def remove(self, container_id: str) -> None:
        """Forget one."""
        for suffix in ("json", "log", "stop", "lock"):
            self._path(container_id, suffix).unlink(missing_ok=True)

    def log(self, container_id: str) -> Path:
        """Where what it writes is kept."""
        return self._path(container_id, "log")

    def take(self, container_id: str) -> int | None:
        """Become the one that holds it: a descriptor whose closing ends that; None while another holds it."""
        return try_lock(self._path(container_id, "lock"))

    @contextlib.contextmanager
    def taken(self, container_id: str) -> Iterator[bool]:
        """Hold it for the time of the block, unless another does; tells whether."""
        descriptor = self.take(container_id)
        try:
            yield descriptor is not None
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def wish_stop(self, container_id: str) -> None:
        """Tell whoever holds it that it shall end."""
        self._path(container_id, "stop").touch()

    def is_stop_wished(self, container_id: str) -> bool:
        """Whether somebody wishes for its end."""
        return self._path(container_id, "stop").exists()

    def forget_wish(self, container_id: str) -> None:
        """The wish is fulfilled, or from an earlier time."""
        self._path(container_id, "stop").unlink(missing_ok=True)

    def _path(self, container_id: str, suffix: str) -> Path:
        return self._folder / f"{container_id}.{suffix}"
