"""Objects by their keys, in a folder, in memory or in a store such as S3: the one place that speaks to obstore."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from task_manager.errors import ArtifactMissing, ArtifactStoreUnavailable, InvalidConfiguration

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_CHUNK: Final = 1024 * 1024
_PART: Final = 8 * 1024 * 1024
_RETRIES: Final = 3
_PATIENCE: Final = timedelta(seconds=60)


@dataclass(frozen=True)
class ObjectFacts:
    """What a store knows of an object.

    Attributes:
        size: In bytes, as stored.
        modified_at: When it was written.
    """

    key: str
    size: int
    modified_at: datetime


class Objects:
    """Objects by their keys; each is written whole or not at all.

    Args:
        store: Where they are.
        place: As messages call it.
    """

    def __init__(self, store: ObjectStore, place: str) -> None:
        self._store = store
        self.place = place

    @classmethod
    def at(cls, url: str) -> Objects:
        """The objects of a store.

        Args:
            url: Such as `s3://bucket/prefix`; access to it is taken from the environment.

        Raises:
            InvalidConfiguration: Nothing can be made of the address.
        """
        # Only here: most commands need none.
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        remote = not url.startswith(("file:", "memory:"))
        options = {"retry_config": {"max_retries": _RETRIES, "retry_timeout": _PATIENCE}} if remote else {}
        try:
            return cls(from_url(url, **options), url)  # type: ignore[call-overload]
        except (BaseError, ValueError) as error:
            raise InvalidConfiguration(
                f"artifacts.url is {url!r}, which cannot be used: {first_line(error)}.",
                remedy="Give an address such as s3://bucket/prefix, with the access to it in the environment.",
            ) from error

    @classmethod
    def in_folder(cls, folder: Path) -> Objects:
        """The objects of a local folder, which is made when the first one is written.

        Raises:
            ArtifactStoreUnavailable: The folder cannot be made.
        """
        from obstore.store import LocalStore

        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise _unavailable(str(folder), error) from error
        return cls(LocalStore(folder), str(folder))

    def facts(self, key: str) -> ObjectFacts | None:
        """What is known of an object; None when there is none.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        import obstore

        try:
            with self._errors(key):
                found = obstore.head(self._store, key)
        except ArtifactMissing:
            return None
        return ObjectFacts(key, found["size"], found["last_modified"])

    def read(self, key: str) -> Iterator[bytes]:
        """An object's bytes, in chunks of about a megabyte.

        Raises:
            ArtifactMissing: There is none of that key.
            ArtifactStoreUnavailable: The store does not answer.
        """
        import obstore

        with self._errors(key):
            for chunk in obstore.get(self._store, key).stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    def write(self, key: str, chunks: Iterable[bytes]) -> None:
        """Write an object in place of an earlier one.

        Raises:
            ArtifactStoreUnavailable: The store does not take it; an earlier one is still there then.
        """
        import obstore

        coming = iter(chunks)
        first = _gathered(coming)
        with self._errors(key):
            if len(first) < _PART:
                obstore.put(self._store, key, first, use_multipart=False)
            else:
                obstore.put(self._store, key, itertools.chain([first], coming), chunk_size=_PART, use_multipart=True)

    def all(self) -> Iterator[ObjectFacts]:
        """Everything that is there.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        import obstore

        with self._errors("its list"):
            for page in obstore.list(self._store):
                yield from (ObjectFacts(one["path"], one["size"], one["last_modified"]) for one in page)

    def remove(self, keys: Sequence[str]) -> None:
        """Remove objects; those that are not there are no error.

        Raises:
            ArtifactStoreUnavailable: The store does not answer.
        """
        import obstore

        for key in keys:
            try:
                with self._errors(key):
                    obstore.delete(self._store, key)
            except ArtifactMissing:
                continue

    @contextmanager
    def _errors(self, key: str) -> Iterator[None]:
        from obstore.exceptions import BaseError

        try:
            yield
        except FileNotFoundError as error:
            raise ArtifactMissing(f"{self.place} has no {key}.", details={"key": key}) from error
        except (BaseError, OSError) as error:
            raise _unavailable(self.place, error) from error


def _gathered(chunks: Iterator[bytes]) -> bytes:
    """The first chunks together, until they are enough for a part."""
    content = bytearray()
    while len(content) < _PART and (chunk := next(chunks, None)) is not None:
        content += chunk
    return bytes(content)


def _unavailable(place: str, error: Exception) -> ArtifactStoreUnavailable:
    return ArtifactStoreUnavailable(
        f"The artifacts in {place} cannot be read or written: {first_line(error)}.",
        remedy="Check that the store answers, that access is allowed and that it has room.",
        details={"place": place},
    )


def first_line(error: Exception) -> str:
    """What an error says in one line, without a full stop."""
    return (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".:")
