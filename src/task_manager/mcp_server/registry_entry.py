"""Writes `server.json`, by which the MCP registry knows the server.

It is `python -m task_manager.mcp_server.registry_entry > server.json`.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from typing import Any, Final

PACKAGE: Final = "task-manager-dagger"
REGISTERED_NAME: Final = f"io.github.{PACKAGE}/task-manager"
"""Also stands in the README, by which the registry sees that the package is the server's."""

SCHEMA: Final = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"


def registry_entry() -> dict[str, Any]:
    """The entry: `uvx` installs the package and starts its command, which serves on standard input and output."""
    released = version(PACKAGE)
    return {
        "$schema": SCHEMA,
        "name": REGISTERED_NAME,
        "title": "Task Manager",
        "description": "Plans projects and tasks, runs them in containers, and checks their results.",
        "version": released,
        "packages": [
            {
                "registryType": "pypi",
                "identifier": PACKAGE,
                "version": released,
                "runtimeHint": "uvx",
                "transport": {"type": "stdio"},
                "packageArguments": [{"type": "positional", "value": "mcp"}],
                "environmentVariables": [
                    {
                        "name": "TASK_MANAGER_DATA_DIR",
                        "description": "The folder of the store, the results and the engine's layers.",
                        "format": "filepath",
                        "isRequired": False,
                    }
                ],
            }
        ],
    }


def text() -> str:
    """The file's text."""
    return json.dumps(registry_entry(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
