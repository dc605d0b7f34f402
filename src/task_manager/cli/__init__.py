"""The command line: it prints, and decides nothing."""

import gc
import sys


def main() -> None:
    """Run the command line with this process's arguments, and exit with its code."""
    try:
        from task_manager.cli.app import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # while modules were loaded
        code = 130
    # The interpreter would look for garbage among all that is left, which takes a server more than a second.
    gc.freeze()
    sys.exit(code)
