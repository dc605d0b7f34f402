"""A server over a data folder of the test's own, and clients of it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp_types import CallToolResult, Implementation, TextContent

from task_manager import Application, Settings
from task_manager.config import EngineChoice, ImagePolicy, WorkerMode, load_settings
from task_manager.mcp_server.server import ProductServer, create_server
from task_manager.server import serve
from tests.environment.warm_program import warm_program


@dataclass
class Agent:
    """A client that counts what it sends and reads.

    Attributes:
        client: The SDK's own.
        calls: How many tools it called.
        bytes_read: What it read of their answers, as text.
    """

    client: Client
    calls: int = field(default=0)
    bytes_read: int = field(default=0)

    async def call(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Calls a tool that must succeed, and returns its structured content, which its text must repeat."""
        result = await self.result(tool, arguments)
        assert not result.is_error, text_of(result)
        assert json.loads(text_of(result)) == result.structured_content
        content: dict[str, Any] = result.structured_content or {}
        return content

    async def error(self, tool: str, **arguments: object) -> dict[str, Any]:
        """Calls a tool that must refuse, and returns the error."""
        result = await self.result(tool, arguments)
        assert result.is_error, text_of(result)
        error: dict[str, Any] = json.loads(text_of(result))["error"]
        return error

    async def result(self, tool: str, arguments: Mapping[str, object]) -> CallToolResult:
        result = await self.client.call_tool(tool, dict(arguments))
        self.calls += 1
        self.bytes_read += len(text_of(result).encode())
        return result

    async def finished(self, run_id: str) -> dict[str, Any]:
        """Waits for a run's end, as an agent does."""
        while not (run := await self.call("wait_for_run", run_id=run_id)).get("over"):
            pass
        return run

    async def more(self, tool: str, /, **arguments: object) -> dict[str, Any]:
        """Calls a tool that is not listed, through the one that finds them."""
        answer: dict[str, Any] = (await self.call("more_tools", name=tool, arguments=arguments)).get("answer", {})
        return answer


@contextlib.asynccontextmanager
async def held(client: Client) -> AsyncIterator[Client]:
    """A client that is entered and left by one task, as it must be, whichever tasks a fixture is run by."""
    entered: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
    leave = asyncio.Event()

    async def hold() -> None:
        async with client as open_client:
            entered.set_result(open_client)
            await leave.wait()

    holding = asyncio.create_task(hold())

    def fail(done: asyncio.Task[None]) -> None:
        if not entered.done():
            entered.set_exception(done.exception() or EOFError("the client ended early"))

    holding.add_done_callback(fail)
    yield await entered
    leave.set()
    await holding


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


@pytest.fixture(scope="session")
def engine_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the engine's layers, kept from test to test."""
    return tmp_path_factory.mktemp("mcp-engine")


@pytest.fixture
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home and working folder, a data folder that is not there yet; no setting from outside."""
    for name in [name for name in os.environ if name.startswith("TASK_MANAGER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("TASK_MANAGER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TASK_MANAGER_ENGINE", "embedded")
    monkeypatch.setenv("TASK_MANAGER_IMAGES", "host")
    monkeypatch.setenv("TASK_MANAGER_IDLE_SECONDS", "1")
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


@pytest.fixture
def settings(surroundings: Path) -> Settings:
    """Settings under which runs are executed in this process."""
    arguments = {"worker": WorkerMode.HERE, "engine": EngineChoice.EMBEDDED, "images": ImagePolicy.HOST}
    return load_settings(arguments)[0]


@pytest.fixture
async def application(settings: Settings) -> AsyncIterator[Application]:
    async with Application(settings) as opened:
        yield opened


@pytest.fixture
async def product(application: Application) -> ProductServer:
    return create_server(application)


@pytest.fixture
async def agent(product: ProductServer) -> AsyncIterator[Agent]:
    """A client in this process."""
    async with held(Client(product.server, cache=None)) as client:
        yield Agent(client)


@pytest.fixture
async def project(application: Application, surroundings: Path) -> str:
    """The id of a project with a source folder."""
    source = surroundings / "source"
    source.mkdir()
    (source / "hello.txt").write_text("hello\n")
    return (await application.tasks.create_project("greetings", source_folder=source)).id


def shell_pipeline(*commands: str) -> dict[str, object]:
    """A definition with one step for each command, one after the other."""
    steps: list[dict[str, object]] = [
        {"id": f"step-{number}", "image": "python:3.12-slim", "command": ["sh", "-c", command]}
        for number, command in enumerate(commands, 1)
    ]
    for number, step in enumerate(steps[1:], 1):
        step["needs"] = [f"step-{number}"]
    return {"name": "shell", "steps": steps}


def stdio_server(**environment: str) -> StdioServerParameters:
    """How a client starts the product's server."""
    return StdioServerParameters(command=str(warm_program()), args=["mcp"], env={**os.environ, **environment})


def settings_of(surroundings: Path) -> Settings:
    """Settings as a process finds them there."""
    return load_settings({"data_dir": surroundings / "data"})[0]


def named(name: str) -> Implementation:
    """Who a client says that it is."""
    return Implementation(name=name, version="1")


@contextlib.asynccontextmanager
async def running(settings: Settings, *, require_token: bool = False) -> AsyncIterator[str]:
    """A server on a free port, in this process; yields its address."""
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(settings, port=0, ready=address.set_result, require_token=require_token))
    try:
        yield await asyncio.wait_for(address, 60)
    finally:
        serving.cancel()
        await asyncio.wait([serving])


@pytest.fixture
async def address(settings: Settings) -> AsyncIterator[str]:
    """The address of a server in this process."""
    async with running(settings) as found:
        yield found


class Server:
    """The product's server in a process of its own."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [warm_program(), "server", "--port", "0"],
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ,
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1].removesuffix("/mcp.")

    def end(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)
        self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
