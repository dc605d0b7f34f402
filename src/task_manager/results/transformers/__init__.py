"""Results in other forms: Markdown, JSON, JUnit, SARIF, a picture of metrics, and forms that other packages add.

A transformer is a function that takes a `WorkflowResult` and returns bytes. Packages add theirs under the entry point
group `task_manager.result_transformers`; the part of its name after the last dot is the file's ending::

    [project.entry-points."task_manager.result_transformers"]
    "team.html" = "team_reports:as_html"
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Final

from task_manager.errors import NotFound, TaskManagerError, TransformationFailed
from task_manager.results.schemas import WorkflowResult
from task_manager.results.transformers.junit import as_junit
from task_manager.results.transformers.markdown import as_markdown
from task_manager.results.transformers.picture import as_picture
from task_manager.results.transformers.sarif import as_sarif

GROUP: Final = "task_manager.result_transformers"
"""The entry point group of transformers of other packages."""

Transformer = Callable[[WorkflowResult], bytes]


def as_json(result: WorkflowResult) -> bytes:
    """The result as its schema describes it."""
    return result.model_dump_json(indent=2).encode() + b"\n"


_OWN: Final[Mapping[str, tuple[str, Transformer]]] = {
    "markdown": ("md", as_markdown),
    "json": ("json", as_json),
    "junit": ("xml", as_junit),
    "sarif": ("sarif", as_sarif),
    "picture": ("png", as_picture),
}


@dataclass(frozen=True)
class Transformed:
    """What a transformer gave.

    Attributes:
        form: The transformer's name.
        ending: Of a file's name, without the dot.
        content: None where it failed.
        error: Why it failed.
    """

    form: str
    ending: str
    content: bytes | None = None
    error: TaskManagerError | None = None


def known_forms() -> tuple[str, ...]:
    """The names of all transformers."""
    return tuple(dict.fromkeys([*_OWN, *(one.name for one in entry_points(group=GROUP))]))


def transform(result: WorkflowResult, forms: Sequence[str]) -> tuple[Transformed, ...]:
    """Bring a result into several forms; one that fails fails alone.

    Raises:
        NotFound: There is no transformer of a name; nothing was transformed.
    """
    added = {one.name: one for one in entry_points(group=GROUP)}
    for form in forms:
        if form not in _OWN and form not in added:
            raise NotFound("form of results", form, known=known_forms(), remedy=f"Choose: {', '.join(known_forms())}.")
    return tuple(_transformed(result, form, added.get(form)) for form in dict.fromkeys(forms))


def _transformed(result: WorkflowResult, form: str, added: EntryPoint | None) -> Transformed:
    ending, function = _OWN.get(form, (form.rpartition(".")[2], None))
    try:
        content = function(result) if function else _by_other(result, form, added)
    except TaskManagerError as error:
        return Transformed(form, ending, error=error)
    return Transformed(form, ending, content)


def _by_other(result: WorkflowResult, form: str, added: EntryPoint | None) -> bytes:
    try:
        content = added.load()(result) if added else None
    except (Exception, SystemExit) as error:
        raise TransformationFailed(
            f"The transformer {form!r} failed: {type(error).__name__}: {error}",
            remedy=f"Tell its makers ({added.value if added else form}).",
            details={"form": form},
        ) from error
    if not isinstance(content, bytes):
        raise TransformationFailed(
            f"The transformer {form!r} returned {type(content).__name__}, not bytes.", details={"form": form}
        )
    return content


__all__ = ["GROUP", "Transformed", "Transformer", "known_forms", "transform"]
