"""What a server on standard input and output loads before it answers."""

import json
import os
import subprocess
import sys
from pathlib import Path

from task_manager.store import Store

EXECUTION = {"alembic", "dagger", "dbos", "prometheus_client", "purgatory", "redis"}
"""What only processes that execute runs need, or upgrade a store."""
STORE = {"jinja2", "jsonschema", "sqlalchemy", "structlog", "yaml"}
"""What only those need that ask something of the store, or make a workflow."""
MAKING = STORE - {"sqlalchemy", "structlog"}

HELLO: tuple[tuple[str, object], ...] = (
    ("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}),
    ("tools/list", {}),
)
STATUS = ("tools/call", {"name": "get_workflow_status", "arguments": {"task_id": "nothing"}})


def loaded_by(folder: Path, *requests: tuple[str, object]) -> set[str]:
    """The packages that a server has loaded when it has answered these requests."""
    told = folder / "imports"
    with (
        told.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-X", "importtime", "-m", "task_manager", "mcp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ,
            text=True,
        ) as server,
    ):
        assert server.stdin is not None
        assert server.stdout is not None
        for number, (method, params) in enumerate(requests):
            message = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
            server.stdin.write(json.dumps(message) + "\n")
            server.stdin.flush()
            assert json.loads(server.stdout.readline())["id"] == number
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in told.read_text().splitlines()}


def test_a_server_that_was_only_greeted_and_listed_its_tools_has_loaded_no_store_and_no_engine(
    surroundings: Path,
) -> None:
    loaded = loaded_by(surroundings, *HELLO)
    assert {"mcp", "task_manager"} <= loaded
    assert loaded & (STORE | EXECUTION) == set()


def test_a_server_that_was_asked_how_a_task_is_has_loaded_the_store_alone(surroundings: Path) -> None:
    with Store.open(surroundings / "data"):
        pass
    loaded = loaded_by(surroundings, *HELLO, STATUS)
    assert "sqlalchemy" in loaded
    assert loaded & (MAKING | EXECUTION) == set()
