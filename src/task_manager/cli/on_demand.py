"""Commands that are declared when they are called: to declare all of them takes longer than most of them run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from importlib import import_module
from typing import Any, cast

import typer
from typer.core import TyperGroup
from typer.main import get_group


class _Commands(Mapping[str, Any]):
    """The commands of modules of this package, by the modules' names."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = _declared(name)
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def group_on_demand(names: Sequence[str]) -> type[TyperGroup]:
    """A group whose commands are declared when one is called, or its help is shown.

    Args:
        names: The commands in order; `add_commands(app)` of the module of that name in this package declares each.
    """

    class GroupOnDemand(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            self.commands = cast("MutableMapping[str, Any]", _Commands(names))

    return GroupOnDemand


def _declared(name: str) -> Any:
    app = typer.Typer(rich_markup_mode="rich")
    import_module(f"task_manager.cli.{name}").add_commands(app)
    return get_group(app).commands[name]
