"""Writes the reference of the settings from their definitions.

python -m task_manager.config.reference > docs/reference/settings.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from enum import StrEnum

from pydantic.fields import FieldInfo

from task_manager.config.loading import PROJECT_FILE, environment_name
from task_manager.config.settings import GROUPS, Settings

_OF_THE_MACHINE = "depends on the machine"
_PAGE = """\
# Settings

A setting is taken from the first of these that has it:

1. the option of the command line, where there is one;
2. the environment variable;
3. the file that `dagger_config_path` names, in YAML, TOML or JSON;
4. `{file}` in the working folder or at the root of its git repository;
5. the default.

`task-manager config show` prints every setting with its value and where the value came from. In files, settings with a
dot in their name are members of a group: `limits.output_bytes` is `output_bytes` in the table `[limits]`. This page is
written from the definitions:
`python -m task_manager.config.reference > docs/reference/settings.md`.

| Setting | Environment variable | Default | Meaning |
|---|---|---|---|
{rows}
"""


def reference() -> str:
    """Return the page, in Markdown."""
    return _PAGE.format(file=PROJECT_FILE, rows="\n".join(_rows()))


def _rows() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in GROUPS:
            for part, inner in GROUPS[name].model_fields.items():
                yield _row(f"{name}.{part}", inner)
        else:
            yield _row(name, field)


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | `{environment_name(name)}` | {_default(field)} | {_meaning(field)} |"


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "none" if field.get_default(call_default_factory=True, validated_data={}) == {} else _OF_THE_MACHINE
    value = field.default
    if value is None or value == ():
        return "none"
    if isinstance(value, tuple):
        return ", ".join(f"`{item}`" for item in value)
    # A size has a form for people.
    return f"`{value.human_readable(separator=' ')}`" if hasattr(value, "human_readable") else f"`{value}`"


def _meaning(field: FieldInfo) -> str:
    text = (field.description or "").replace("|", "\\|")
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return f"{text} One of {', '.join(f'`{member}`' for member in kind)}."
    return text


if __name__ == "__main__":
    sys.stdout.write(reference())
