"""Workflow templates: reusable, parameterised definitions, found in folders.

A template is a YAML or JSON file: `NAME/template.yaml` with its scripts and fixtures beside it, or a single
`NAME.yaml`. `templating.rendering` says how its definition becomes a pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from task_manager.errors import NotFound
from task_manager.templating.loading import (
    SUFFIXES,
    Examined,
    TemplateProblem,
    examine,
    load_template,
)
from task_manager.templating.parameters import ParameterFinding
from task_manager.templating.records import TemplateTest, WorkflowTemplate, version_numbers
from task_manager.templating.template_tests import (
    Execute,
    TemplateTestOutcome,
    TestKind,
    TestStatus,
    run_template_tests,
)

__all__ = [
    "BUILT_IN_TEMPLATES",
    "Execute",
    "ParameterFinding",
    "TemplateProblem",
    "TemplateTest",
    "TemplateTestOutcome",
    "TestKind",
    "TestStatus",
    "WorkflowTemplate",
    "WorkflowTemplateRegistry",
    "load_template",
    "run_template_tests",
    "template_files",
]

BUILT_IN_TEMPLATES: Final = Path(__file__).parent / "templates"
"""The folder of the templates that come with this package."""

_Key: TypeAlias = tuple[str, tuple[int, int, int]]


class _Loaded(NamedTuple):
    """What the files hold, and everything that kept one of them from being loaded."""

    templates: Mapping[_Key, WorkflowTemplate]
    problems: tuple[TemplateProblem, ...]


class WorkflowTemplateRegistry:
    """The templates of the built-in folder and of one more folder.

    A later file overrides an earlier one with the same id and version: built-in templates come first, then the files of
    `templates_dir` in the order of their names. Files that cannot be used are in `problems`; the others are offered.
    """

    def __init__(self, templates_dir: Path | str | None = None, *, built_in: Path | None = BUILT_IN_TEMPLATES) -> None:
        """Files are read when the first template is asked for.

        Args:
            templates_dir: A folder with templates of the user's own.
            built_in: The folder that is read before it; none: only `templates_dir`.
        """
        folders = (built_in, Path(templates_dir).expanduser() if templates_dir is not None else None)
        self._folders = tuple(folder for folder in folders if folder is not None)
        self._read: _Loaded | None = None

    @property
    def problems(self) -> tuple[TemplateProblem, ...]:
        """Everything that kept a file from being loaded."""
        return self._loaded.problems

    def reload(self) -> None:
        """Read the files again when the next template is asked for; those of this package do not change."""
        self._read = None

    @property
    def _loaded(self) -> _Loaded:
        if self._read is None:
            self._read = self._load()
        return self._read

    def _load(self) -> _Loaded:
        templates: dict[_Key, WorkflowTemplate] = {}
        problems: list[TemplateProblem] = []
        for folder in self._folders:
            if not folder.is_dir():
                problems.append(TemplateProblem(folder, None, "There is no such folder of templates."))
            for examined in _built_in() if folder == BUILT_IN_TEMPLATES else _examined(folder):
                problems += examined.problems
                if (template := examined.template) is not None:
                    templates[template.id, template.version_numbers] = template
        return _Loaded(MappingProxyType(templates), tuple(problems))

    def get(self, template_id: str, version: str | None = None) -> WorkflowTemplate:
        """The template of that id.

        Args:
            template_id: Its id.
            version: `1.0` means the same as `1.0.0`; none: the highest.

        Raises:
            NotFound: There is none; where a broken file may be the reason, the remedy says so.
        """
        versions = self.versions(template_id)
        if version is None:
            return versions[-1]
        for template in versions:
            if _same_version(template.version, version):
                return template
        raise NotFound(
            f"template {template_id} of version",
            version,
            remedy=f"There are {', '.join(template.version for template in versions)}.",
        )

    def versions(self, template_id: str) -> tuple[WorkflowTemplate, ...]:
        """All versions of a template, the highest last.

        Raises:
            NotFound: There is none.
        """
        found = [template for _, template in sorted(self._loaded.templates.items()) if template.id == template_id]
        if not found:
            raise NotFound("template", template_id, known=self._ids(), remedy=self._broken(template_id))
        return tuple(found)

    def list(self, category: str | None = None) -> tuple[WorkflowTemplate, ...]:
        """The highest version of every template, by id.

        Args:
            category: Only those of this category.

        Raises:
            NotFound: No template has that category.
        """
        highest = {key[0]: template for key, template in sorted(self._loaded.templates.items())}
        if category is None:
            return tuple(highest.values())
        if category not in self.categories():
            raise NotFound("template category", category, known=self.categories())
        return tuple(template for template in highest.values() if template.category == category)

    def categories(self) -> tuple[str, ...]:
        """The categories of the templates, sorted."""
        return tuple(sorted({template.category for template in self.list()}))

    def _ids(self) -> Iterable[str]:
        return {template_id for template_id, _ in self._loaded.templates}

    def _broken(self, template_id: str) -> str:
        broken = [one for one in self._loaded.problems if template_id in (one.file.stem, one.file.parent.name)]
        return f"Its file cannot be used: {broken[0]}" if broken else ""


def template_files(folder: Path) -> tuple[Path, ...]:
    """The files of a folder that hold templates, in the order in which they are loaded.

    Those are `NAME.yaml`, `NAME.yml` and `NAME.json` in the folder, and `template.yaml` (`.yml`, `.json`) in
    the folders in it. Hidden ones are left out.
    """
    if not folder.is_dir():
        return ()
    files = [file for file in folder.iterdir() if file.suffix in SUFFIXES and file.is_file()]
    files += [file for suffix in SUFFIXES for file in folder.glob(f"*/template{suffix}") if file.is_file()]
    return tuple(sorted(file for file in files if not file.relative_to(folder).parts[0].startswith(".")))


def _examined(folder: Path) -> Iterator[Examined]:
    return (examine(file, folder) for file in template_files(folder))


@cache
def _built_in() -> tuple[Examined, ...]:
    """The package's own: they do not change while it runs, and were checked before they came with it."""
    return tuple(examine(file, BUILT_IN_TEMPLATES, checked=True) for file in template_files(BUILT_IN_TEMPLATES))


def _same_version(one: str, other: str) -> bool:
    try:
        return version_numbers(one) == version_numbers(other)
    except ValueError:
        return False
