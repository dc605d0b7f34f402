"""Traces by OpenTelemetry: from the request that asks for a run, through the queue, to its steps.

They are exported where the standard variables name a receiver (opentelemetry.io/docs/specs/otel/protocol/exporter);
where they do not, nothing of the SDK is loaded and spans cost nothing. The context of somebody else's trace is passed
on in any case: with a run through the store, and with its steps to the engine.

Attributes are ids, names, states and numbers; never parameters, output, or the text of an error.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

Attribute: TypeAlias = str | int | float | bool | None
TraceContext: TypeAlias = dict[str, str]
"""`traceparent` and perhaps `tracestate`, as in W3C's Trace Context."""

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_API: Final = "opentelemetry.trace"
_NAMES: Final = ("traceparent", "tracestate")
_LONGEST: Final = 512  # characters that a tracestate has to be passed on with, at least; the rest of it is left out

_on = False


class SpanHandle:
    """A span that is under way, or nothing where none is recorded."""

    def __init__(self, span: Span | None = None) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, Attribute]) -> None:
        """Add attributes; those without a value are left out."""
        if self._span is not None:
            self._span.set_attributes(_named(attributes))

    def rename(self, name: str) -> None:
        """Give it a name that was not known at its beginning."""
        if self._span is not None:
            self._span.update_name(name)

    def failed(self, code: str) -> None:
        """Mark it as failed.

        Args:
            code: What kind of failure it is; no text, which may hold anything.
        """
        if self._span is not None:
            from opentelemetry.trace import StatusCode

            self._span.set_status(StatusCode.ERROR, code)


_NOTHING: Final = SpanHandle()
_NONE: Final[Mapping[str, Attribute]] = MappingProxyType({})


def is_configured(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment names a receiver of traces, and does not turn them off."""
    off = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    wanted = environment.get("OTEL_TRACES_EXPORTER", "otlp").strip() in ("", "otlp")
    return wanted and not off and any(environment.get(name) for name in _ENDPOINTS)


def start_tracing(process: str) -> None:
    """Export this process's spans, if the environment says where to; once.

    Args:
        process: What it is: `server`, `worker`, `mcp` or `command`.
    """
    global _on  # noqa: PLW0603 - as the provider of spans is, which there is one of in a process
    if _on or not is_configured():
        return
    from task_manager.tracing.exporting import export_spans

    export_spans(process)
    _on = True


def is_on() -> bool:
    """Whether this process records spans."""
    return _on


@contextmanager
def span(name: str, attributes: Mapping[str, Attribute] = _NONE, *, server: bool = False) -> Iterator[SpanHandle]:
    """Record what the block does, as a part of what is recorded around it.

    Args:
        name: What is done; one of few.
        attributes: What is known at its beginning; those without a value are left out.
        server: Whether it answers somebody's request.
    """
    if not _on:
        yield _NOTHING
        return
    from opentelemetry.trace import SpanKind

    kind = SpanKind.SERVER if server else SpanKind.INTERNAL
    with _tracer().start_as_current_span(
        name, kind=kind, attributes=_named(attributes), record_exception=False, set_status_on_exception=False
    ) as made:
        handle = SpanHandle(made)
        try:
            yield handle
        except Exception as error:
            handle.failed(str(getattr(error, "code", type(error).__name__)))
            raise


@contextmanager
def command_span(name: str) -> Iterator[None]:
    """Record a command, as a part of the trace that whoever called it passes on."""
    with continued(of_environment()), span(f"task-manager {name}"):
        yield


def record_span(name: str, begin: datetime, end: datetime, attributes: Mapping[str, Attribute]) -> None:
    """Record something that is over, as a part of what is recorded now."""
    if _on:
        made = _tracer().start_span(name, attributes=_named(attributes), start_time=_nanoseconds(begin))
        made.end(_nanoseconds(end))


def current_context() -> TraceContext | None:
    """What passes the current trace on; None outside of any."""
    if _API not in sys.modules:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carried: TraceContext = {}
    TraceContextTextMapPropagator().inject(carried)
    if len(carried.get("tracestate", "")) > _LONGEST:
        del carried["tracestate"]
    return carried or None


@contextmanager
def continued(passed_on: Mapping[str, str] | None) -> Iterator[None]:
    """Go on with a trace in the block; with none, or one that cannot be read, with the current one."""
    known = {name: passed_on[name] for name in _NAMES if passed_on.get(name)} if passed_on else {}
    context = _read(known) if "traceparent" in known else None
    if context is None:
        yield
        return
    from opentelemetry.context import attach, detach

    token = attach(context)
    try:
        yield
    finally:
        detach(token)


def of_environment(environment: Mapping[str, str] = os.environ) -> TraceContext:
    """The trace that whoever started this process passes on by `TRACEPARENT` and `TRACESTATE`."""
    return {name: environment[name.upper()] for name in _NAMES if environment.get(name.upper())}


def _read(known: Mapping[str, str]) -> Context | None:
    from opentelemetry.trace import get_current_span
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract(known)
    return context if get_current_span(context).get_span_context().is_valid else None


def _tracer() -> Tracer:
    from opentelemetry import trace

    return trace.get_tracer("task-manager")


def _named(attributes: Mapping[str, Attribute]) -> dict[str, str | int | float | bool]:
    return {name: value for name, value in attributes.items() if value is not None}


def _nanoseconds(time: datetime) -> int:
    return int(time.timestamp() * 1_000_000) * 1000
