"""A template's definition and values for its parameters become data in the schema of `Pipeline`.

- Every string of the definition is evaluated as `expressions` says; keys are not.
- An item of a list that is a mapping may carry `when`; where that is false the item is left out.
- `script: {file: scripts/train.py}` and an inline source's `file` are replaced by the file's text, unchanged: scripts
  are never evaluated, values reach them as environment variables or arguments.
- In `environment`, `command` and `arguments`, null is left out and every other value becomes text (`as_text`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeAlias

from pydantic import JsonValue

from task_manager.documents import Place
from task_manager.templating.expressions import ExpressionError, as_text, evaluate

Definition: TypeAlias = dict[str, Any]


class RenderingError(Exception):
    """A part of a definition that cannot be rendered.

    Attributes:
        path: Where in the definition.
        reason: One sentence.
        line: Within the string at `path`, counted from 1; none when unknown.
    """

    def __init__(self, path: Place, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason
        self.line = line


class Renderer:
    """Renders one definition with one set of values.

    Attributes:
        origins: For each place of the rendered data, the place in the definition that it comes from.
    """

    def __init__(self, values: Mapping[str, JsonValue], scripts: Mapping[str, str]) -> None:
        """Take what the definition may use.

        Args:
            values: For every parameter a value.
            scripts: The texts of the script files, by the names that the definition uses.
        """
        self.origins: dict[Place, Place] = {}
        self._values = values
        self._scripts = scripts

    def render(self, definition: Mapping[str, JsonValue]) -> Definition:
        """The rendered definition; where it has steps, in the schema of `Pipeline`.

        Raises:
            RenderingError: A string cannot be evaluated, or a script file is not among the scripts.
        """
        rendered: Definition = self._rendered(dict(definition), (), ())
        for index, step in enumerate(_mappings(rendered.get("steps"))):
            self._finish_step(step, ("steps", index))
        return rendered

    def _rendered(self, part: Any, source: Place, target: Place) -> Any:
        self.origins[target] = source
        if isinstance(part, str):
            return self._evaluated(part, source)
        if isinstance(part, dict):
            return {key: self._rendered(below, (*source, key), (*target, key)) for key, below in part.items()}
        if isinstance(part, list):
            return self._rendered_items(part, source, target)
        return part

    def _rendered_items(self, items: list[Any], source: Place, target: Place) -> list[Any]:
        kept: list[Any] = []
        for index, item in enumerate(items):
            wanted, below = self._wanted(item, (*source, index))
            if wanted:
                kept.append(self._rendered(below, (*source, index), (*target, len(kept))))
        return kept

    def _wanted(self, item: Any, source: Place) -> tuple[bool, Any]:
        if not isinstance(item, dict) or "when" not in item:
            return True, item
        condition = item["when"]
        result = self._evaluated(condition, (*source, "when")) if isinstance(condition, str) else condition
        return bool(result), {key: below for key, below in item.items() if key != "when"}

    def _evaluated(self, text: str, source: Place) -> JsonValue:
        try:
            return evaluate(text, self._values)
        except ExpressionError as error:
            raise RenderingError(source, str(error), error.line) from error

    def _finish_step(self, step: Definition, path: Place) -> None:
        _spell_out(step, ("environment", "command"))
        for service in _mappings(step.get("services")):
            _spell_out(service, ("environment", "command"))
        if isinstance(script := step.get("script"), dict):
            _spell_out(script, ("arguments",))
            if "file" in script:
                script.setdefault("name", PurePosixPath(str(script["file"])).name)
            self._inline(script, (*path, "script"))
        for index, source in enumerate(_mappings(step.get("sources"))):
            self._inline(source, (*path, "sources", index))

    def _inline(self, holder: Definition, path: Place) -> None:
        if "file" not in holder:
            return
        file = holder.pop("file")
        if file not in self._scripts:
            raise RenderingError(self.origins.get(path, path), f"The script file {file!r} is not known.")
        holder["contents"] = self._scripts[file]


def script_files(definition: JsonValue) -> Iterator[tuple[Place, JsonValue]]:
    """The script files that a definition names, each with the place where it does."""
    steps = definition.get("steps") if isinstance(definition, dict) else None
    for index, step in enumerate(_mappings(steps)):
        holders: Iterable[tuple[Place, Any]] = [
            (("script",), step.get("script")),
            *((("sources", number), source) for number, source in enumerate(_mappings(step.get("sources")))),
        ]
        for below, holder in holders:
            if isinstance(holder, dict) and "file" in holder:
                yield ("steps", index, *below, "file"), holder["file"]


def _mappings(items: Any) -> list[Definition]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _spell_out(holder: Definition, keys: Iterable[str]) -> None:
    for key in keys:
        value = holder.get(key)
        if isinstance(value, dict):
            holder[key] = {name: as_text(below) for name, below in value.items() if below is not None}
        elif isinstance(value, list):
            holder[key] = [as_text(below) for below in value if below is not None]
