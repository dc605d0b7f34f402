"""What steps write on a real Dagger engine, from the OpenTelemetry logs that its command line exports.

The command line of a session exports what the engine's commands write as log records, when the environment names an
address for them (opentelemetry.io/docs/specs/otel/protocol/exporter). The engine takes the trace of each request from
its `traceparent` header, which Dagger's SDK sends for the current trace; so every step's requests are made in a trace
of their own, and the records' trace ids tell whose they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncGenerator, Generator, Iterator
from typing import TYPE_CHECKING, Final

from task_manager.communication.live_output import LiveOutput
from task_manager.structured_log import get_logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
    from starlette.requests import Request
    from starlette.responses import Response

log = get_logger(__name__)

ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Variables by which somebody else receives what a session exports."""

_STREAMS: Final = {1: "stdout", 2: "stderr"}
_STREAM_ATTRIBUTE: Final = "stdio.stream"
_PROTOBUF: Final = "application/x-protobuf"
_LARGEST_BODY: Final = 16 * 1024**2


class OtlpReceiver:
    """Receives logs by OTLP over HTTP on a loopback port, and tells what the commands of each owner wrote.

    Only who knows the address can send: it has a secret in its path.
    """

    uses_labels = False
    tells_cached = False

    def __init__(self) -> None:
        self._path = f"/{secrets.token_urlsafe(32)}/v1/logs"
        self._steps: dict[bytes, tuple[str, str]] = {}
        self._readers: dict[str, list[asyncio.Queue[LiveOutput | None]]] = {}
        self._closing: list[contextlib.AsyncExitStack] = []
        self._port = 0

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that let a session export its logs to this receiver."""
        return {
            ENDPOINTS[0]: f"http://127.0.0.1:{self._port}{self._path}",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "http/protobuf",
            "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none",
        }

    async def start(self) -> None:
        """Listen on a free port."""
        listener = socket.create_server(("127.0.0.1", 0))
        self._port = listener.getsockname()[1]
        stack = contextlib.AsyncExitStack()
        await stack.enter_async_context(_served(self._path, self._receive, listener))
        self._closing.append(stack)

    async def close(self) -> None:
        """Listen no more, and let every reader go."""
        for queue in (queue for queues in self._readers.values() for queue in queues):
            queue.put_nowait(None)
        while self._closing:
            await self._closing.pop().aclose()

    @contextlib.contextmanager
    def telling(self, owner: str, step_id: str) -> Iterator[None]:
        """Make the requests of the block in a trace of their own."""
        from opentelemetry import context, trace

        trace_id, span_id = secrets.randbits(128) | 1, secrets.randbits(64) | 1
        span = trace.SpanContext(trace_id, span_id, is_remote=False, trace_flags=trace.TraceFlags(1))
        key = trace_id.to_bytes(16)
        self._steps[key] = (owner, step_id)
        self._tell(owner, LiveOutput(step_id, begins=True))
        token = context.attach(trace.set_span_in_context(trace.NonRecordingSpan(span)))
        try:
            yield
        finally:
            context.detach(token)
            del self._steps[key]

    async def output(self, owner: str, connected: asyncio.Event) -> AsyncGenerator[LiveOutput]:
        """See `LiveOutputSource`."""
        queue: asyncio.Queue[LiveOutput | None] = asyncio.Queue()
        self._readers.setdefault(owner, []).append(queue)
        connected.set()
        try:
            while (output := await queue.get()) is not None:
                yield output
        finally:
            self._readers[owner].remove(queue)
            if not self._readers[owner]:
                del self._readers[owner]

    def _tell(self, owner: str, output: LiveOutput) -> None:
        for queue in self._readers.get(owner, ()):
            queue.put_nowait(output)

    async def _receive(self, request: Request) -> Response:
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as service
        from starlette.responses import Response

        if request.headers.get("content-type", "").partition(";")[0] != _PROTOBUF:
            return Response(status_code=415)
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_BODY:
                return Response(status_code=413)
        try:
            records = service.ExportLogsServiceRequest.FromString(bytes(body))
        except DecodeError as error:
            log.warning("otlp_not_understood", error=str(error))
            return Response(status_code=400)
        for record in (r for group in records.resource_logs for scope in group.scope_logs for r in scope.log_records):
            self._take(record)
        return Response(service.ExportLogsServiceResponse().SerializeToString(), media_type=_PROTOBUF)

    def _take(self, record: LogRecord) -> None:
        """Tell what a record says, if it is what a command of a known trace wrote."""
        known = self._steps.get(record.trace_id)
        numbers = [pair.value.int_value for pair in record.attributes if pair.key == _STREAM_ATTRIBUTE]
        stream = _STREAMS.get(numbers[0]) if numbers else None
        if known is not None and stream is not None and record.body.string_value:
            self._tell(known[0], LiveOutput(known[1], stream, record.body.string_value))


@contextlib.asynccontextmanager
async def _served(path: str, receive: object, listener: socket.socket) -> AsyncGenerator[None]:
    """Serve one address until the block ends."""
    import uvicorn
    from starlette.applications import Starlette
    from starlette.routing import Route

    class Server(uvicorn.Server):
        """Leaves the process's signals alone."""

        @contextlib.contextmanager
        def capture_signals(self) -> Generator[None]:
            """Capture none."""
            yield

    application = Starlette(routes=[Route(path, receive, methods=["POST"])])  # type: ignore[arg-type]
    server = Server(uvicorn.Config(application, lifespan="off", log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listener]), name="otlp receiver")
    try:
        yield
    finally:
        server.should_exit = True
        server.force_exit = True
        await asyncio.wait([serving])
        listener.close()
