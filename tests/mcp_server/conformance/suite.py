"""Runs the official suite against a server and reads what it found."""

import asyncio
import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.environment import node

FOLDER: Final = Path(__file__).parent
_PROGRAM: Final = "@modelcontextprotocol/conformance/dist/index.js"
_FOLDER_OF_RESULTS: Final = re.compile(r"server-(?P<scenario>.+)-\d{4}-\d\d-\d\dT[\d-]+Z")


@dataclass(frozen=True, order=True)
class Check:
    """What the suite checks: a scenario of one revision of the protocol, and one of its checks."""

    revision: str
    scenario: str
    check: str


@dataclass(frozen=True)
class Outcome:
    """What became of the checks.

    Attributes:
        passed: Those that passed each time.
        failed: Those that failed at least once, or warned, with what was told.
    """

    passed: frozenset[Check]
    failed: dict[Check, str]

    @property
    def scenarios(self) -> set[str]:
        """The names of all scenarios that were run."""
        return {check.scenario for check in self.passed | self.failed.keys()}


def expected_failures() -> dict[str, dict[Check, str]]:
    """The checks that are known to fail, with their reasons, by the server that fails them."""
    tables = tomllib.loads((FOLDER / "expected_failures.toml").read_text(encoding="utf-8"))
    return {
        server: {
            Check(one["revision"], one["scenario"], check): one["reason"] for one in entries for check in one["checks"]
        }
        for server, entries in tables.items()
    }


async def outcome(address: str, revision: str, folder: Path) -> Outcome:
    """Run all that a revision requires, and the extensions', against the server at an address.

    Args:
        address: Of the server, without path.
        revision: Of the protocol, such as `2026-07-28`.
        folder: Where the suite may write.
    """
    program = await asyncio.to_thread(lambda: node.node_modules(FOLDER) / _PROGRAM)
    command = [str(node.node_program()), str(program), "server", "--url", f"{address}/mcp", "-o", str(folder)]
    running = await asyncio.create_subprocess_exec(
        *command, "--requirements", revision, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    told, _ = await running.communicate()
    found = list(_results(revision, folder))
    assert found, told.decode()
    failed = {check: message for check, status, message in found if status in ("FAILURE", "WARNING")}
    passed = frozenset(check for check, status, _ in found if status == "SUCCESS") - failed.keys()
    return Outcome(passed, failed)


def _results(revision: str, folder: Path) -> Iterable[tuple[Check, str, str]]:
    for file in folder.glob("server-*/checks.json"):
        named = _FOLDER_OF_RESULTS.fullmatch(file.parent.name)
        assert named is not None, file.parent.name
        for one in json.loads(file.read_text(encoding="utf-8")):
            check = Check(revision, named["scenario"], one["id"])
            yield check, one["status"], f"{one['description']}: {one.get('errorMessage', '')}"
