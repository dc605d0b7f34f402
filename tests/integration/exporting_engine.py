"""Stands for `dagger session`: the embedded engine, which exports a line by OpenTelemetry for each command.

It sends what a real command line sends: a record in the trace that the request named in its `traceparent` header.
"""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

ENGINE = [sys.executable, "-m", "task_manager.embedded_engine", "session", "--state-dir", os.environ["ENGINE_STATE"]]


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on to the engine."""

    port = 0

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        trace = self.headers.get("traceparent", "").split("-")
        if b"withExec" in body and len(trace) == 4:
            export(bytes.fromhex(trace[1]), "told while it runs\n")
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


def export(trace_id: bytes, text: str) -> None:
    """Send one record to the address that the environment names."""
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(trace_id=trace_id)
    record.body.string_value = text
    record.attributes.add(key="stdio.stream").value.int_value = 1
    headers = {"Content-Type": "application/x-protobuf"}
    url = os.environ["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"]
    urllib.request.urlopen(urllib.request.Request(url, request.SerializeToString(), headers)).close()  # noqa: S310


def main() -> None:
    """Serve until standard input ends."""
    engine = subprocess.Popen(ENGINE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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
