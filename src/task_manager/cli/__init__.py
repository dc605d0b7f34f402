"""The command line: it prints, and decides nothing."""

import sys


def main() -> None:
    """Run the command line with this process's arguments, and exit with its code."""
    from task_manager.cli.app import run

    sys.exit(run(sys.argv[1:]))
