"""Nothing that others rely on changes without a line in CHANGELOG.md."""

import json

import pytest

from tests.compatibility import golden
from tests.compatibility.interfaces import INTERFACES, commands
from tests.compatibility.json_outputs import NOT_CALLED

HOW = 'say in one sentence what changed, for those who rely on it: make golden CHANGE="…"'


@pytest.mark.parametrize("name", INTERFACES)
def test_an_interface_is_what_the_changelog_last_told_of_it(name: str) -> None:
    noted = golden.stored(name)
    assert noted.get("interface") == json.loads(json.dumps(INTERFACES[name]())), HOW
    assert noted["seal"] == golden.seal(noted["interface"], noted["change"]), HOW
    assert golden.line_of(noted["change"]) in golden.CHANGELOG.read_text(), HOW


def test_the_output_of_every_command_is_noted_or_said_why_not() -> None:
    names = {name.removeprefix("task-manager").strip() for name in commands()}
    groups = {name for name in names if any(other.startswith(f"{name} ") for other in names)} - {"mcp"}
    noted = golden.stored("command-line-json")["interface"]["commands"]
    assert names - groups - {""} == noted.keys() | NOT_CALLED.keys()
