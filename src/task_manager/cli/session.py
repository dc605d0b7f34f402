"""What one call of the command line works with: its options, its settings, its output."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

import typer

from task_manager.cli.exit_codes import ExitCode, of_error
from task_manager.cli.output import Output

if TYPE_CHECKING:
    from task_manager.application import Application
    from task_manager.config import Settings


_LASTING: Final = {"mcp": "mcp", "server": "server", "worker run": "worker"}


@dataclass(frozen=True)
class Session:
    """One call.

    Attributes:
        arguments: Settings that were given as options.
        json: Whether standard output carries one JSON document.
        debug: Whether unexpected errors show where they came from.
        output: Where the command prints.
    """

    arguments: Mapping[str, object] = field(default_factory=dict)
    json: bool = False
    debug: bool = False
    output: Output = field(default_factory=lambda: Output(as_json=False))

    def with_options(self, *, json: bool, debug: bool = False, **arguments: object) -> Session:
        """This call with more options; one that was not given leaves an earlier one as it is."""
        as_json = self.json or json
        return replace(
            self,
            arguments={**self.arguments, **{name: value for name, value in arguments.items() if value is not None}},
            json=as_json,
            debug=self.debug or debug,
            output=Output(as_json=as_json),
        )

    def load_settings(self) -> tuple[Settings, Mapping[str, str]]:
        """The settings, and where each came from; log lines go to standard error from here on.

        Raises:
            InvalidConfiguration: A value cannot be used.
        """
        from task_manager.cli.log_output import configure_logging
        from task_manager.config import load_settings

        settings, origins = load_settings(self.arguments)
        asked_for = origins["log_level"] != "default"
        level = "debug" if self.debug else settings.log_level if asked_for else "error"
        configure_logging(level, settings.log_format)
        return settings, origins

    def settings(self) -> Settings:
        """The settings.

        Raises:
            InvalidConfiguration: A value cannot be used.
        """
        return self.load_settings()[0]

    def application(self) -> AbstractAsyncContextManager[Application]:
        """The application over these settings; to be entered.

        Raises:
            InvalidConfiguration: A setting cannot be used.
        """
        from task_manager.application import Application

        return Application(self.settings())

    def execute(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do a command's work; errors become a message and an exit code.

        Args:
            work: What is done.
            name: What the command is called, such as `run start`.

        Raises:
            typer.Exit: The work did not succeed.
        """
        from task_manager.errors import TaskManagerError

        try:
            with _traced(name):
                asyncio.run(_ended_by_signals(work))
        except TaskManagerError as error:
            self.output.error(error)
            raise typer.Exit(of_error(error)) from error
        except (KeyboardInterrupt, asyncio.CancelledError) as error:
            self.output.problem("Cancelled.", data={"code": "cancelled", "message": "Cancelled."})
            raise typer.Exit(ExitCode.CANCELLED) from error
        except (typer.Exit, typer.Abort, typer.TyperException, BrokenPipeError):
            raise
        except Exception as error:
            if self.debug or os.environ.get("TASK_MANAGER_DEBUG"):
                raise
            self._unexpected(error)
            raise typer.Exit(ExitCode.FAILED) from error

    def _unexpected(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}".strip()
        self.output.problem(
            f"This should not have happened: {text}",
            "Run it again with --debug (or TASK_MANAGER_DEBUG=1) to see where.",
            {"code": "unexpected", "message": text},
        )


def _traced(name: str) -> AbstractContextManager[object]:
    """Record the command as a part of the trace that the environment names; one that lasts has no span of its own."""
    from task_manager import tracing

    if not tracing.is_configured():
        return nullcontext()
    tracing.start_tracing(_LASTING.get(name, "command"))
    return nullcontext() if name in _LASTING else tracing.command_span(name)


async def _ended_by_signals(work: Coroutine[Any, Any, None]) -> None:
    """Do the work; a polite request to end cancels it, as Ctrl-C does."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None and os.name == "posix":
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    await work
