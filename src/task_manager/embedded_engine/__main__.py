"""The command `task-manager-engine`."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from task_manager.embedded_engine.cache_commands import add_cache_commands
from task_manager.embedded_engine.errors import ConfigurationError, EngineError
from task_manager.embedded_engine.image_commands import add_image_commands

EXIT_USAGE = 2
EXIT_UNUSABLE = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0 well, 1 damage found, 2 wrong arguments or settings, 3 not usable."""
    parser = _parser()
    # Flags of the dagger command line that mean nothing here must not keep an SDK from starting a session.
    options, unknown = parser.parse_known_args(arguments)
    if options.command != "session" and unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    try:
        code: int = options.run(options)
    except EngineError as error:
        sys.stderr.write(f"task-manager-engine: {error}\n")
        return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_UNUSABLE
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="task-manager-engine", description="The Dagger API without a daemon.", allow_abbrev=False
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    session = commands.add_parser(
        "session",
        help="serve the Dagger API until standard input ends",
        allow_abbrev=False,
        description="Serve the Dagger API on loopback. The first line of output is JSON with port and session_token; "
        "the session ends with standard input.",
    )
    session.add_argument("--label", action="append", default=[], metavar="KEY:VALUE", help="noted in the log")
    session.add_argument(
        "--workdir", metavar="FOLDER", help="where relative paths of the host start (default: the working folder)"
    )
    session.set_defaults(run=_session)
    doctor = commands.add_parser("doctor", help="check whether sandboxes work on this machine", allow_abbrev=False)
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.set_defaults(run=_doctor)
    for command in (session, doctor, *add_cache_commands(commands), *add_image_commands(commands)):
        command.add_argument("--state-dir", metavar="FOLDER", help="where layers are kept")
        command.add_argument("--config", metavar="FILE", help="settings in JSON, TOML or YAML")
    return parser


def _session(options: argparse.Namespace) -> int:
    from task_manager.embedded_engine.config import load_config
    from task_manager.embedded_engine.serving import serve

    return serve(load_config(options.config, options.state_dir, os.environ), options.workdir)


def _doctor(options: argparse.Namespace) -> int:
    from task_manager.embedded_engine.config import load_config
    from task_manager.embedded_engine.doctor import examine
    from task_manager.embedded_engine.facilities import examine_facilities

    config = load_config(options.config, options.state_dir, os.environ)
    findings = examine(config.state_dir)
    usable = all(finding.ok for finding in findings if finding.required)
    if usable:
        findings += examine_facilities(config)
    if options.json:
        report = {"usable": usable, "findings": [finding.plain() for finding in findings]}
        sys.stdout.write(json.dumps(report, indent=2) + "\n")
    else:
        sys.stdout.write("".join(f"{finding.line()}\n" for finding in findings))
        sys.stdout.write("sandboxes work here\n" if usable else "sandboxes do not work here\n")
    return 0 if usable else EXIT_UNUSABLE


if __name__ == "__main__":
    sys.exit(main())
