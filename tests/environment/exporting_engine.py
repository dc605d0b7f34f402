"""Stands for `dagger session`: the embedded engine, which exports a line by OpenTelemetry for each command.

It sends what a real command line sends: a record in the trace that the request named in its `traceparent` header.
Where the environment names a file, `ENGINE_REQUESTS`, each request with a command is noted there, with that header.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

STATE = "ENGINE_STATE"
LOGS = "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"


def exporting_program(folder: Path, state: Path) -> dict[str, str]:
    """Makes the program; returns the variables by which it is found and finds its state."""
    program = folder / "dagger"
    program.write_text(f"#!/bin/sh\nexec {sys.executable} -m tests.environment.exporting_engine\n")
    program.chmod(0o755)
    paths = {STATE: str(state), "PYTHONPATH": str(Path(__file__).parents[2])}
    return {"_EXPERIMENTAL_DAGGER_CLI_BIN": str(program), **paths}


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to the engine."""

    port = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        header = self.headers.get("traceparent", "")
        if b"withExec" in body:
            note(header, body)
            if LOGS in os.environ and header.count("-") == 3:
                export(bytes.fromhex(header.split("-")[1]), "told while it runs\n")
        url = f"http://127.0.0.1:{self.port}{self.path}"
        passed = {name: self.headers[name] for name in ("Authorization", "Content-Type")}
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, passed)) as answer:
                status, content = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, content = error.code, error.read()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def note(header: str, body: bytes) -> None:
    """Note a request, if somebody wants to know."""
    if file := os.environ.get("ENGINE_REQUESTS"):
        with Path(file).open("a") as notes:
            notes.write(json.dumps({"traceparent": header, "body": body.decode()}) + "\n")


def export(trace_id: bytes, text: str) -> None:
    """Send one record to the address that the environment names."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(trace_id=trace_id)
    record.body.string_value = text
    record.attributes.add(key="stdio.stream").value.int_value = 1
    headers = {"Content-Type": "application/x-protobuf"}
    url = os.environ[LOGS]
    urllib.request.urlopen(urllib.request.Request(url, request.SerializeToString(), headers)).close()  # noqa: S310


def main() -> None:
    """Serve until standard input ends."""
    command = [sys.executable, "-m", "task_manager.embedded_engine", "session", "--state-dir", os.environ[STATE]]
    engine = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert engine.stdin is not None
    assert engine.stdout is not None
    address = json.loads(engine.stdout.readline())
    Proxy.port = address["port"]
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(json.dumps({**address, "port": server.server_port}) + "\n")
    sys.stdout.flush()
    sys.stdin.read()
    engine.stdin.close()
    engine.wait()


if __name__ == "__main__":
    main()
