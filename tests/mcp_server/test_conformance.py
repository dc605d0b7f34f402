"""The protocol's official suite, on the product as it is: what it asks of every server."""

import subprocess
from pathlib import Path

import pytest

from tests.environment import node
from tests.mcp_server.conftest import Server

PROJECT = Path(__file__).parent / "conformance"
SUITE = "@modelcontextprotocol/conformance/dist/index.js"
SCENARIOS = [
    "tools-list",
    "resources-list",
    "prompts-list",
    "completion-complete",
    "sep-2164-resource-not-found",
    "dns-rebinding-protection",
    "caching",
    "http-header-validation",
    "server-sse-multiple-streams",
]


@pytest.fixture(scope="session")
def suite() -> Path:
    return node.node_modules(PROJECT) / SUITE


def test_the_scenarios_for_every_server_are_passed(suite: Path, server: Server, tmp_path: Path) -> None:
    failed = {}
    for scenario in SCENARIOS:
        command = [str(node.node_program()), str(suite), "server", "--url", f"{server.address}/mcp"]
        done = subprocess.run(
            [*command, "--scenario", scenario, "--spec-version", "2026-07-28"],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
            timeout=120,
        )
        if done.returncode or ", 0 failed" not in done.stdout:
            failed[scenario] = done.stdout[-2000:] + done.stderr[-2000:]
    assert failed == {}
