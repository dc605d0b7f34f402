"""A request's trace goes on through the queue into the worker's process, and every line there says whose it is."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client
from opentelemetry import trace

from tests.environment.exporting_engine import exporting_program
from tests.environment.otlp import ReceivedSpan, Receiver, receiving
from tests.environment.processes import until
from tests.environment.warm_program import warm_program

SECRET = "s3cr3t-value-of-a-step"


def environment(data_dir: Path, **more: str) -> dict[str, str]:
    """What processes of a service have, beside what this one has."""
    own = {
        "TASK_MANAGER_DATA_DIR": str(data_dir),
        "TASK_MANAGER_ENGINE": "embedded",
        "TASK_MANAGER_IMAGES": "host",
        "TASK_MANAGER_LOG_LEVEL": "info",
        "TASK_MANAGER_LOG_FORMAT": "json",
        "TASK_MANAGER_IDLE_SECONDS": "120",
        "THE_SECRET": SECRET,
    }
    return {**os.environ, **own, **more}


@asynccontextmanager
async def server(env: dict[str, str]) -> AsyncIterator[str]:
    """A server in a process of its own, whose worker is another; both are ended. Gives its address."""
    command = [warm_program()]
    process = await asyncio.create_subprocess_exec(*command, "server", "--port", "0", stdout=subprocess.PIPE, env=env)
    assert process.stdout is not None
    try:
        told = (await process.stdout.readline()).decode()
        yield told.rpartition("agents are served at ")[2].strip().removesuffix(".").removesuffix("/mcp")
    finally:
        process.terminate()
        await process.wait()
        stopping = await asyncio.create_subprocess_exec(*command, "worker", "stop", stdout=subprocess.DEVNULL, env=env)
        await stopping.wait()


def pipeline(image: str) -> dict[str, Any]:
    """A step that shows a secret, and one after it that fails."""
    shows = {
        "id": "shows",
        "image": image,
        "command": ["sh", "-c", "echo $THE_SECRET"],
        "secrets": {"THE_SECRET": "env:THE_SECRET"},
    }
    fails = {"id": "fails", "image": image, "command": ["sh", "-c", "exit 3"], "needs": ["shows"]}
    return {"steps": [shows, fails]}


def traceparent(trace_id: str) -> str:
    return f"00-{trace_id}-{secrets.token_hex(8)}-01"


def above(span: ReceivedSpan, spans: list[ReceivedSpan], known: set[str]) -> str:
    """The name of the nearest known span that one is a part of; other packages record some in between, too."""
    by_id = {other.span_id: other for other in spans}
    while span.parent_id in by_id:
        span = by_id[span.parent_id]
        if span.name in known:
            return span.name
    return ""


async def ended(http: httpx.AsyncClient, run_id: str) -> dict[str, Any]:
    """A run once it is over."""
    async with asyncio.timeout(120), http.stream("GET", f"/runs/{run_id}/events/stream") as events:
        async for _ in events.aiter_lines():
            pass
    run: dict[str, Any] = (await http.get(f"/runs/{run_id}")).json()
    return run


async def test_a_trace_goes_from_requests_through_the_queue_to_the_steps_of_another_process(
    tmp_path: Path, busybox_image: str
) -> None:
    of_rest, of_mcp = secrets.token_hex(16), secrets.token_hex(16)
    requests = tmp_path / "requests"
    engine = {**exporting_program(tmp_path, tmp_path / "engine"), "ENGINE_REQUESTS": str(requests)}
    with receiving() as received:
        settings = {"TASK_MANAGER_ENGINE": "dagger", "TASK_MANAGER_IMAGES": "pull", **engine, **received.environment}
        async with server(environment(tmp_path, **settings)) as address:
            async with httpx.AsyncClient(base_url=f"{address}/api/v1", timeout=60) as http:
                project = (await http.post("/projects", json={"name": "p"})).json()
                body = {"project_id": project["id"], "title": "T", "pipeline": pipeline(busybox_image)}
                task = (await http.post("/tasks", json=body)).json()
                headers = {"traceparent": traceparent(of_rest), "tracestate": "vendor=1"}
                run = (await http.post(f"/tasks/{task['id']}/runs", json={}, headers=headers)).json()
                first = await ended(http, run["id"])
                second = await ended(http, await asked_by_an_agent(address, task["id"], of_mcp))
            spans_of_steps = {"step shows", "step fails"}
            await until(lambda: all({*spans_of_steps, "run"} <= received.names(one) for one in (of_rest, of_mcp)))
        await until(lambda: any(span.name == "execute" for span in received.of_trace(of_mcp)))
    assert (first["status"], first["tracestate"]) == ("failed", "vendor=1")
    route = "POST /api/v1/tasks/{task_id}/runs"
    check_tree(received, of_rest, first, route)
    check_tree(received, of_mcp, second, "tools/call execute_task_workflow")
    assert SECRET not in str(received.spans)
    assert not [span.name for span in received.spans if span.name.startswith("fastapi")]
    check_lines((tmp_path / "worker.log").read_text(), first, of_rest)
    check_requests(requests.read_text().splitlines(), received.spans, {of_rest, of_mcp})


def check_requests(lines: Sequence[str], spans: list[ReceivedSpan], trace_ids: set[str]) -> None:
    """Each request that has the engine run a command has the header `traceparent` of that command's step."""
    by_id = {span.span_id: span for span in spans}
    told = set()
    for line in lines:
        request = json.loads(line)
        _, trace_id, span_id, _ = request["traceparent"].split("-")
        steps = {"step shows", "step fails"}
        step = by_id[span_id].name if by_id[span_id].name in steps else above(by_id[span_id], spans, steps)
        assert ("exit 3" in request["body"]) == (step == "step fails")
        told.add((trace_id, step))
    assert told == {(trace_id, step) for trace_id in trace_ids for step in ("step shows", "step fails")}


async def asked_by_an_agent(address: str, task_id: str, trace_id: str) -> str:
    """Executes a task as an agent does that is in a trace; returns the run's id."""
    mine = trace.SpanContext(int(trace_id, 16), 1, is_remote=False, trace_flags=trace.TraceFlags(1))
    async with Client(f"{address}/mcp", cache=None) as client:
        with trace.use_span(trace.NonRecordingSpan(mine)):
            answer = await client.call_tool("execute_task_workflow", {"task_id": task_id, "skip_cache": True})
    content: dict[str, Any] = answer.structured_content or {}
    run_id: str = content["id"]
    return run_id


def check_tree(received: Receiver, trace_id: str, run: dict[str, Any], request: str) -> None:
    """Everything that was done for a request hangs together, and says which run it is about."""
    spans = received.of_trace(trace_id)
    tree = {"execute": request, "queued": "execute", "run": "execute", "step shows": "run", "step fails": "run"}
    known = {request, *tree}
    assert {span.name: above(span, spans, known) for span in spans if span.name in known} == {request: "", **tree}
    by_name = {span.name: span for span in spans}
    assert {by_name[name].process for name in (request, "execute")} == {"server"}
    assert {by_name[name].process for name in ("queued", "run", "step shows")} == {"worker"}
    for name in ("execute", "queued", "run"):
        assert by_name[name].attributes["task_manager.run.id"] == run["id"]
    assert by_name["run"].attributes["task_manager.run.status"] == "failed"
    assert by_name["step fails"].attributes["task_manager.step.exit_code"] == 3
    assert (by_name["step fails"].failed, by_name["step shows"].failed) == ("step_failed", "")


def check_lines(text: str, run: dict[str, Any], trace_id: str) -> None:
    """Every line is an object; those of a run say which, of which task and project, and in which trace."""
    lines = [json.loads(line) for line in text.splitlines() if not line.startswith("Worker ")]
    of_run = [line for line in lines if line.get("run_id") == run["id"]]
    said = [(line["event"], line.get("step")) for line in of_run]
    steps = [(event, step) for step in ("shows", "fails") for event in ("step_started", "step_ended")]
    assert [one for one in said if one[0].startswith(("step_", "attempt_"))] == [
        ("attempt_started", None),
        *steps,
        ("attempt_ended", None),
    ]
    assert {(line["task_id"], line["project_id"]) for line in of_run} == {(run["task_id"], run["project_id"])}
    assert {line["trace_id"] for line in of_run if line["event"].startswith(("step_", "attempt_"))} == {trace_id}
    assert SECRET not in text


@pytest.mark.parametrize(
    "off", [{}, {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "true"}]
)
def test_where_no_receiver_is_named_the_sdk_is_not_even_loaded(tmp_path: Path, off: dict[str, str]) -> None:
    program = (
        "import sys; from task_manager.cli import main\n"
        "try: main()\n"
        "finally: print(sorted(n for n in sys.modules if n.startswith('opentelemetry.') and '.sdk' in n), "
        "file=sys.stderr)"
    )
    clean = {name: value for name, value in environment(tmp_path).items() if not name.startswith("OTEL_")}
    done = subprocess.run(
        [sys.executable, "-c", program, "mcp"],
        input="",
        capture_output=True,
        text=True,
        env={**clean, **off},
        check=True,
    )
    assert done.stderr.splitlines()[-1] == "[]"


def test_a_command_is_a_part_of_the_trace_that_its_environment_names(tmp_path: Path) -> None:
    trace_id = secrets.token_hex(16)
    with receiving() as received:
        env = environment(tmp_path, TRACEPARENT=traceparent(trace_id), **received.environment)
        command = [sys.executable, "-m", "task_manager", "project", "list", "--json"]
        subprocess.run(command, check=True, capture_output=True, env=env)
        subprocess.run([*command[:3], "project", "show", "none"], check=False, capture_output=True, env=env)
    spans = {span.name: span for span in received.of_trace(trace_id)}
    assert {name: span.failed for name, span in spans.items()} == {
        "task-manager project list": "",
        "task-manager project show": "not_found",
    }
