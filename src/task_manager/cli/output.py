"""What commands print, and where: results on standard output, everything else on standard error."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, ConsoleOptions, JustifyMethod, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    from task_manager.errors import TaskManagerError
    from task_manager.store import Page

_PIPED_WIDTH = 200
_UNBOUNDED = 100_000
_GAP = 3
"""Between two columns of a table."""


class Output:
    """The two streams of one command.

    Attributes:
        json: Whether standard output carries one JSON document and nothing else.
    """

    def __init__(self, *, as_json: bool) -> None:
        self.json = as_json

    @cached_property
    def console(self) -> Console:
        """Standard output."""
        return _console(stderr=False)

    @cached_property
    def errors(self) -> Console:
        """Standard error."""
        return _console(stderr=True)

    @property
    def live(self) -> bool:
        """Whether somebody watches standard output in a terminal that can be redrawn."""
        return not self.json and self.console.is_terminal and not self.console.is_dumb_terminal

    def coloured(self, text: str) -> Text:
        """A program's output: with its colours, and nothing else that it tells a terminal; elsewhere as it is."""
        from rich.text import Text

        return Text.from_ansi(text) if self.console.is_terminal else Text(text)

    @property
    def width(self) -> int:
        """Columns of standard output."""
        return self.console.width

    def show(self, data: object, *renderables: RenderableType) -> None:
        """Print a command's result: the data with `--json`, the renderables else."""
        if self.json:
            self.document(data)
        else:
            self.say(*renderables)

    def document(self, data: object) -> None:
        """Print one JSON document on standard output."""
        sys.stdout.write(json.dumps(json_ready(data), indent=2, ensure_ascii=False) + "\n")
        sys.stdout.flush()  # A server tells its address so, and goes on.

    def line(self, data: object, renderable: RenderableType) -> None:
        """Print one of several results as soon as it is there: with `--json` the data, as JSON on a line of its own."""
        if self.json:
            sys.stdout.write(json.dumps(json_ready(data), ensure_ascii=False) + "\n")
            sys.stdout.flush()
        else:
            self.say(renderable)

    def say(self, *renderables: RenderableType) -> None:
        """Print for people on standard output; nothing with `--json`."""
        if self.json:
            return
        for renderable in renderables:
            if self.console.is_terminal:
                _print(self.console, renderable)
            else:
                sys.stdout.write(self._unpadded(renderable))
                sys.stdout.flush()  # whoever reads the other end sees progress as it happens

    def _unpadded(self, renderable: RenderableType) -> str:
        with self.console.capture() as capture:
            _print(self.console, renderable)
        return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())

    def note(self, text: str) -> None:
        """Print a remark on standard error; nothing with `--json`."""
        from rich.text import Text

        if not self.json:
            _print(self.errors, Text(text, style="dim"))

    def show_page(self, page: Page[Any], renderable: RenderableType) -> None:
        """Print a page of a list, and how to get the rest when it is not whole."""
        self.show({"items": page.items, "next_cursor": page.next_cursor}, renderable)
        if page.next_cursor:
            self.note(f"There are more: --cursor {page.next_cursor}")

    def error(self, error: TaskManagerError) -> None:
        """Print an error with its remedy on standard error."""
        self.problem(error.message, error.remedy, error.as_dict())

    def problem(self, message: str, remedy: str = "", data: Mapping[str, object] | None = None) -> None:
        """Print what went wrong on standard error, as JSON with `--json`."""
        if self.json:
            sys.stderr.write(json.dumps({"error": json_ready(data or {"message": message})}, ensure_ascii=False) + "\n")
            return
        from rich.text import Text

        _print(self.errors, Text.assemble(("Error: ", "bold red"), message))
        if remedy:
            _print(self.errors, Text(remedy))


def _print(console: Console, renderable: RenderableType) -> None:
    """Wrap words in a terminal; elsewhere a line stays whole, for those who search in it."""
    from rich.text import Text

    console.print(renderable, soft_wrap=not console.is_terminal and isinstance(renderable, str | Text))


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, emoji=False, markup=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _PIPED_WIDTH  # nothing is cut where nobody has a window
    if console.is_terminal:
        from task_manager.cli.terminal_text import HarmlessText

        console.push_render_hook(HarmlessText())
    return console


def json_ready(value: object) -> Any:
    """The value as JSON-like data: records dumped, paths and other objects as text."""
    dump = getattr(value, "model_dump", None)
    if dump is not None:
        return dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json_ready(dataclasses.asdict(value))
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_ready(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def value_text(value: Any) -> str:
    """A value as people write it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def table(columns: Sequence[str], rows: Iterable[Sequence[RenderableType | None]], *, empty: str) -> RenderableType:
    """A plain table.

    Args:
        columns: Headings; one that starts with `>` is aligned to the right, one with `!` is never folded.
        rows: What stands in each row; None leaves a cell empty.
        empty: What is said when there are no rows.
    """
    from rich.text import Text

    filled = [["" if cell is None else cell for cell in row] for row in rows]
    return _Rows(columns, filled) if filled else Text(empty, style="dim")


class _Rows:
    """A table; in a terminal too narrow for its words, each row as names and values below each other."""

    def __init__(self, columns: Sequence[str], rows: Sequence[Sequence[RenderableType]]) -> None:
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        # Whoever cuts columns out of a pipe or a file finds them in any case.
        if not console.is_terminal or self._least_width(console, options) <= options.max_width:
            yield self._drawn()
        else:
            yield self._below_each_other()

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        from rich.measure import Measurement

        return Measurement.get(console, options, self._drawn())

    def _least_width(self, console: Console, options: ConsoleOptions) -> int:
        """So many columns of the terminal are needed, unless a word or what is never folded is cut."""
        from rich.measure import Measurement

        def least(cell: RenderableType, heading: str) -> int:
            measured = Measurement.get(console, options.update(max_width=_UNBOUNDED), cell)
            return measured.maximum if "!" in heading else measured.minimum

        widths = [len(heading.lstrip(">!")) for heading in self._columns]
        for row in self._rows:
            widths = [max(pair) for pair in zip(widths, map(least, row, self._columns), strict=True)]
        return sum(widths) + _GAP * (len(widths) - 1)

    def _drawn(self) -> Table:
        from rich import box
        from rich.table import Table

        drawn = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False, show_edge=False, padding=(0, 2, 0, 0))
        for heading in self._columns:
            justify: JustifyMethod = "right" if ">" in heading else "left"
            drawn.add_column(heading.lstrip(">!"), justify=justify, no_wrap="!" in heading, overflow="fold")
        for row in self._rows:
            drawn.add_row(*row)
        return drawn

    def _below_each_other(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        names = [heading.lstrip(">!") for heading in self._columns]
        parts: list[RenderableType] = []
        for row in self._rows:
            parts += [fields(zip(names, row, strict=False)), Text()]
        return Group(*parts[:-1])


def fields(pairs: Iterable[tuple[str, RenderableType | None]]) -> RenderableType:
    """Names and values below each other; those without a value are left out."""
    from rich.table import Table

    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        if value is not None and value != "":
            grid.add_row(name, value)
    return grid


def write_file(path: Path, content: str | bytes, *, append: bool = False) -> None:
    """Write the file that somebody asked for, whole or not at all; folders above it are made.

    Args:
        path: Where.
        content: What is in it; text is kept as UTF-8.
        append: Leave what is there, and write after it, as far as there is room.

    Raises:
        InvalidInput: It cannot be written.
    """
    from task_manager.errors import InvalidInput
    from task_manager.whole_files import write_whole

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if append or (path.exists() and not path.is_file()):  # such as /dev/stdout
            with path.open("ab" if append else "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
        else:
            write_whole(path.resolve(), content, mode=_mode(path))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error


def _mode(path: Path) -> int:
    """What a file allows already, or what this process lets new ones allow."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
