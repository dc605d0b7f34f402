"""Sends spans by OTLP over HTTP. Loaded only where somebody receives them."""

from __future__ import annotations

import os
from importlib.metadata import version
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from task_manager.structured_log import get_logger

log = get_logger(__name__)

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")


class _Provider(trace.TracerProvider):
    """Records spans by the SDK's provider, without being one.

    Dagger's SDK adds an exporter of its own to a provider of the SDK, and everything would be sent twice.
    """

    def __init__(self, inner: TracerProvider) -> None:
        self._inner = inner

    def get_tracer(self, *arguments: Any, **named: Any) -> trace.Tracer:
        """A tracer of the SDK."""
        return self._inner.get_tracer(*arguments, **named)


def export_spans(process: str) -> None:
    """Have all spans of this process sent, in the background and at its end.

    Args:
        process: What it is.
    """
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "http/protobuf")
    if protocol != "http/protobuf":
        log.warning("traces_sent_over_http", wanted=protocol, sent="http/protobuf")
    provider = TracerProvider(resource=_resource(process))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(_Provider(provider))


def _resource(process: str) -> Resource:
    """What the spans come from; what the environment says counts over it."""
    own: dict[str, str | int] = {
        "service.name": "task-manager",
        "service.version": version("task-manager-dagger"),
        "process.pid": os.getpid(),
        "task_manager.process": process,
    }
    return Resource.create({**own}).merge(OTELResourceDetector().detect())
