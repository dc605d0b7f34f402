"""How long what runs left is kept: limits by age and size, removal of what nothing refers to, and checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from task_manager.artifacts import ArtifactStore, Pruned, opened_folder, remove_opened
from task_manager.config import ArtifactSettings
from task_manager.errors import ArtifactDamaged, ArtifactMissing, InvalidInput
from task_manager.models import Artifact, utc_now
from task_manager.store import Store, artifacts
from task_manager.store.artifacts import KeptArtifact

_SECONDS: Final = {"s": 1, "min": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


@dataclass(frozen=True)
class DamagedArtifact:
    """An artifact that cannot be read.

    Attributes:
        error: Why.
    """

    run_id: str
    name: str
    digest: str
    error: str


@dataclass(frozen=True)
class Checked:
    """What a check found.

    Attributes:
        checked: How many artifacts were read.
        removed: Whether what was damaged was removed.
    """

    checked: int
    damaged: tuple[DamagedArtifact, ...]
    removed: bool


@dataclass(frozen=True)
class Retained:
    """What a clean-up removed, or would remove.

    Attributes:
        runs: Of how many runs artifacts are forgotten.
        artifacts: How many artifacts are.
        artifact_bytes: Their sizes together.
        content: What went from the store with them, and what nothing referred to before.
    """

    runs: int
    artifacts: int
    artifact_bytes: int
    content: Pruned
    dry_run: bool


class ArtifactRetention:
    """Removes, checks and lays out artifacts.

    Args:
        store: Where the records are.
        kept: Where the content is.
        settings: The limits that count where none are given.
        clock: The time, in UTC.
    """

    def __init__(
        self,
        store: Store,
        kept: ArtifactStore,
        settings: ArtifactSettings,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._store = store
        self._kept = kept
        self._settings = settings
        self._clock = clock

    async def prune(
        self, *, max_bytes: str | None = None, max_age: str | None = None, dry_run: bool = False
    ) -> Retained:
        """Remove artifacts beyond the limits, oldest run first, and content that nothing refers to.

        Args:
            max_bytes: What artifacts may take together, such as `5GiB`; by default what the settings say.
            max_age: How long ago their runs may have ended, such as `30d`; by default what the settings say.
            dry_run: Only tell what would be removed.

        Raises:
            InvalidInput: A limit cannot be read.
            ArtifactStoreUnavailable: The store does not answer.
        """
        limits = self._limits(max_bytes, max_age)
        every = await self._store.run(artifacts.kept)
        going = beyond_limits(
            every,
            max_bytes=int(limits.max_bytes) if limits.max_bytes else None,
            ended_before=self._clock() - _duration(limits.max_age) if limits.max_age else None,
        )
        gone = [one for one in every if one.run_id in going]
        if not dry_run:
            await self._store.run(artifacts.remove_of_runs, going)
            await remove_opened(self._store.data_dir)
        # Read again: runs that ended meanwhile have artifacts of their own.
        left = [one for one in await self._store.run(artifacts.kept) if one.run_id not in going]
        content = await self._kept.prune({one.digest for one in left}, dry_run=dry_run)
        return Retained(len(going), len(gone), sum(one.size for one in gone), content, dry_run)

    async def verify(self, run_id: str | None = None, *, remove: bool = False) -> Checked:
        """Read artifacts and compare them with their digests.

        Args:
            run_id: Those of this run; by default all.
            remove: Remove what is damaged, so that it is stored anew.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        every = await self._store.run(artifacts.kept, run_id)
        errors = {digest: error for digest in {one.digest for one in every} if (error := await self._error(digest))}
        if remove:
            for error in errors.values():
                damaged = error.details.get("digest")
                if isinstance(damaged, str):
                    await self._kept.remove(damaged)
        damaged_ones = tuple(
            DamagedArtifact(one.run_id, one.name, one.digest, errors[one.digest].message)
            for one in every
            if one.digest in errors
        )
        return Checked(len(every), damaged_ones, removed=remove and bool(damaged_ones))

    async def opened(self, artifact: Artifact) -> Path:
        """Lay an artifact out below the data folder; it stays there until artifacts are pruned.

        Raises:
            ArtifactError: It cannot be read.
        """
        folder = opened_folder(self._store.data_dir) / artifact.digest.removeprefix("sha256:")
        target = folder / Path(artifact.path).name
        return target if target.exists() else await self._kept.export(artifact, target)

    async def _error(self, digest: str) -> ArtifactDamaged | ArtifactMissing | None:
        try:
            await self._kept.verify(digest)
        except (ArtifactDamaged, ArtifactMissing) as error:
            return error
        return None

    def _limits(self, max_bytes: str | None, max_age: str | None) -> ArtifactSettings:
        given = {name: value for name, value in (("max_bytes", max_bytes), ("max_age", max_age)) if value is not None}
        try:
            return _SETTINGS.validate_python({**self._settings.model_dump(), **given})
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise InvalidInput(
                f"{given.get(name, name)!r} cannot be used for {name}.",
                remedy="Give a size such as 5GiB, an age such as 30d, or none.",
            ) from error


_SETTINGS: TypeAdapter[ArtifactSettings] = TypeAdapter(ArtifactSettings)


def beyond_limits(
    every: Sequence[KeptArtifact], *, max_bytes: int | None, ended_before: datetime | None
) -> frozenset[str]:
    """The runs whose artifacts have to go.

    Args:
        every: All artifacts, oldest run first; content that several have counts once.
        max_bytes: What they may take together; none: no limit.
        ended_before: Those of runs that ended before go in any case; none: whenever they ended.
    """
    users = Counter(one.digest for one in every)
    sizes = {one.digest: one.size for one in every}
    total = sum(sizes.values())
    going: set[str] = set()
    for run_id, left in _by_run(every):
        ended = left[0].finished_at
        too_old = ended is not None and ended_before is not None and ended < ended_before
        too_much = ended is not None and max_bytes is not None and total > max_bytes
        if too_old or too_much:
            going.add(run_id)
            users.subtract(one.digest for one in left)
            total -= sum(sizes[digest] for digest in {one.digest for one in left} if users[digest] == 0)
    return frozenset(going)


def _by_run(every: Iterable[KeptArtifact]) -> Iterable[tuple[str, list[KeptArtifact]]]:
    found: dict[str, list[KeptArtifact]] = {}
    for one in every:
        found.setdefault(one.run_id, []).append(one)
    return found.items()


def _duration(age: str) -> timedelta:
    number = age.rstrip("abcdefghijklmnopqrstuvwxyz")
    return timedelta(seconds=int(number) * _SECONDS[age.removeprefix(number)])
