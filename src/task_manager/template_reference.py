"""Writes the reference of the built-in templates from their files.

python -m task_manager.template_reference > docs/reference/templates.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from task_manager.templating.descriptions import ParameterLine
from task_manager.workflow_templates import WorkflowTemplate, WorkflowTemplateRegistry

_PAGE = """\
# Built-in templates

A task becomes a workflow by a template: `task-manager template list` shows those that are there, `task-manager template
show ID` one of them with its parameters. A folder of templates of one's own is named by the setting `templates_dir`; a
template there with the id and version of a built-in one takes its place. This page is written from the templates'
files:
`python -m task_manager.template_reference > docs/reference/templates.md`.

{overview}

{templates}
"""


def reference() -> str:
    """Return the page, in Markdown."""
    templates = WorkflowTemplateRegistry().list()
    return _PAGE.format(
        overview="\n".join(_overview(templates)), templates="\n\n".join("\n".join(_section(one)) for one in templates)
    )


def _overview(templates: tuple[WorkflowTemplate, ...]) -> Iterator[str]:
    yield "| Template | Category | Version | Result |"
    yield "|---|---|---|---|"
    for one in templates:
        yield f"| [`{one.id}`](#{one.id}) | {one.category} | {one.version} | `{one.result_type}` |"


def _section(template: WorkflowTemplate) -> Iterator[str]:
    yield f"## {template.id}"
    yield ""
    yield f"{template.name}. {template.description}"
    yield ""
    yield "| Parameter | Type | Default | Meaning |"
    yield "|---|---|---|---|"
    for line in template.table():
        yield f"| `{line.name}` | {_cell(line.kind)} | {_default(line)} | {_cell(line.meaning)} |"


def _default(line: ParameterLine) -> str:
    if line.required:
        return "required"
    return f"`{_cell(line.default)}`" if line.default else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


if __name__ == "__main__":
    sys.stdout.write(reference())
