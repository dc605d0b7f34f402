"""How agents' programs are told of the server: entries in their configuration files, beside what is there."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import platformdirs

from task_manager.errors import InvalidInput
from task_manager.whole_files import write_whole

NAME: Final = "task_manager"
"""The server's name, in every configuration."""


class AgentClient(StrEnum):
    """A program that agents run in."""

    CLAUDE_CODE = "claude-code"
    """Claude Code: `.mcp.json` in the working folder."""
    CLAUDE_DESKTOP = "claude-desktop"
    """Claude Desktop: its configuration of this user."""
    CURSOR = "cursor"
    """Cursor: its configuration of this user."""
    VSCODE = "vscode"
    """Visual Studio Code: `.vscode/mcp.json` in the working folder."""


@dataclass(frozen=True)
class Configuration:
    """What a client's file says once the server is in it.

    Attributes:
        path: The file.
        document: All of it.
        changed: Whether that is not what it says already.
    """

    path: Path
    document: dict[str, Any]
    changed: bool

    @property
    def text(self) -> str:
        """The file's text."""
        return json.dumps(self.document, indent=2, ensure_ascii=False) + "\n"


def configuration_of(client: AgentClient, folder: Path, arguments: Sequence[str] = ()) -> Configuration:
    """A client's file with the server in it, and everything else as it is.

    Args:
        client: The program.
        folder: The working folder, for programs that are configured there.
        arguments: What follows `task-manager` before `mcp`.

    Raises:
        InvalidInput: The file is there and cannot be understood; it stays as it is.
    """
    path = _path(client, folder)
    document = _read(path)
    key = "servers" if client is AgentClient.VSCODE else "mcpServers"
    servers = document.get(key, {})
    if not isinstance(servers, dict):
        raise _unfit(path, f"{key} is no object")
    entry = _entry(client, arguments)
    added = {**document, key: {**servers, NAME: entry}}
    return Configuration(path, added, changed=added != document)


def write(configuration: Configuration) -> None:
    """Write a client's file, whole or not at all.

    Raises:
        InvalidInput: It cannot be written.
    """
    # A link stays a link: what it leads to is written.
    path = configuration.path.resolve()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
        write_whole(path, configuration.text, mode=mode)
    except OSError as error:
        raise InvalidInput(
            f"{path} cannot be written: {error.strerror}.", remedy="Use --print and put it there yourself."
        ) from error


def _entry(client: AgentClient, arguments: Sequence[str]) -> dict[str, object]:
    command, first = _command()
    entry: dict[str, object] = {"command": command, "args": [*first, *arguments, "mcp"]}
    return {"type": "stdio", **entry} if client in (AgentClient.VSCODE, AgentClient.CLAUDE_CODE) else entry


def _command() -> tuple[str, list[str]]:
    """How this installation is started, wherever a client is started from."""
    program = Path(sys.executable).parent / ("task-manager.exe" if os.name == "nt" else "task-manager")
    return (str(program), []) if program.is_file() else (sys.executable, ["-m", "task_manager"])


def _path(client: AgentClient, folder: Path) -> Path:
    places: Mapping[AgentClient, Path] = {
        AgentClient.CLAUDE_CODE: folder / ".mcp.json",
        AgentClient.CLAUDE_DESKTOP: Path(platformdirs.user_config_dir("Claude", appauthor=False, roaming=True))
        / "claude_desktop_config.json",
        AgentClient.CURSOR: Path.home() / ".cursor" / "mcp.json",
        AgentClient.VSCODE: folder / ".vscode" / "mcp.json",
    }
    return places[client]


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise _unfit(path, str(error)) from error
    try:
        document = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError) as error:
        raise _unfit(path, f"it is no JSON ({error})") from error
    if not isinstance(document, dict):
        raise _unfit(path, "it is no object")
    return document


def _unfit(path: Path, why: str) -> InvalidInput:
    return InvalidInput(
        f"{path} cannot be extended: {why}.", remedy="It was left as it is; use --print and add the entry yourself."
    )
