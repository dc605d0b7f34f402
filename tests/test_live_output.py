"""Logs by OpenTelemetry, as a real engine's command line exports them: whose they are, and what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from opentelemetry import propagate
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from task_manager.communication.live_output import LiveOutput
from task_manager.communication.otlp import ENDPOINTS, OtlpReceiver

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture
async def receiver() -> AsyncIterator[OtlpReceiver]:
    made = OtlpReceiver()
    await made.start()
    yield made
    await made.close()


def exported(trace_id: bytes, *written: tuple[int | None, str]) -> bytes:
    """An export of records, as the protocol has them; a stream of None is a record that no command wrote."""
    request = ExportLogsServiceRequest()
    records = request.resource_logs.add().scope_logs.add().log_records
    for stream, text in written:
        record = records.add(trace_id=trace_id)
        record.body.string_value = text
        if stream is not None:
            record.attributes.add(key="stdio.stream").value.int_value = stream
    return request.SerializeToString()


async def send(receiver: OtlpReceiver, content: bytes, **headers: str) -> int:
    url = receiver.environment[ENDPOINTS[0]]
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.post(url, content=content, headers={**PROTOBUF, **headers})).status_code


def current_trace() -> bytes:
    """The trace id that requests carry now, as Dagger's SDK puts it into their headers."""
    headers: dict[str, str] = {}
    propagate.inject(headers)
    return bytes.fromhex(headers["traceparent"].split("-")[1]) if headers else b""


async def test_records_reach_who_follows_the_run_whose_requests_were_in_their_trace(receiver: OtlpReceiver) -> None:
    connected = asyncio.Event()
    mine = receiver.output("run-1", connected)
    following = asyncio.ensure_future(anext(mine))
    await connected.wait()
    with receiver.telling("run-1", "build"):
        trace_id = current_trace()
        with receiver.telling("run-2", "other"):
            assert current_trace() != trace_id
            assert await send(receiver, exported(current_trace(), (1, "not mine\n"))) == 200
        assert current_trace() == trace_id
        records = exported(trace_id, (1, "out\n"), (None, "a remark of the engine"), (2, "err\n"))
        assert await send(receiver, records) == 200
    assert current_trace() == b""
    assert await send(receiver, exported(trace_id, (1, "late\n"))) == 200
    await receiver.close()
    told = [await following, *[output async for output in mine]]
    assert told == [
        LiveOutput("build", begins=True),
        LiveOutput("build", "stdout", "out\n"),
        LiveOutput("build", "stderr", "err\n"),
    ]


async def test_what_is_no_export_is_refused_and_harms_nothing(receiver: OtlpReceiver) -> None:
    assert await send(receiver, b"\xff\xff\xff") == 400
    assert await send(receiver, b"{}", **{"content-type": "application/json"}) == 415
    assert await send(receiver, b"x" * (16 * 1024**2 + 1)) == 413
    assert await send(receiver, exported(bytes(16), (1, "of nobody\n"))) == 200


async def test_only_who_knows_the_address_can_send(receiver: OtlpReceiver) -> None:
    port = httpx.URL(receiver.environment[ENDPOINTS[0]]).port
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"http://127.0.0.1:{port}/v1/logs", headers=PROTOBUF)).status_code == 404


async def test_after_its_end_it_does_not_listen(receiver: OtlpReceiver) -> None:
    await receiver.close()
    await receiver.close()
    with pytest.raises(httpx.ConnectError):
        await send(receiver, b"")
