"""What .gitignore files say of paths (gitignore(5))."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec


@dataclass(frozen=True)
class _File:
    """One .gitignore file: the folder that it lies in, and where paths start in its eyes.

    A file inside of what is copied has a folder and no start; one above has a start, the way from it to what is copied.
    """

    folder: str
    start: str
    spec: "GitIgnoreSpec"

    def verdict(self, path: str, *, is_folder: bool) -> bool | None:
        """Return whether the file says to ignore a path; None where it says nothing."""
        inner = self.start + (path[len(self.folder) :].lstrip("/") if self.folder else path)
        return self.spec.check_file(inner + "/" if is_folder else inner).include


@dataclass(frozen=True)
class IgnoreFiles:
    """The .gitignore files that count in one folder, the outermost first."""

    files: tuple[_File, ...] = ()

    @classmethod
    def above(cls, path: Path) -> Self | None:
        """Return the files of a host's repository above a folder in it; None where it lies in none.

        Raises:
            FileNotFoundError: The folder itself is ignored.
        """
        repository = next((folder for folder in (path, *path.parents) if (folder / ".git").exists()), None)
        if repository is None:
            return None
        found = cls()
        parts = path.relative_to(repository).parts
        for depth, part in enumerate(parts):
            folder = repository.joinpath(*parts[:depth])
            found = found._shifted(f"{parts[depth - 1]}/" if depth else "")._with(_lines_in(folder), "")
            if found.match(part, is_folder=True):
                raise FileNotFoundError(2, "No such file or directory", str(path))
        return found._shifted(f"{parts[-1]}/" if parts else "")

    def entered(self, folder: int, path: str) -> Self:
        """Return this with what the folder's own .gitignore adds."""
        return self._with(_lines_at(folder), path)

    def match(self, path: str, *, is_folder: bool) -> bool:
        """Return whether the innermost file that says something about a path says to ignore it."""
        verdicts = (file.verdict(path, is_folder=is_folder) for file in reversed(self.files))
        return next((verdict for verdict in verdicts if verdict is not None), False)

    def _shifted(self, way: str) -> Self:
        """Return this as it is seen from a folder further in."""
        return type(self)(tuple(_File(file.folder, file.start + way, file.spec) for file in self.files))

    def _with(self, lines: list[str] | None, folder: str) -> Self:
        from pathspec import GitIgnoreSpec

        if lines is None:
            return self
        return type(self)((*self.files, _File(folder, "", GitIgnoreSpec.from_lines(lines))))


def _lines_in(folder: Path) -> list[str] | None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        return _lines_at(descriptor)
    finally:
        os.close(descriptor)


def _lines_at(folder: int) -> list[str] | None:
    try:
        descriptor = os.open(".gitignore", os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    with os.fdopen(descriptor, encoding="utf-8", errors="replace") as file:
        return file.read().splitlines()
