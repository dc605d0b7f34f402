"""The documentation's commands and code do what they say.

Every page is read from top to bottom, in a fresh folder with the examples, with a fresh home: its commands are run, its
files are saved, its tools called, and what is printed is compared. `make docs` writes down what was printed instead.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.documentation.pages import ROOT, Block, blocks_of, pages
from tests.documentation.reading import Reader
from tests.documentation.shell import open_shell
from tests.environment.node import node_modules
from tests.environment.postgresql import running_postgresql
from tests.environment.warm_program import warm_program

WRITES = bool(os.environ.get("WRITE_DOCS"))
DATABASE, NODE_MODULES = "POSTGRESQL_OF_TESTS", "NODE_MODULES_OF_TESTS"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A reader's environment: an empty home, no registry, and programs of this project first."""
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TASK_MANAGER_", "XDG_"))}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "PATH": f"{warm_program().parent}:{Path(sys.executable).parent}:{os.environ['PATH']}",
        "COLUMNS": "100",
        "TASK_MANAGER_DATA_DIR": str(tmp_path / "data"),
        "TASK_MANAGER_IMAGES": "host",
        "TASK_MANAGER_ENGINE": "embedded",
    }


@pytest.fixture
def provided(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a page's hidden preparations name: an empty database, installed packages of Node.js."""
    text = (ROOT / request.getfixturevalue("page")).read_text()
    with contextlib.ExitStack() as stack:
        variables = {}
        if DATABASE in text:
            server = stack.enter_context(running_postgresql())
            variables[DATABASE] = server.url(server.new_database())
        if NODE_MODULES in text:
            variables[NODE_MODULES] = str(node_modules(ROOT / "examples" / "dagger-typescript"))
        yield variables


@contextlib.asynccontextmanager
async def opened(folder: Path, environment: dict[str, str]) -> AsyncIterator[Reader]:
    """A reader in a folder with the examples."""
    left_out = shutil.ignore_patterns("__pycache__", "node_modules", ".pytest_cache", ".ruff_cache")
    shutil.copytree(ROOT / "examples", folder / "examples", ignore=left_out)
    with open_shell(folder, environment) as shell:
        try:
            async with contextlib.AsyncExitStack() as stack:
                yield Reader(shell, folder, environment, stack)
        finally:
            shell.run('test ! -e "$TASK_MANAGER_DATA_DIR" || task-manager worker stop')


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", pages())
async def test_a_page_does_what_it_says(
    page: str, environment: dict[str, str], provided: dict[str, str], tmp_path: Path
) -> None:
    text = (ROOT / page).read_text()
    async with opened(tmp_path / "work", environment | provided) as reader:
        try:
            for block in blocks_of(text):
                await read(block, page, reader)
        finally:
            if WRITES:
                (ROOT / page).write_text(rewritten(text, reader.rewrites))
    told = [f"{page}:{block.line + 1}\n{printed}" for block, printed in reader.rewrites]
    assert WRITES or not told, "\n".join(["Something else was printed; `make docs` writes it down:", *told])


async def read(block: Block, page: str, reader: Reader) -> None:
    try:
        await reader.read(block)
    except Exception as error:
        error.add_note(f"{page}:{block.line + 1}")
        raise


def rewritten(page: str, rewrites: list[tuple[Block, str]]) -> str:
    lines = page.splitlines(keepends=True)
    for block, printed in reversed(rewrites):
        lines[block.line : block.line + block.text.count("\n")] = [printed]
    return "".join(lines)
