"""The committed reference of the engine's API is the one that the schema gives."""

import subprocess
import sys
from pathlib import Path

from task_manager.embedded_engine.api.offered import OFFERED

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "embedded-engine.md"


def test_the_committed_page_is_what_the_command_writes() -> None:
    command = [sys.executable, "-m", "task_manager.embedded_engine.schema.reference"]
    written = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert PAGE.read_text() == written, "write it anew: " + " ".join(["python", *command[1:], ">", str(PAGE)])


def test_the_page_has_every_supported_type_and_names_refused_arguments() -> None:
    text = PAGE.read_text()
    assert [name for name in OFFERED if f"\n### {name}\n" not in text] == []
    (row,) = (line for line in text.splitlines() if line.startswith("| `withExec("))
    assert row.endswith("Not supported: `experimentalPrivilegedNesting`, `insecureRootCapabilities`. |")
    supported, _, unsupported = text.partition("## Not supported")
    assert "`git`" in unsupported
    assert "`git`" not in supported
