"""A reader of a page, who does all that it says: runs its commands, saves its files, calls its tools."""

from __future__ import annotations

import ast
import contextlib
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml
from mcp import Client, StdioServerParameters
from mcp_types import TextContent
from typer.main import get_command

from task_manager.cli.app import app
from tests.documentation.output import ANYTHING, ID, same_ids, shows
from tests.documentation.pages import ROOT, Block
from tests.documentation.shell import Command, Shell, commands_of, session_of

DIAGRAMS: Final = ("stateDiagram-v2", "flowchart", "sequenceDiagram", "erDiagram", "classDiagram")


@dataclass
class Reader:
    """What becomes of a page's blocks.

    Attributes:
        shell: Where its commands are run.
        folder: The folder that the shell began in.
        environment: The environment of its programs.
        stack: What is to be closed at the end.
        rewrites: Blocks whose output is not what was printed, each with what it should say.
        ids: Which id stands for one that the page has.
        answer: What the last tool or resource answered, or the last program printed.
        last_run: The id of the run that a tool started last.
        agent: Who calls tools, once one was called.
    """

    shell: Shell
    folder: Path
    environment: Mapping[str, str]
    stack: contextlib.AsyncExitStack
    rewrites: list[tuple[Block, str]] = field(default_factory=list)
    ids: dict[str, str] = field(default_factory=dict)
    answer: Any = None
    last_run: str = ""
    agent: Client | None = None

    async def read(self, block: Block) -> None:
        """Do what a block says.

        Raises:
            AssertionError: It is not as the page says.
        """
        if block.is_marked:
            check_marked(block)
        elif "call" in block.options or "resource" in block.options:
            await self._ask(block)
        elif "answer" in block.options:
            self._compare(block, block.text, self._answer_text())
        elif "title" in block.options:
            self._save(block)
        else:
            self._do(block)

    def _do(self, block: Block) -> None:
        match block.language:
            case "console":
                self._type(block)
            case "python":
                self._type_program(block)
            case "text":
                if "printed" in block.options:
                    self._compare(block, block.text, self.answer)
            case _:
                check_syntax(block)

    def _type(self, block: Block) -> None:
        commands = commands_of(block.text)
        assert commands, "a session without a command"
        printed = [self._run(command, block, is_last=command is commands[-1]) for command in commands]
        if printed != commands:
            self.rewrites.append((block, session_of(printed)))

    def _run(self, command: Command, block: Block, *, is_last: bool) -> Command:
        """Run a command, and return it with the output that the page should show."""
        done = self.shell.run(self._of_this_run(command.text))
        printed = self._without_places(done.printed)
        wanted = int(block.options.get("exit", 0)) if is_last else 0
        assert done.code == wanted, f"exit code {done.code}\n$ {command.text}\n{done.printed}"
        if not command.shown or self._is_shown(command.shown, printed):
            return command
        return Command(command.text, printed.strip("\n"))

    def _without_places(self, text: str) -> str:
        """The text without the folders that are other ones on each machine."""
        for place in (self.folder.parent, ROOT):
            text = text.replace(str(place), ANYTHING)
        return text

    def _type_program(self, block: Block) -> None:
        done = subprocess.run(
            [sys.executable, "-c", block.text],
            cwd=self.folder,
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        self.answer = done.stdout.rstrip("\n")

    def _save(self, block: Block) -> None:
        check_syntax(block)
        file = self.folder / block.options["title"]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)

    async def _ask(self, block: Block) -> None:
        """Call a tool, or read a resource, as an agent does."""
        if self.agent is None:
            server = StdioServerParameters(
                command="task-manager", args=["mcp"], env=dict(self.environment), cwd=self.folder
            )
            self.agent = await self.stack.enter_async_context(Client(server))
        if "resource" in block.options:
            read = await self.agent.read_resource(self._of_this_run(block.options["resource"]))
            self.answer = json.loads(read.contents[0].text)  # type: ignore[union-attr]
            self._compare(block, block.text, self._answer_text())
            return
        tool, arguments = block.options["call"], json.loads(self._of_this_run(block.text))
        self.answer = await self._call(self.agent, tool, arguments, fails="error" in block.options)
        if tool == "execute_task_workflow" and not self.answer.get("error"):
            self.last_run = self.answer["id"]
        while tool == "wait_for_run" and not self.answer.get("over"):
            self.answer = await self._call(self.agent, tool, arguments, fails=False)

    async def _call(self, agent: Client, tool: str, arguments: dict[str, Any], *, fails: bool) -> Any:
        called = await agent.call_tool(tool, arguments)
        told = "".join(part.text for part in called.content if isinstance(part, TextContent))
        assert called.is_error == fails, told
        return json.loads(told)

    def _answer_text(self) -> str:
        return self._without_places(json.dumps(self.answer, indent=2, ensure_ascii=False))

    def _compare(self, block: Block, shown: str, printed: str) -> None:
        if not self._is_shown(shown.strip("\n"), printed):
            self.rewrites.append((block, printed + "\n"))

    def _is_shown(self, shown: str, printed: str) -> bool:
        if not shows(shown, printed):
            return False
        self.ids |= same_ids(shown, printed)
        return True

    def _of_this_run(self, text: str) -> str:
        """A text of the page with the ids of now; a run that was not shown is the last one that was started."""
        if self.last_run:
            unknown = (one for one in ID.findall(text) if one.startswith("run-") and one not in self.ids)
            self.ids |= dict.fromkeys(unknown, self.last_run)
        for ours, theirs in self.ids.items():
            text = text.replace(ours, theirs)
        return text


def check_marked(block: Block) -> None:
    """What cannot be run can be read at least: its syntax, and that the commands of this project are there.

    Raises:
        AssertionError: It cannot.
    """
    if block.language != "console":
        check_syntax(block)
        return
    commands = commands_of(block.text)
    script = "\n".join(command.text for command in commands)
    done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for line in script.splitlines():
        check_command(line)


def check_command(line: str) -> None:
    """Compare a call of the command line with the commands and options that there are.

    Raises:
        AssertionError: It has none of that name.
    """
    typed = line.partition("#")[0].partition(" -- ")[0]
    words = [word for word in typed.split() if "=" not in word or word.startswith("-")]
    if words[:1] != ["task-manager"]:
        return
    here: Any = get_command(app)
    for word in words[1:]:
        if word.startswith("--"):
            options = {name for parameter in here.params for name in parameter.opts}
            assert word.partition("=")[0] in options, f"{line}: {here.name} has no {word}"
        elif commands := getattr(here, "commands", None):
            assert word in commands, f"{line}: there is no {word}"
            here = commands[word]


def check_syntax(block: Block) -> None:
    """Compare a block with the rules of its language.

    Raises:
        AssertionError: Nobody here knows them, and the text does not say that the block is not run.
    """
    match block.language:
        case "json":
            json.loads(block.text)
        case "yaml":
            list(yaml.safe_load_all(block.text))
        case "toml":
            tomllib.loads(block.text)
        case "python":
            ast.parse(block.text)
        case "mermaid":
            assert block.text.split()[0] in DIAGRAMS
        case _:
            known = block.language != "indented" and (block.is_marked or "title" in block.options)
            assert known, f"nobody here runs {block.language or 'such a fence'}"
